"""The verbs of the house: they exist, check never writes, fix mends, and a hiccup is survived."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from house.trees import ROOT, copy_of_the_tree, ready_environment, run

VERBS = (
    "demo",
    "up",
    "check",
    "fix",
    "test",
    "test-long",
    "matrix",
    "bench",
    "bench-proof",
    "bench-crew",
    "clean",
)
UGLY = '"""A file that is not formatted."""\nimport sys\nimport os\nx = [ os.sep,sys.path ]\n'


@pytest.mark.parametrize("verb", VERBS)
def test_the_makefile_knows_the_verb_and_lists_it(verb: str) -> None:
    assert run("make", "-n", verb).returncode == 0
    assert f"make {verb} " in run("make").stdout


def test_demo_and_up_install_only_what_muster_needs_to_run(tmp_path: Path) -> None:
    for verb in ("demo", "up"):
        recipe = run("make", "-n", verb, f"VENV={tmp_path / 'none'}").stdout
        assert "--editable ." in recipe
        assert "[dev]" not in recipe


def test_settings_of_other_environments_do_not_reach_the_one_made_here(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text((ROOT / "Makefile").read_text() + "\nshow:\n\t@env\n")
    shown = run(
        *("make", "show"), cwd=tmp_path, PIP_TARGET="/elsewhere", PYTHONPATH="/other", PIP_USER="1",
        PYTHONDONTWRITEBYTECODE="1",
    ).stdout  # fmt: skip
    assert "PIP_TARGET" not in shown
    assert "PYTHONPATH" not in shown
    assert "PIP_USER" not in shown
    assert "PYTHONDONTWRITEBYTECODE" not in shown


def test_without_a_new_enough_python_make_says_what_to_do(tmp_path: Path) -> None:
    said = run("make", "demo", f"VENV={tmp_path / 'none'}", "PYTHON=")
    assert said.returncode != 0
    assert "Python 3.11" in said.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree with one file that the linter and the formatter would change."""
    tree = copy_of_the_tree(tmp_path / "tree")
    (tree / "src" / "muster" / "ugly.py").write_text(UGLY)
    return tree


def _status(tree: Path) -> str:
    return run("git", "status", "--porcelain", cwd=tree).stdout


@pytest.mark.long
@pytest.mark.timeout(300)
def test_check_refuses_an_ugly_file_and_writes_nothing(copy: Path, tmp_path: Path) -> None:
    # What the type checker knows already saves it most of its time; git ignores it.
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    environment = ready_environment(tmp_path / "environment")
    before = _status(copy)
    said = run("make", "check", f"VENV={environment}", cwd=copy)
    assert said.returncode != 0
    assert "ugly.py" in said.stdout
    assert _status(copy) == before
    assert (copy / "src" / "muster" / "ugly.py").read_text() == UGLY


def test_fix_mends_what_a_program_can_mend(copy: Path, tmp_path: Path) -> None:
    environment = ready_environment(tmp_path / "environment")
    run("make", "fix", f"VENV={environment}", cwd=copy)
    mended = (copy / "src" / "muster" / "ugly.py").read_text()
    assert "import os\nimport sys\n" in mended
    assert "x = [os.sep, sys.path]" in mended


FLAKY_NPM = """#!/bin/sh
echo try >>"$HOME/tries"
[ "$(wc -l <"$HOME/tries")" -gt {failures} ] || {{ echo 'no answer' >&2; exit 1; }}
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/.bin"
printf '#!/bin/sh\\necho 1.2.3\\n' >"$2/node_modules/.bin/claude"
chmod +x "$2/node_modules/.bin/claude"
"""


