"""Server-sent events: streams that go on where the reader left off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from muster.domain.errors import Gone, Invalid

KEEP_ALIVE_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def last_id(header: str | None) -> int | None:
    """The offset or number a reader last saw.

    Raises:
        Invalid: it is not an unsigned number.
    """
    if header is None or header == "":
        return None
    if not header.isascii() or not header.isdigit() or len(header) > 18:
        raise Invalid(
            "Last-Event-ID must be an unsigned number", hint="send back the id as it came"
        )
    return int(header)


def frame(event: str, data: Any, event_id: int | None) -> bytes:
    """One event in the wire's form; JSON has no raw line breaks, so one `data:` line is enough."""
    lines = [f"event: {event}"]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    lines.append(f"data: {json.dumps(data, ensure_ascii=True, separators=(',', ':'))}")
    return ("\n".join(lines) + "\n\n").encode()


def stream(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """An SSE answer with a comment every 15 seconds of silence."""
    return StreamingResponse(_kept_alive(frames), media_type="text/event-stream", headers=HEADERS)


async def _kept_alive(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    source = frames.__aiter__()
    ahead: asyncio.Task[bytes] | None = None
    try:
        yield b": muster\n\n"
        while True:
            if ahead is None:
                ahead = asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait({ahead}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            piece, ahead = ahead.result(), None
            if not piece:
                return
            yield piece
    finally:
        if ahead is not None:
            ahead.cancel()


async def _next(source: AsyncIterator[bytes]) -> bytes:
    try:
        return await source.__anext__()
    except StopAsyncIteration:
        return b""


async def event_frames(source: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Events as frames; one `resync` when the reader is too far behind."""
    try:
        async for event in source:
            yield frame(event["type"], event, event["rev"])
    except Gone as gone:
        yield frame("resync", gone.problem(), None)


async def log_frames(source: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """An agent's output as frames, addressed by the offset behind each piece."""
    async for item in source:
        yield frame(item["event"], item["data"], item["id"])
