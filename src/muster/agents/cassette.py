"""Cassettes: recorded runs as JSON lines, so that they can be played again without a model.

One object per line; `t` is seconds since the start of the take (missing: no later than the last).

    {"kind": "cassette", "version": 1, "source": "claude 2.1.329", "dialect": "claude"}
        the first line; it may be missing. `dialect` says how the output reads: text, claude,
        codex or acp; where it does not, the output's own look decides.
    {"kind": "take"}
        a further take starts here; attempt N plays take N, and the last one is played again.
    {"t": 0.2, "kind": "out", "text": "…"}        or "data": base64 for bytes that are no text
    {"t": 0.2, "kind": "err", "text": "…"}
    {"t": 0.4, "kind": "write", "path": "a/b.py", "text": "…", "mode": "755"}    mode is octal
    {"t": 0.5, "kind": "delete", "path": "old.py"}
    {"t": 0.9, "kind": "exit", "code": 0}         the end of a take; missing: 0

Paths are relative to the workspace and cannot leave it or reach into `.git`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid

VERSION = 1
LARGEST = 64 * 1024 * 1024
LONGEST_SECONDS = 7 * 24 * 3600.0
DIALECTS = ("text", "claude", "codex", "acp")
_INIT = b'{"type":"system","subtype":"init"'
_FIRST = 5
_KINDS = frozenset({"cassette", "take", "out", "err", "write", "delete", "exit"})


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happens in a take, `t` seconds after its start."""

    kind: str
    t: float
    data: bytes = b""
    path: str = ""
    mode: int = 0o644
    code: int = 0


@dataclass(frozen=True, slots=True)
class Cassette:
    """A recording: where it came from, and its takes."""

    takes: tuple[tuple[Line, ...], ...]
    source: str = ""
    dialect: str = "text"

    def take(self, attempt: int) -> tuple[Line, ...]:
        """The take for an attempt, counted from 1; the last one when there are fewer."""
        return self.takes[min(max(attempt, 1), len(self.takes)) - 1]


def read(path: Path) -> Cassette:
    """A cassette from a file.

    Raises:
        Invalid: it cannot be read or is no cassette; the message names the file and the line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        said = error.strerror or error
        raise Invalid(
            f"the cassette {path} cannot be read: {said}", hint="name a file made by muster record"
        ) from error
    if len(data) > LARGEST:
        raise Invalid(f"the cassette {path} is larger than {LARGEST} bytes", hint="use another")
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Cassette:
    """A cassette called `name` from its bytes.

    Raises:
        Invalid: it is no cassette; the message names the line.
    """
    header: Mapping[str, Any] = {}
    takes: list[list[Line]] = [[]]
    for number, raw in enumerate(data.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            values = _object(raw)
            if values["kind"] == "cassette":
                header = _header(values, first=not header and takes == [[]])
            elif values["kind"] == "take":
                takes += [[]] if takes[-1] else []
            else:
                _add(takes[-1], values)
        except ValueError as error:
            raise Invalid(
                f"line {number} of the cassette {name}: {error}", hint="correct that line"
            ) from error
    whole = tuple(tuple(take) for take in takes if take)
    if not whole:
        raise Invalid(f"the cassette {name} holds nothing to play", hint="record it again")
    return Cassette(whole, header.get("source", ""), header.get("dialect") or _looks_like(whole[0]))


def _looks_like(take: Sequence[Line]) -> str:
    """The dialect of a take, by how its first lines of output begin."""
    first = [line.data for line in take if line.kind == "out"][:_FIRST]
    begun = b"".join(first).splitlines()[:_FIRST]
    return "claude" if any(line.startswith(_INIT) for line in begun) else "text"


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not a JSON object") from error
    kind = values.get("kind") if isinstance(values, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"its kind is none of {', '.join(sorted(_KINDS))}")
    return dict(values)


def _header(values: Mapping[str, Any], *, first: bool) -> Mapping[str, Any]:
    if not first:
        raise ValueError("the cassette line is not the first")
    if values.get("version", VERSION) != VERSION:
        raise ValueError(f"version {values['version']!r} is not known; this is version {VERSION}")
    if values.get("dialect", "text") not in DIALECTS:
        raise ValueError(f"the dialect is none of {', '.join(DIALECTS)}")
    if not isinstance(values.get("source", ""), str):
        raise ValueError("the source is not a text")
    return values


def _add(take: list[Line], values: Mapping[str, Any]) -> None:
    if take and take[-1].kind == "exit":
        raise ValueError("it comes after the exit of its take")
    kind = values["kind"]
    t = _seconds(values.get("t", take[-1].t if take else 0.0))
    if kind == "exit":
        take.append(Line(kind, t, code=_whole(values.get("code", 0), 0, 255)))
    elif kind == "delete":
        take.append(Line(kind, t, path=inside(values.get("path"))))
    elif kind == "write":
        mode = _mode(values.get("mode", "644"))
        take.append(Line(kind, t, _bytes(values), inside(values.get("path")), mode))
    else:
        take.append(Line(kind, t, _bytes(values)))


def inside(path: Any) -> str:
    """A path that stays inside the workspace and out of its `.git`.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(path, str) or not path or "\x00" in path:
        raise ValueError("its path is not a text")
    path.encode()  # a lone surrogate is no text either: UnicodeEncodeError is a ValueError
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or parts[0].casefold() == ".git":
        raise ValueError(f"its path {path!r} does not stay inside the workspace")
    return path


def _seconds(value: Any) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fine or math.isnan(value) or not 0 <= value <= LONGEST_SECONDS:
        raise ValueError("its t is not a number of seconds")
    return float(value)


def _whole(value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"its code is not a whole number from {low} to {high}")
    return value


def _mode(value: Any) -> int:
    """The mode of a file, octal digits or a number; only whether it can be run is kept."""
    if isinstance(value, str) and 0 < len(value) <= 6 and set(value) <= set("01234567"):
        value = int(value, 8)
    if not isinstance(value, int):
        raise ValueError('its mode is not octal digits, such as "755"')
    return 0o755 if value & 0o100 else 0o644


def _bytes(values: Mapping[str, Any]) -> bytes:
    text, data = values.get("text"), values.get("data")
    if isinstance(text, str) and data is None:
        return text.encode("utf-8", "surrogatepass")
    if isinstance(data, str) and text is None:
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("its data is not base64") from error
    raise ValueError("it needs either text or data (base64)")
