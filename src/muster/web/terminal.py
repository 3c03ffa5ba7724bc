"""Output of a program as lines of safe HTML: colours stay, every other escape goes.

`static/terminal.js` does the same in the browser for what comes later; both read the cases in
`tests/web/terminal_cases.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup, escape

TOKEN = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other control sequences
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\|$)"  # titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\|$)"  # device control, messages
    r"|\x1b[ -/]*[0-~]?"
    r"|(?P<break>\r*\n)|(?P<home>\r)|(?P<back>\x08)"
    r"|[\x00-\x07\x0b-\x1f\x7f-\x9f]"
    r"|(?P<reorder>[\u202a-\u202e\u2066-\u2069])"
)
REORDERED = "\ufffd"
"""Stands where a mark would have changed the order of what is read."""


@dataclass(frozen=True, slots=True)
class Style:
    """How the next characters look; `fg` and `bg` are 0 to 15 or None."""

    fg: int | None = None
    bg: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False

    @property
    def classes(self) -> str:
        """The classes of a span in this style; empty for the plain one."""
        names = [
            f"f{self.fg}" if self.fg is not None else "",
            f"k{self.bg}" if self.bg is not None else "",
            "tb" if self.bold else "",
            "td" if self.dim else "",
            "ti" if self.italic else "",
            "tu" if self.underline else "",
            "tv" if self.inverse else "",
        ]
        return " ".join(filter(None, names))


PLAIN = Style()


def nearest(red: int, green: int, blue: int) -> int | None:
    """The one of the 16 colours that stands for any other; None for the normal text colour."""
    low, high = min(red, green, blue), max(red, green, blue)
    if high - low < 40:
        return 8 if high < 150 else None if high < 230 else 15
    half = (low + high) / 2
    return (red > half) + 2 * (green > half) + 4 * (blue > half) + (8 if high > 200 else 0)


def of_256(index: int) -> int | None:
    """A colour of the 256 as one of the 16."""
    if index < 16:
        return index
    if index > 231:
        return nearest(*[8 + 10 * (index - 232)] * 3)
    levels = (0, 95, 135, 175, 215, 255)
    cube = index - 16
    return nearest(levels[cube // 36], levels[cube // 6 % 6], levels[cube % 6])


_FLAGS: dict[int, str] = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse"}
_OFF = {23: "italic", 24: "underline", 27: "inverse"}


def _colour(codes: Iterator[int]) -> int | None:
    """What follows 38 or 48: `5;n` or `2;r;g;b`."""
    kind = next(codes, 0)
    if kind == 5:
        return of_256(min(next(codes, 0), 255))
    if kind == 2:
        return nearest(next(codes, 0), next(codes, 0), next(codes, 0))
    return None


def _changed(style: Style, name: str, value: int | None) -> Style:
    """The style with one of its fields changed."""
    changes: dict[str, Any] = {name: value}
    return replace(style, **changes)


def _simple(style: Style, code: int) -> Style:
    if code in _FLAGS:
        return _changed(style, _FLAGS[code], True)
    if code in _OFF:
        return _changed(style, _OFF[code], False)
    if code == 22:
        return replace(style, bold=False, dim=False)
    for start, name, base in ((30, "fg", 0), (40, "bg", 0), (90, "fg", 8), (100, "bg", 8)):
        if start <= code < start + 8:
            return _changed(style, name, code - start + base)
    if code in {39, 49}:
        return _changed(style, "fg" if code == 39 else "bg", None)
    return style


def styled(style: Style, parameters: str) -> Style:
    """The style after one SGR sequence."""
    codes = iter([int(p[:6] or 0) for p in re.split("[;:]", parameters)])
    for code in codes:
        if code == 0:
            style = PLAIN
        elif code in {38, 48}:
            style = _changed(style, "fg" if code == 38 else "bg", _colour(codes))
        else:
            style = _simple(style, code)
    return style


@dataclass(slots=True)
class Screen:
    """Turns text into lines; a return to the line's start lets what follows replace the line."""

    style: Style = PLAIN
    parts: list[tuple[Style, str]] = field(default_factory=list)
    home: bool = False

    def feed(self, text: str) -> Iterator[Markup]:
        """The lines that `text` completes; the last, unfinished one stays in `rest`."""
        end = 0
        for found in TOKEN.finditer(text):
            self._write(text[end : found.start()])
            end = found.end()
            if found["break"]:
                yield self.rest
                self.parts, self.home = [], False
            else:
                self._control(found)
        self._write(text[end:])

    def _control(self, found: re.Match[str]) -> None:
        if found["sgr"] is not None:
            self.style = styled(self.style, found["sgr"])
        elif found["home"]:
            self.home = True
        elif found["back"]:
            self._erase()
        elif found["reorder"]:
            self._write(REORDERED)

    def _write(self, text: str) -> None:
        if not text:
            return
        if self.home:
            self.parts, self.home = [], False
        self.parts.append((self.style, text))

    def _erase(self) -> None:
        if self.parts:
            style, text = self.parts.pop()
            if len(text) > 1:
                self.parts.append((style, text[:-1]))

    @property
    def rest(self) -> Markup:
        """The unfinished line as HTML."""
        return Markup("").join(_span(style, text) for style, text in self.parts)


def _span(style: Style, text: str) -> Markup:
    classes = style.classes
    return Markup('<span class="{}">{}</span>').format(classes, text) if classes else escape(text)


def lines(text: str) -> list[Markup]:
    """Some output as lines, each as safe HTML."""
    screen = Screen()
    found = list(screen.feed(text))
    rest = screen.rest
    return [*found, rest] if rest else found
