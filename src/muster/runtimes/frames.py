"""Messages over one pair of streams: a line of JSON, then as many raw bytes as it says."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

LONGEST_LINE = 1 << 20
LONGEST_BODY = 4_000_000_000


class Broken(Exception):
    """What came is no message, or ends in the middle of one."""


class Lost(Exception):
    """The connection is gone; what was asked may or may not have been done."""


class Source(Protocol):
    """Where messages come from: asyncio's streams and asyncssh's have both."""

    async def readuntil(self, _separator: bytes, /) -> bytes:
        """Up to and with the separator."""
        ...

    async def readexactly(self, _n: int, /) -> bytes:
        """So many bytes."""
        ...


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A message."""
    return json.dumps({**head, "bytes": len(body)}).encode() + b"\n" + body


async def unpack(source: Source) -> tuple[dict[str, Any], bytes]:
    """The next message.

    Raises:
        Broken: there is none.
    """
    try:
        line = await source.readuntil(b"\n")
        head = json.loads(line)
        length = head.pop("bytes")
        if not isinstance(length, int) or not 0 <= length <= LONGEST_BODY:
            raise Broken("a message of an impossible length")
        return head, await source.readexactly(length) if length else b""
    except (
        asyncio.LimitOverrunError,
        EOFError,
        ValueError,
        AttributeError,
        LookupError,
        OSError,
    ) as error:
        raise Broken(f"the stream ended or is no stream of messages: {error}") from error
