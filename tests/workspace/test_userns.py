"""Overlays of an ordinary user: the contract, and the view that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.runtime import living
from contracts.workspace import WorkspaceContract
from muster.workspace.base import Backend
from muster.workspace.userns_overlay import UsernsOverlayBackend
from workspace import ordinary


class UsernsOverlay(WorkspaceContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return UsernsOverlayBackend()

    def test_folders_can_be_renamed_as_agents_do(self, backend, source, commit, make_root):
        # Not by rename(2): what this kind of overlay cannot; the tools of a shell copy instead.
        tree = backend.open(source, make_root(), commit)
        with pytest.raises(OSError, match="cross-device") as caught:
            (tree / "src").rename(tree / "lib")
        assert caught.value.errno == errno.EXDEV
        subprocess.run(["mv", tree / "src", tree / "lib"], check=True)
        assert (tree / "lib/deep/er/b.py").read_text() == "B = 1\n"
        assert not (tree / "src").exists()
        (tree / "made").mkdir()
        (tree / "made").rename(tree / "own")

    def test_a_folder_that_is_new_or_took_the_place_of_another_is_told_as_a_whole(
        self, backend, source, commit, make_root
    ):
        root = make_root()
        tree = backend.open(source, root, commit)
        subprocess.run(["rm", "-r", tree / "src"], check=True)
        (tree / "src").mkdir()
        (tree / "src/new").write_text("new\n")
        (tree / "fresh/below").mkdir(parents=True)
        (tree / "fresh/below/x").write_text("x\n")
        assert backend.touched(root) == ["fresh", "src"]

    def test_an_agent_cannot_write_the_kernels_notes(self, backend, source, commit, make_root):
        root = make_root()
        tree = backend.open(source, root, commit)
        with contextlib.suppress(OSError):
            os.setxattr(tree / "src", "user.overlay.opaque", b"y")
        assert (tree / "src/deep/er/b.py").exists()
        (tree / "src/deep/new").write_text("new\n")
        backend.reopen(root)
        assert (tree / "src/deep/er/b.py").exists()
        assert "src/deep/new" in (backend.touched(root) or ())


@pytest.mark.needs_overlay
class TestByRoot(UsernsOverlay):
    """In the machine's view; that it can be had at all is `test_the_contract_holds…`."""


IN_A_VIEW_OF_ITS_OWN = """
import pathlib, sys, pytest
from muster.workspace.namespace import enter
from muster.workspace.overlay import OverlayBackend
folder = pathlib.Path(sys.argv[1])
enter(folder)
assert OverlayBackend().available(folder) != ""
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-c", sys.argv[2], *sys.argv[3:]]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with ordinary.own_folder() as folder:
        yield folder


def _in_a_view(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    settings = Path(__file__).parents[2] / "pyproject.toml"
    basetemp = f"--basetemp={folder / 'tests'}"
    return ordinary.run(
        folder, "-c", IN_A_VIEW_OF_ITS_OWN, str(folder), str(settings), basetemp, *args
    )


@pytest.mark.needs_userns
def test_the_contract_holds_for_an_ordinary_user(folder):
    done = _in_a_view(folder, f"{Path(__file__).parent / 'as_nobody.py'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


@pytest.mark.needs_userns
def test_a_server_that_was_killed_leaves_its_view_to_the_next(folder):
    repo = folder / "repo"
    made = ordinary.run(
        folder,
        "-c",
        "import sys; from pathlib import Path; from conftest import run_git\n"
        "repo = Path(sys.argv[1]); repo.mkdir(); (repo / 'a').write_text('a')\n"
        "for args in (('init', '-q', '-b', 'main'), ('add', '-A'), ('commit', '-qm', 'x')):"
        " run_git(repo, *args)",
        str(repo),
    )
    assert made.returncode == 0, made.stderr
    home, life = str(folder / "home"), ("-m", "workspace.userns_life")
    (folder / "home").mkdir()
    os.chown(folder / "home", (folder).stat().st_uid, folder.stat().st_gid)
    assert ordinary.run(folder, *life, "open", home, str(repo)).returncode == -signal.SIGKILL
    standing = [pid for pid in living("1000") if _cwd(pid).startswith(home)]
    try:
        # Nothing of it is seen from the machine's own view.
        assert list((folder / "home/spaces/life/tree").iterdir()) == []
        joined = ordinary.run(folder, *life, "snapshot", home, str(repo))
        assert joined.stdout == "True 'mine\\n'\n", joined.stderr
    finally:
        for pid in standing:
            os.kill(pid, signal.SIGKILL)
    assert len(standing) == 1
    after = ordinary.run(folder, *life, "close", home, str(repo))
    assert after.stdout == "False True 'unsaved\\n' False\n", after.stderr


A_SERVERS_START = """
import sys
from pathlib import Path
from muster.settings import load
from muster.wiring.doctor import diagnose
from muster.wiring.house import House
from muster.wiring.view import take_view
home = Path(sys.argv[1])
home.mkdir()
settings = load(home, {"MUSTER_WORKSPACE_BACKEND": sys.argv[2]})
took = [check["name"] for check in diagnose(home) if check["text"].endswith("and does")]
before = Path("/proc/self/ns/mnt").readlink()
works = take_view(settings)
moved = before != Path("/proc/self/ns/mnt").readlink()
print(House(settings, works).workspaces.choose(), moved, *took)
"""


@pytest.mark.needs_userns
@pytest.mark.parametrize(
    ("wanted", "said"), [("auto", "userns-overlay True"), ("clone", "clone False")]
)
def test_the_server_of_an_ordinary_user_takes_a_view_where_it_needs_one(folder, wanted, said):
    done = ordinary.run(folder, "-c", A_SERVERS_START, str(folder / "home"), wanted)
    # What doctor says is of the settings in the home alone.
    assert done.stdout == f"{said} workspace userns-overlay\n", done.stderr


def test_an_overlay_that_redirects_is_not_taken_where_the_kernel_may_not_note_it(home):
    # All rights in a user namespace are none over trusted attributes.
    tried = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c"),
            "import sys; from pathlib import Path\n"
            "from muster.workspace.overlay import OverlayBackend\n"
            "print(OverlayBackend().available(Path(sys.argv[1])))",
            str(home),
        ],
        capture_output=True,
        text=True,
    )
    if "unshare failed" in tried.stderr:
        pytest.skip(f"needs user namespaces: {tried.stderr.strip()}")
    assert tried.stdout.strip() != "", tried.stderr


def _cwd(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
