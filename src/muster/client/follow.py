"""Live streams that go on after each break where they broke, until their `end`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from muster.client.sse import Message, read_messages
from muster.client.wire import Live, Lost, Wire
from muster.domain.errors import MusterError, Unreachable

SILENCE = 45.0
"""Seconds without a byte after which a stream counts as lost; keep-alives come every 15."""


def follow(
    wire: Wire,
    path: str,
    query: Mapping[str, Any] | None = None,
    *,
    last_id: str = "",
    until: float | None = None,
) -> Iterator[Message]:
    """Every message of a stream once, in order; each new connection says the last `id` it had.

    `until` is a time of the wire's clock.

    A `resync` says that messages may be missing; it is handed on once the stream is open again, so
    that a reader who then looks anew misses nothing.

    Raises:
        TimeoutError: `until` has come.
        Unreachable: no connection for as long as the wire's patience.
        MusterError: the server refused the stream.
    """
    clock, tried, heard = wire.clock, 0, wire.clock.now()
    resync: Message | None = None
    while True:
        why: Lost = Lost(Unreachable(f"{wire.url} ended the stream"))
        live: Live | None = None
        try:
            live = wire.listen(path, query or {}, last_id)
            if resync is not None:
                yield resync
                resync = None
            for message in read_messages(partial(_readline, wire, live, until)):
                if message.event == "resync":
                    resync, last_id = message, ""
                    break
                last_id = message.id or last_id
                why.retry_after = message.retry
                yield message
                if message.event == "end":
                    return
        except Lost as lost:
            why = lost
        finally:
            if live is not None:
                live.close()
        if live is not None and not last_id:
            resync = resync or Message("resync", "", "{}")  # nothing says where to go on from
        if live is not None and live.lines > 1:
            tried, heard = 0, clock.now()
        tried += 1
        _rest(wire, wire.pause(tried, why.retry_after), heard, until, why.error)


def _readline(wire: Wire, live: Live, until: float | None, limit: int) -> bytes:
    left = SILENCE if until is None else until - wire.clock.now()
    if left <= 0:
        raise TimeoutError
    return live.readline(limit, min(SILENCE, left))


def _rest(wire: Wire, pause: float, heard: float, until: float | None, why: MusterError) -> None:
    """Wait before the next connection, unless time or patience has run out."""
    now = wire.clock.now()
    if until is not None and now >= until:
        raise TimeoutError
    if now + pause - heard > wire.patience.seconds:
        raise why
    wire.clock.sleep(pause if until is None else min(pause, until - now))
