"""An empty database at the newest schema, made once: few tests are about how a new one is made."""

from __future__ import annotations

import tempfile
from pathlib import Path

from muster.store.sqlite import open_store

NAME = "muster.db"
_made: list[bytes] = []


async def put_database(home: Path) -> None:
    """Give a home its database, as its first server would have left it; one that is there stays."""
    if not _made:
        with tempfile.TemporaryDirectory(prefix="mu-") as folder:
            await open_store("", Path(folder)).close()
            (file,) = Path(folder).iterdir()
            _made.append(file.read_bytes())
    if not (home / NAME).exists():
        (home / NAME).write_bytes(_made[0])
