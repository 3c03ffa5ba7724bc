"""The agent's own git folder: outside its tree, written by hand, and never read by muster's git.

It borrows the mirror's objects, so that it costs kilobytes, and holds a branch at the commit, so
that the agent can work with git as it is used to. Whatever the agent does to it, or to the pointer
in its tree, concerns nobody else: results are taken from the files (`snapshot`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from muster.domain.guard import commit_id, ref_name
from muster.workspace.checkout import copy_index

FOLDER = "agent.git"
_CONFIG = """[core]
\trepositoryformatversion = {version}
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
[gc]
\tauto = 0
[user]
\tname = muster
\temail = muster@localhost
"""
_SHA256 = "[extensions]\n\tobjectFormat = sha256\n"


def make_agent_git(
    root: Path, mirror: Path, commit: str, branch: str, ignored: Sequence[str], index: Path
) -> Path:
    """Make `root/agent.git` with `branch` at `commit`, and point `root/tree/.git` to it.

    `ignored` are patterns that git shall not show to the agent.
    """
    folder = root / FOLDER
    ref = f"refs/heads/{ref_name(branch)}"
    # The fewest folders that git takes for a repository: making each costs as much as the mount.
    # An empty `hooks` is there for a place that contains to lock.
    for name in (".", "objects", "objects/info", "refs", "info", "hooks"):
        (folder / name).mkdir()
    sha256 = len(commit) == 64
    config = _CONFIG.format(version=int(sha256)) + (_SHA256 if sha256 else "")
    (folder / "config").write_text(config, "utf-8")
    (folder / "HEAD").write_text(f"ref: {ref}\n", "utf-8")
    (folder / "packed-refs").write_text(f"{commit_id(commit)} {ref}\n", "utf-8")
    (folder / "objects/info/alternates").write_text(f"{mirror / 'objects'}\n", "utf-8")
    (folder / "info/exclude").write_text("".join(f"{line}\n" for line in ignored), "utf-8")
    if (mirror / "shallow").exists():
        shutil.copyfile(mirror / "shallow", folder / "shallow")
    copy_index(index, folder / "index")
    (root / "tree" / ".git").write_text(f"gitdir: {folder}\n", "utf-8")
    return folder
