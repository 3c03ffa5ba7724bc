"""Verbs about idempotency keys: the same key gives the same answer once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from muster.domain.errors import KeyReused
from muster.store.base import Tx
from muster.store.schema import idempotency

KEPT_MS = 24 * 3600 * 1000

_FORGET = delete(idempotency).where(idempotency.c.created_at < bindparam("before"))
_KNOWN = select(idempotency).where(idempotency.c.key == bindparam("given"))
_KEEP = insert(idempotency)


def digest_of(body: Any) -> str:
    """What makes two requests the same: their JSON with sorted keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def answered(tx: Tx, key: str | None, body: Any) -> dict[str, Any] | None:
    """The answer that a key was given before; None for a fresh one.

    Raises:
        KeyReused: the key came with another body before.
    """
    row = tx.conn.execute(_KNOWN, {"given": key}).first() if key is not None else None
    if row is None or row.created_at < tx.now - KEPT_MS:
        return None
    _refuse_other(row.digest, digest_of(body))
    return dict(row.answer)


def _refuse_other(known: str, digest: str) -> None:
    if known != digest:
        raise KeyReused(
            "this Idempotency-Key was used for a different request",
            hint="use a fresh key for each new request",
        )


def once(
    tx: Tx, key: str | None, body: Any, verb: Callable[[Tx], dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """Run `verb` unless the key was used before; then give the first answer again, with True.

    The key and what the verb did are one transaction.

    Raises:
        KeyReused: the key came with another body before.
    """
    if key is None:
        return verb(tx), False
    tx.conn.execute(_FORGET, {"before": tx.now - KEPT_MS})
    row = tx.conn.execute(_KNOWN, {"given": key}).first()
    digest = digest_of(body)
    if row is not None:
        _refuse_other(row.digest, digest)
        return dict(row.answer), True
    answer = verb(tx)
    kept = {"key": key, "digest": digest, "answer": answer, "created_at": tx.now}
    tx.conn.execute(_KEEP, kept)
    return answer, False
