"""Objects written into the mirror as git writes them, without a process for each."""

from __future__ import annotations

import hashlib
import zlib

from muster.whole_file import write_whole
from muster.workspace.mirror import Mirror


def store_object(mirror: Mirror, kind: str, data: bytes) -> str:
    """Write a blob, tree or commit: whole, synced, and nobody changes it any more; its id."""
    whole = b"%s %d\0%s" % (kind.encode(), len(data), data)
    id = hashlib.new(mirror.object_format, whole, usedforsecurity=False).hexdigest()
    path = mirror.path / "objects" / id[:2] / id[2:]
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, zlib.compress(whole, 1), mode=0o444)
    return id
