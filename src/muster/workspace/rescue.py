"""Work that no snapshot has, kept before its workspace is removed: files, and the agent's commits.

The agent's git folder is never used as a repository: its objects are read through muster's own, so
that nothing in its configuration can act, and each gets its name anew on the way in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from muster.domain.errors import Conflict, GitFailed, MusterError
from muster.workspace.agentgit import FOLDER
from muster.workspace.base import Workspace
from muster.workspace.commits import Author
from muster.workspace.control import Control
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.snapshot import Snapshots
from muster.workspace.transfer import transfer

RESCUE = "refs/muster/rescue"
COMMITS = "refs/muster/commits"
_AUTHOR = Author("muster", "muster@localhost")
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_REFS = 1000
_MOST_BYTES = 1024 * 1024


def rescue(
    mirror: Mirror, workspace: Workspace, touched: Sequence[str] | None, *, is_whole: bool = False
) -> str | None:
    """Keep what would be lost with a workspace, as `refs/muster/rescue/<id>`; the commit, if any.

    The agent's own commits that are nowhere else are kept as `refs/muster/commits/<id>/<n>`. The
    files are not looked at when the last snapshot `is_whole`.

    Raises:
        Conflict: it could not be kept.
    """
    state = Control(workspace.root).state()
    if state is None:
        return None
    try:
        _keep_commits(mirror, workspace)
        if is_whole:
            return None
        message = f"Rescued from workspace {workspace.id}\n"
        saved = Snapshots(mirror).take(workspace, touched, state.commit, message, _AUTHOR).commit
        if saved:
            mirror.keep(f"{RESCUE}/{workspace.id}", saved)
    except (MusterError, OSError) as error:
        raise Conflict(
            f"workspace {workspace.id} stays: its work could not be kept: {error}",
            hint=f"mend that, then close it again; the files are in {workspace.tree}",
        ) from error
    return saved


def _keep_commits(mirror: Mirror, workspace: Workspace) -> None:
    folder = workspace.root / FOLDER
    tips = sorted(set(_tips(folder)) - {workspace.commit})[:_MOST_REFS]
    if not tips:
        return
    place = Place(mirror.path, env={"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(folder / "objects")})
    theirs = [tip for tip in _commits(mirror.git, place, tips) if not mirror.has(tip)]
    if not theirs:
        return
    for number, tip in enumerate(theirs, 1):
        if _bring(mirror, place, tip, workspace.commit):
            mirror.keep(f"{COMMITS}/{workspace.id}/{number}", tip)


def _bring(mirror: Mirror, place: Place, tip: str, base: str) -> bool:
    """Copy one commit; what the agent's repository lacks itself cannot be kept by anyone."""
    try:
        transfer(mirror.git, place, mirror.place, [tip], [base])
    except GitFailed as error:
        if "No space" in error.detail:
            raise
        return False
    return True


def _commits(git: Git, place: Place, tips: list[str]) -> list[str]:
    """Those of `tips` that are commits which can be read."""
    answer = git.run(
        place,
        *("cat-file", "--batch-check=%(objectname) %(objecttype)"),
        stdin="".join(f"{tip}\n" for tip in tips).encode(),
    )
    lines = answer.decode("ascii", "replace").splitlines()
    return [line.split()[0] for line in lines if line.endswith(" commit")]


def _tips(folder: Path) -> Iterator[str]:
    """Every id that the agent's refs name; its files are read as text, and links not followed."""
    for name in ("HEAD", "ORIG_HEAD", "packed-refs"):
        yield from _ids(folder / name)
    refs = folder / "refs"
    if refs.is_symlink():
        return
    for path in refs.rglob("*"):
        yield from _ids(path)


def _ids(path: Path) -> Iterator[str]:
    try:
        regular = path.is_file() and not path.is_symlink()
        if not regular:
            return
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return
    yield from _ID.findall(text)
