"""The whole life of a workspace, with what an agent may plant in it, wherever that agent works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from muster.workspace.base import Workspace
from workspace.project import Project

FILES = {
    ".gitignore": "*.log\n",
    "same.txt": "old\n",
    "gone.txt": "gone\n",
    "run.sh": "#!/bin/sh\n",
    "src/deep/a.py": "A = 1\n",
}
WORK = """
import os, pathlib, shutil, sys
(canary,) = sys.argv[1:]
here = pathlib.Path()
(here / "same.txt").write_text("new\\n")
(here / "run.sh").chmod(0o755)
(here / "gone.txt").unlink()
shutil.move("src", "lib")
(here / "fresh/below").mkdir(parents=True)
(here / "fresh/below/b.txt").write_text("b\\n")
(here / "noise.log").write_text("ignored\\n")
(here / "out").symlink_to("/etc/hostname")
(here / "dots").symlink_to("../record.json")
os.mkfifo("pipe")
(here / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\\n")
config = (
    f'[core]\\n\\tbare = false\\n\\tfsmonitor = {canary}\\n\\thooksPath = {canary}-hooks\\n'
    f'[filter "evil"]\\n\\tclean = {canary}\\n\\tsmudge = {canary}\\n\\tprocess = {canary}\\n'
    f'[diff "evil"]\\n\\ttextconv = {canary}\\n[alias]\\n\\tadd = !{canary}\\n'
)
def repository(folder):
    for name in ("objects/info", "refs/heads"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\\n")
    (folder / "config").write_text(config)
repository(here / "hidden")
(here / ".git").unlink(missing_ok=True) if (here / ".git").is_file() else None
shutil.rmtree(".git", ignore_errors=True)
(here / ".git").write_text(f"gitdir: {here.absolute()}/hidden\\n")
repository(here / "nested/.git")
(here / "nested/file").write_text("x\\n")
"""
LATER = "import pathlib; pathlib.Path('later.txt').write_text('unsaved\\n')"

Executor = Callable[[Workspace, tuple[str, ...]], Awaitable[None]]
"""Runs Python with these arguments in the tree of a workspace, where its agent would."""


async def live(project: Project, executor: Executor, folder: Path) -> None:
    """Open, let the agent work twice, snapshot, close; nothing planted may act, nothing is lost."""
    mark, program = folder / "sang", folder / "canary"
    folder.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    workspaces = project.workspaces
    ws = project.open("life", ports=3)
    other = project.open("other", ports=3)
    assert ws.ports[1] == 3
    assert ws.ports[0] != other.ports[0]
    await executor(ws, ("-I", "-c", WORK, str(program)))
    taken = project.taken(ws)
    assert taken.commit is not None
    files = project.files(taken.commit)
    found = {path: files[path] for path in files if not path.startswith("hidden/")}
    assert found == {
        ".gitignore": "100644 *.log\n",
        ".gitattributes": "100644 * filter=evil diff=evil merge=evil\n",
        "same.txt": "100644 new\n",
        "run.sh": "100755 #!/bin/sh\n",
        "lib/deep/a.py": "100644 A = 1\n",
        "fresh/below/b.txt": "100644 b\n",
        "out": "120000 /etc/hostname",
        "dots": "120000 ../record.json",
    }
    assert taken.nested == ("nested",)
    assert (other.tree / "same.txt").read_text() == "old\n"
    assert workspaces.reopen("life") == ws
    await executor(ws, ("-I", "-c", LATER))
    kept = workspaces.close(ws)
    assert kept is not None
    assert project.files(kept)["later.txt"] == "100644 unsaved\n"
    assert project.git_in_mirror("rev-parse", "refs/muster/rescue/life") == kept
    assert not ws.root.exists()
    assert workspaces.close(other) is None
    assert not mark.exists()
