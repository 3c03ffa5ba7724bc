"""The honest work of an agent, the same in every place that contains it.

It builds, runs tests, installs a package from an index that is allowed, and commits; at the end it
asks an index that is not, which ends it.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from muster.domain.project import Project, ProjectSettings
from muster.engine.kept_out import kept_out
from muster.runtimes.base import Runtime
from muster.runtimes.refusals import NETWORK, read_refusals

FILES = {
    "src/calc.py": "import tinydep\n\n\ndef twice():\n    return 2 * tinydep.ANSWER\n",
    "test_calc.py": (
        "import unittest\nimport calc\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_twice(self):\n        self.assertEqual(calc.twice(), 84)\n"
    ),
    # What is tested is what was built: the source is nowhere on the path.
    "Makefile": (
        "build/calc.pyc: src/calc.py\n\tmkdir -p build\n"
        "\t$(PYTHON) -c \"import py_compile as p; p.compile('$<', '$@', doraise=True)\"\n"
    ),
}


def put(tree: Path) -> None:
    """The files that are worked on."""
    for name, text in FILES.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)


def installs(pip: str, port: int, into: str) -> str:
    """A shell line that installs from an index on the loopback, asked as any host is."""
    return (
        f"env no_proxy= NO_PROXY= {pip} install -q --no-cache-dir --isolated --retries 0"
        " --disable-pip-version-check"
        f" --index-url http://127.0.0.1:{port}/simple --target {into} tinydep"
    )


def work(python: str, allowed: int, other: int, first: str = "true", pip: str = "") -> str:
    """The whole work as a shell line; `first` is done before. `pip` runs its pip."""
    pip = pip or f"{python} -m pip"
    return " && ".join(
        (
            first,
            installs(pip, allowed, "deps"),
            f"make -s PYTHON={shlex.quote(python)}",
            f"PYTHONPATH=build:deps {python} -m unittest -q test_calc",
            "git add -f build Makefile",
            "git -c user.name=a -c user.email=b commit -qm Work",
            "git log -1 --format=%s",
            installs(pip, other, "more"),
        )
    )


def line_that_allows(runtime: Runtime, run_dir: Path, code: int | None, allowed: int) -> list[str]:
    """What a person is told that a run was refused: the words of the line that lets it through.

    Beside that nothing is held against it.
    """
    assert {refusal.kind for refusal in read_refusals(run_dir)[0]} == {NETWORK}
    settings = ProjectSettings(network=(f"127.0.0.1:{allowed}",))
    project = Project("prj_1", "repo", "/repo/.git", "/repo", "main", settings)
    told = kept_out(runtime, run_dir, project, {}, code)
    return shlex.split(told.rpartition("if it needs that: ")[2])


def proves(tree: Path, out: str, err: str) -> None:
    """All of it was done, and the last part was not."""
    assert out.splitlines() == ["Work"], out + err
    assert "Ran 1 test" in err
    assert (tree / "build" / "calc.pyc").exists()
    assert not (tree / "more").exists()
