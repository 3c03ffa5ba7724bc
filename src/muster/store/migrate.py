"""Bringing a database up to the schema of this version, by numbered migrations."""

from __future__ import annotations

import importlib
import logging

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from muster.domain.errors import Unavailable

log = logging.getLogger("muster.store")

HEAD = "0012"
KNOWN = tuple(f"{n:04}" for n in range(1, int(HEAD)))


def current(connection: Connection) -> str | None:
    """The migration a database stands at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    value = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(value) if value else None


def upgrade(connection: Connection) -> bool:
    """Run the migrations that are missing; True when there were any.

    Alembic is heavy to load, so that it is only loaded when there is something to do.

    Raises:
        Unavailable: the database was written by a newer muster.
    """
    with connection.begin():
        here = current(connection)
    if here == HEAD:
        return False
    if here is not None and here not in KNOWN:
        raise Unavailable(
            f"this database is at schema {here}, which is newer than this muster ({HEAD})",
            hint="upgrade muster, or name another home with --home",
        )
    try:
        importlib.import_module("muster.store.migrations.run").upgrade(connection)
    except DBAPIError as error:
        raise Unavailable(
            f"the database could not be brought to schema {HEAD}: {error.orig}",
            hint="nothing was changed; free some space or restore a backup, then start again",
        ) from error
    if here is not None:
        log.info("the database was brought from schema %s to %s", here, HEAD)
    return True