def _set_up_claude(tmp_path: Path, failures: int) -> tuple[int, str, int]:
    tree = tmp_path / "tree"
    (tree / "scripts").mkdir(parents=True)
    script = tree / "scripts" / "ci-setup"
    script.write_text((ROOT / "scripts" / "ci-setup").read_text())
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "npm").write_text(FLAKY_NPM.format(failures=failures))
    (programs / "npm").chmod(0o755)
    done = run(
        "bash", str(script), "claude", cwd=tree,
        PATH=f"{programs}:{os.defpath}", MUSTER_CI_CACHE=str(tmp_path / "cache"),
        MUSTER_CI_PAUSE="0",
    )  # fmt: skip
    tries = len((tree / "tries").read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, tries


def test_setup_survives_a_registry_that_fails_twice(tmp_path: Path) -> None:
    status, said, tries = _set_up_claude(tmp_path, failures=2)
    assert (status, tries) == (0, 3), said
    env = (tmp_path / "tree" / "build" / "ci-env").read_text()
    assert str(tmp_path / "cache") in env


def test_setup_gives_up_after_a_bounded_number_of_tries_and_says_why(tmp_path: Path) -> None:
    status, said, tries = _set_up_claude(tmp_path, failures=99)
    assert (status, tries) == (1, 3), said
    assert "no answer" in said
    assert "gave up" in said


def test_setup_names_its_parts_when_it_is_asked_for_one_it_does_not_know(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "ci-setup"
    script.parent.mkdir()
    script.write_text((ROOT / "scripts" / "ci-setup").read_text())
    said = run("bash", str(script), "teapot", cwd=tmp_path)
    assert said.returncode == 1
    assert "chromium axe claude codex" in said.stderr


def _ci(tmp_path: Path, makefile: str, **env: str) -> tuple[int, str]:
    """Run .ci/run on a tree whose verbs are stand-ins."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "ci-env").touch()
    (tmp_path / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    (tmp_path / "scripts" / "ci-setup").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "scripts" / "ci-setup").chmod(0o755)
    (tmp_path / "Makefile").write_text(makefile)
    done = run("bash", ".ci/run", cwd=tmp_path, **env)
    return done.returncode, done.stdout


def test_ci_requires_every_part_and_says_where_the_time_went(tmp_path: Path) -> None:
    status, said = _ci(tmp_path, "check:\n\t@true\ntest:\n\t@echo require=$$MUSTER_REQUIRE\n")
    assert status == 0
    assert "require=all" in said
    table = said.split("where the time went")[1]
    assert [word in table for word in ("ci-setup", "make check", "make test")] == [True] * 3


def test_a_red_check_fails_ci_but_does_not_hide_the_tests(tmp_path: Path) -> None:
    status, said = _ci(tmp_path, "check:\n\t@false\ntest:\n\t@echo the tests ran\n")
    assert status == 1
    assert "the tests ran" in said


SHOWS_ITS_FOLDER = """check:
	@true
test:
	@echo "folder=$${TMPDIR:-none} kind=$$(stat -f -c %T "$${TMPDIR:-/}")"
"""


def _mount(tmp_path: Path, text: str) -> str:
    """A PATH on which `mount` is this script."""
    program = tmp_path / "programs" / "mount"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.defpath}:/usr/sbin:/sbin"


@pytest.mark.needs_root
def test_ci_keeps_the_tests_files_in_memory_and_lets_go_of_it(tmp_path: Path) -> None:
    status, said = _ci(tmp_path, SHOWS_ITS_FOLDER)
    assert status == 0
    folder = said.split("folder=")[1].split()[0]
    assert f"folder={folder} kind=tmpfs" in said
    assert f"the tests' files: {folder}" in said
    assert not Path(folder).exists()


def test_where_memory_cannot_be_mounted_ci_has_the_disk(tmp_path: Path) -> None:
    refuses = _mount(tmp_path, 'echo "$*" >>"$(dirname "$0")/asked"; exit 1')
    status, said = _ci(tmp_path, SHOWS_ITS_FOLDER, PATH=refuses)
    assert status == 0
    assert "folder=none" in said
    assert "on the disk" in said
    asked = (tmp_path / "programs" / "asked").read_text().split()
    assert asked[:2] == ["-t", "tmpfs"]
    assert not Path(asked[-1]).exists()
