"""A diff cut to a size: whole files, then whole hunks, and what was left out is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from muster.domain.plain import plain_line
from muster.knowledge.prompts import listed

_FILE = re.compile(r"^(?=diff --git )", re.MULTILINE)
_HUNK = re.compile(r"^(?=@@ )", re.MULTILINE)
_NOTE = 90
"""Characters that saying what was left out of one file takes at most, besides its name."""
_NAMES = 1_500
"""Characters for the names of files that were left out."""


@dataclass(frozen=True, slots=True)
class _File:
    """One file's part of a diff: what stands before its hunks, and these."""

    head: str
    hunks: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join((self.head, *self.hunks))

    @property
    def name(self) -> str:
        """What it is called, as its first line says it."""
        first = self.head.split("\n", 1)[0].removeprefix("diff --git ")
        return plain_line(first.partition(" b/")[2] or first, 200)


def cut_diff(diff: str, most: int) -> str:
    """A diff as git prints it, within about `most` characters.

    Small files come whole before large ones are cut; of these the first hunks stay. All stays in
    its order.
    """
    if len(diff) <= most:
        return diff
    files = [_read(text) for text in _FILE.split(diff) if text]
    given = _shared([len(each.text) for each in files], most - _NAMES)
    shown, left_out = list[str](), list[str]()
    for each, size in zip(files, given, strict=True):
        text = _cut(each, size)
        if text:
            shown.append(text)
        else:
            left_out.append(f"{each.name} ({_counts(each.text)})")
    if left_out:
        names = listed(left_out, _NAMES)
        shown.append(f"[left out, {len(left_out)} of {len(files)} files:\n{names}]\n")
    return "".join(shown)


def _read(text: str) -> _File:
    head, *hunks = _HUNK.split(text)
    return _File(head, tuple(hunks))


def _shared(sizes: Sequence[int], most: int) -> list[int]:
    """How much each may have: the smallest what they need, the others alike of what is left."""
    given = [0] * len(sizes)
    left = max(0, most)
    order = sorted(range(len(sizes)), key=lambda n: sizes[n])
    for place, n in enumerate(order):
        given[n] = min(sizes[n], left // (len(order) - place))
        left -= given[n]
    return given


def _cut(each: _File, most: int) -> str:
    """The file as far as there is room for it; nothing where not even a hunk's part fits."""
    if len(each.text) <= most:
        return each.text
    kept, left = list[str](), most - len(each.head) - _NOTE
    for hunk in each.hunks:
        if len(hunk) > left:
            break
        kept.append(hunk)
        left -= len(hunk)
    if not kept:
        begun = _beginning(each.hunks[0], left) if each.hunks else ""
        if not begun:
            return ""
        rest = len(each.hunks) - 1
        more = f" and {rest} more hunks" if rest else ""
        return f"{each.head}{begun}[the rest of this hunk{more} left out]\n"
    return f"{each.head}{''.join(kept)}[{len(each.hunks) - len(kept)} more hunks left out]\n"


def _beginning(hunk: str, most: int) -> str:
    """The first whole lines of a hunk, more than its head; else nothing."""
    if most <= 0:
        return ""
    end = hunk.rfind("\n", 0, most) + 1
    return hunk[:end] if hunk.count("\n", 0, end) > 1 else ""


def _counts(text: str) -> str:
    added = len(re.findall(r"^\+(?!\+\+ )", text, re.MULTILINE))
    removed = len(re.findall(r"^-(?!-- )", text, re.MULTILINE))
    return f"+{added} -{removed}"
