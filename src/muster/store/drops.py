"""Verbs about event files: each is kept once, and known by its name until its file is gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete, insert, select

from muster.domain.errors import MusterError
from muster.domain.outside import OutsideFact
from muster.store.base import Tx
from muster.store.outside import tell
from muster.store.schema import drops


def keep(tx: Tx, files: Mapping[str, OutsideFact], gone: Collection[str] = ()) -> dict[str, str]:
    """Keep the fact of each file, by name, if it was not kept before; why some cannot be.

    `gone` are names whose files are gone for good, so that they need not be known any more.
    """
    forget(tx, gone)
    known = set(tx.conn.execute(select(drops.c.name).where(drops.c.name.in_(files))).scalars())
    refused: dict[str, str] = {}
    kept = []
    for name, fact in files.items():
        if name in known:
            continue
        try:
            kept.append({"name": name, "rev": tell(tx, fact), "at": tx.now})
        except MusterError as no:
            refused[name] = f"{no.detail}. {no.hint}"
    if kept:
        tx.conn.execute(insert(drops), kept)
    return refused


def forget(tx: Tx, names: Collection[str]) -> None:
    """Let go of names whose files are gone for good."""
    if names:
        tx.conn.execute(delete(drops).where(drops.c.name.in_(names)))


def forget_others(tx: Tx, names: Collection[str]) -> None:
    """Let go of all names but these: their files were removed before a server died."""
    there = set(names)
    found = tx.conn.execute(select(drops.c.name)).scalars().all()
    forget(tx, [name for name in found if name not in there])
