"""git's record of some files turned into one of their copies, without reading any of them.

git trusts a file that has the time, the inode and the size it knows, and reads any other. A copy
has another inode and another time of change: so that the first look at a workspace need not read
all of it, each entry gets what its copy has. The contents are known to be the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from muster.domain.errors import GitFailed
from muster.whole_file import write_whole
from muster.workspace.entries import FACTS, GITLINK, Index, Unreadable, facts


def restat(index: Path, tree: Path, to: Path, commit: str) -> None:
    """Write an index like `index`, which is of `commit`, whose entries describe the copy `tree`.

    Raises:
        GitFailed: the index is in a form that git does not write for muster.
    """
    data = bytearray(index.read_bytes())
    try:
        read = Index(data, commit)
    except Unreadable as error:
        raise GitFailed(
            f"{index} is no index that muster can read", hint=f"remove {index.parent}"
        ) from error
    *starts, _ = read.starts()
    for at in starts:
        mode = FACTS.unpack_from(data, at)[6]
        if mode != GITLINK:
            found = os.lstat(os.fsencode(tree) + b"/" + read.path(at))
            FACTS.pack_into(data, at, *facts(found, mode))
    write_whole(to, read.sealed(), sync=False)
