"""Makes a cassette of a run that is over: its output as it came, the files it left, its status."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.agents.cassette import VERSION, inside

Chunks = Iterable[tuple[float, bytes | str]]
"""Pieces of one output stream, each with the second of the run in which it came."""


def record(
    out_chunks: Chunks,
    err_chunks: Chunks,
    changes: Mapping[str, bytes | None],
    exit_code: int | None,
    *,
    executable: Iterable[str] = (),
) -> list[str]:
    """One take, as lines of a cassette.

    `changes` are the files that the run left: their content, or None for one that it deleted;
    those in `executable` can be run. When they were written within the run is not known: they come
    last, before the exit. A path that a cassette must not hold is left out. A run that ended by a
    signal, or of which nobody saw the end, is replayed with the status a shell would show.
    """
    timed = [(t, "out", piece) for t, piece in out_chunks]
    timed += [(t, "err", piece) for t, piece in err_chunks]
    timed.sort(key=lambda item: item[0])
    start = timed[0][0] if timed else 0.0
    end = round(max((t for t, _, _ in timed), default=start) - start, 3)
    lines = [
        {"t": round(max(0.0, t - start), 3), "kind": kind, **_content(piece)}
        for t, kind, piece in timed
    ]
    runnable = set(executable)
    held = sorted(filter(_may_hold, changes))
    lines += [{"t": end, **_change(path, changes[path], path in runnable)} for path in held]
    lines.append({"t": end, "kind": "exit", "code": _status(exit_code)})
    return [json.dumps(line, ensure_ascii=False) for line in lines]


def cassette(takes: Sequence[Sequence[str]], *, source: str = "", dialect: str = "text") -> str:
    """A whole cassette of one or more takes; attempt N will play take N."""
    header = {"kind": "cassette", "version": VERSION, "source": source, "dialect": dialect}
    lines = [json.dumps(header, ensure_ascii=False)]
    for number, take in enumerate(takes):
        lines += [json.dumps({"kind": "take"})] if number else []
        lines += take
    return "".join(f"{line}\n" for line in lines)


def _content(piece: bytes | str) -> dict[str, str]:
    """A piece as text where it is text; one cut within a character is not."""
    data = piece if isinstance(piece, bytes) else piece.encode("utf-8", "replace")
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode()}


def _change(path: str, content: bytes | None, runnable: bool) -> dict[str, Any]:
    if content is None:
        return {"kind": "delete", "path": path}
    mode = {"mode": "755"} if runnable else {}
    return {"kind": "write", "path": path, **_content(content), **mode}


def _may_hold(path: str) -> bool:
    try:
        inside(path)
    except ValueError:
        return False
    return True


def _status(code: int | None) -> int:
    if code is None:
        return 255
    return code if 0 <= code <= 255 else 128 + min(-code, 127) if code < 0 else 255
