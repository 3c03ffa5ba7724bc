"""Text of strangers made harmless to show: what a terminal would obey is taken out."""

from __future__ import annotations

import re
from collections.abc import Sequence

RESET = "\x1b[0m"
_CLOSED = frozenset({"", RESET, "\x1b[m"})

# Patterns are compiled when first needed: a command line that shows nothing does not pay for them.
_INTRODUCER = r"(?:\x1b\[|\x9b)"
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS, SOS, PM, APC and their C1 forms
_INVISIBLE = (
    r"\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f"
)
_OBEYED = (
    r"(?P<sgr>\x1b\[[0-9;:]{0,64}m)"
    rf"|{_STRING}[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # its payload ends with its line at most
    rf"|{_INTRODUCER}[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<line>\r\n|\r|\x85|\u2028|\u2029|\x0b|\x0c)"
    r"|(?P<broken>[\ud800-\udfff])"
    rf"|[\x00-\x08\x0e-\x1f\x7f-\x9f{_INVISIBLE}]"
)
_NOT_TYPED = (
    r"\x1b(?!\[[0-9;:]{0,64}m)(?:\[[0-?]*[ -/]*[@-~])?"
    rf"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_INVISIBLE}]"
)
_HIDDEN = rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_INVISIBLE}]"
_UNFINISHED = rf"(?:{_STRING}[^\x07\x1b\x9c\n]*\x1b?|{_INTRODUCER}[0-?]*[ -/]*|\x1b[ -/]*|\r)\Z"
_LONGEST_HELD = 8192


def plain(text: str, *, colour: bool = False) -> str:
    """`text` without anything that moves a cursor, answers back, hides or reorders what is read.

    Kept are printable characters, tabs and line ends; a carriage return becomes a line end, so
    that nothing can be overwritten on a terminal. Removed are escape sequences, C0 and C1
    controls, direction marks and characters that show as nothing; half of a surrogate pair
    becomes U+FFFD. With `colour` the sequences that select graphic rendition stay, and a reset
    closes them.
    """
    shown, last = _clean(text, colour)
    return shown if last in _CLOSED else shown + RESET


def _clean(text: str, colour: bool) -> tuple[str, str]:
    """The harmless text and the last colour sequence that was kept in it."""
    if text.isprintable():
        return text, ""
    last = ""

    def stay(found: re.Match[str]) -> str:
        nonlocal last
        if found["line"]:
            return "\n"
        if found["broken"]:
            return "\ufffd"
        if found["sgr"] and colour:
            last = found["sgr"]
            return last
        return ""

    return re.sub(_OBEYED, stay, text), last


def plain_line(text: str, limit: int = 300) -> str:
    """`text` as one harmless line of at most `limit` characters; a cut ends in an ellipsis."""
    line = " ".join(plain(text[: limit * 8]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def pictured(text: str) -> str:
    """`text` with a sign in the place of each character that is obeyed or shows as nothing.

    For what a person decides on: unlike in `plain`, nothing that stands behind an escape is taken
    out with it. Controls become their pictures (␛), all others U+FFFD; tabs and line ends stay.
    """
    return re.sub(_HIDDEN, _sign, text.replace("\r\n", "\n"))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def few(words: Sequence[str], most: int = 3, longest: int = 120) -> str:
    """The first of some strangers' words, each in one line that is not too long; how many more."""
    more = len(words) - most
    shown = ", ".join(plain_line(word, longest) for word in words[:most])
    return shown + (f" and {more} more" if more > 0 else "")


def on_terminal(text: str) -> str:
    """What one terminal may be told of another: what is printable, colours, moves in the line.

    Unlike in `plain`, carriage returns and backspaces stay: whoever types there sees them act.
    """
    return re.sub(_NOT_TYPED, "", text)


class Cleaner:
    """`plain` for a stream whose pieces may end in the middle of an escape sequence."""

    def __init__(self, *, colour: bool = False) -> None:
        self._colour = colour
        self._held = ""
        self._last = ""

    def feed(self, text: str) -> str:
        """What can be shown by now; the start of an unfinished sequence is held for the next."""
        text = self._held + text
        done = max(0, len(text) - _LONGEST_HELD)
        cut = re.search(_UNFINISHED, text[done:])
        done = done + cut.start() if cut else len(text)
        self._held = text[done:]
        shown, last = _clean(text[:done], self._colour)
        self._last = last or self._last
        return shown

    def rest(self) -> str:
        """What was held when the stream ended, and the end of its colour."""
        shown, last = _clean(self._held, self._colour)
        closed = (last or self._last) in _CLOSED
        self._held = self._last = ""
        return shown if closed else shown + RESET


def fence(text: str) -> str:
    """`text` as a block of Markdown that nothing in it can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}text\n{text}\n{marks}"
