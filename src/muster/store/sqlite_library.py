"""The SQLite library of this process: every connection is opened with the same one.

Facts: a process has its file locks once, whoever asked for them. A second SQLite library in it
does not know what the first has locked: it believes to be the first at the database, empties the
shared memory of the log under the others (they die of SIGBUS), and drops their locks when it
closes (https://www.sqlite.org/howtocorrupt.html, section 2.2). SQLite 3.7.0 to 3.51.2 can corrupt
a database when its WAL is reset while another connection checkpoints; `pysqlite3` carries a build
with the repair and is used where the linked library is older.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pysqlite3

_REPAIRED = (3, 51, 3)


def library() -> ModuleType:
    """What every connection of this process is opened with; it looks as `sqlite3` does."""
    if sqlite3.sqlite_version_info >= _REPAIRED:
        return sqlite3
    return pysqlite3  # type: ignore[no-any-return]


@contextlib.contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, beside a server that may run here or elsewhere.

    Raises the library's `Error`, of which there are as many as there are libraries.
    """
    connection = library().connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()
