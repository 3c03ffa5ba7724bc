"""Server-sent events read from bytes (the `text/event-stream` format of WHATWG HTML)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

LONGEST_LINE = 16 * 1024 * 1024


class Message(NamedTuple):
    """One message; `id` is the last one seen, `retry` a wait in seconds that the server asks."""

    event: str
    id: str
    data: str
    retry: float | None = None


def read_messages(readline: Callable[[int], bytes]) -> Iterator[Message]:
    """The messages of a stream, until it ends; one cut off in the middle is dropped."""
    event, last_id, retry = "", "", None
    data: list[str] = []
    while line := readline(LONGEST_LINE):
        text = line.decode(errors="replace").rstrip("\r\n").removeprefix("\ufeff")
        if not text:
            if data or event:
                yield Message(event or "message", last_id, "\n".join(data), retry)
            event, data = "", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                event = value
            case "data":
                data.append(value)
            case "id" if "\0" not in value:
                last_id = value
            case "retry" if value.isascii() and value.isdigit():
                retry = min(int(value[:9]) / 1000, 60.0)
            case _:
                pass
