"""UTF-8 at the edges of pieces: which bytes belong to a character that another piece holds."""

from __future__ import annotations

CONTINUATION = bytes(range(0x80, 0xC0))


def _need(lead: int) -> int:
    """How many bytes a character has that begins with this one; 1 when none does."""
    if 0xC2 <= lead < 0xE0:
        return 2
    if 0xE0 <= lead < 0xF0:
        return 3
    return 4 if 0xF0 <= lead < 0xF5 else 1


def begun(data: bytes) -> int:
    """How many bytes of an unfinished character stand at the end of `data`."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte not in CONTINUATION:
            return back if _need(byte) > back else 0
    return 0


def missing(data: bytes) -> int:
    """How many bytes the last character of `data` lacks."""
    back = begun(data)
    return _need(data[-back]) - back if back else 0


def continues(data: bytes, most: int) -> int:
    """How many of the first `most` bytes can only belong to a character that began before."""
    head = data[:most]
    return len(head) - len(head.lstrip(CONTINUATION))
