"""What muster itself says to a model: templates beside each other, filled in with facts.

A template is a file in `prompts/`; `$name` stands for a fact, and each must be given. What
strangers wrote goes through `data` first, which marks it as such.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

from muster.domain.plain import plain

_FOLDER = Path(__file__).with_name("prompts")
_LINE = "=" * 3


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / f"{name}.txt").read_text("utf-8"))


def render(name: str, **facts: object) -> str:
    """The template of this name with its facts.

    Raises:
        KeyError: a fact is missing.
    """
    return _template(name).substitute(facts).strip() + "\n"


def data(text: str, most: int = 20_000) -> str:
    """What a stranger wrote, cut where it is long, between lines that nothing in it passes for."""
    clean = plain(text).strip("\n")
    shown = clean if len(clean) <= most else f"{clean[:most]}\n[{len(clean) - most} more left out]"
    longest = max(
        (len(line) for line in shown.split("\n") if set(line.strip()) == {"="}), default=2
    )
    line = "=" * max(len(_LINE), longest + 1)
    return f"{line}\n{shown}\n{line}"


def listed(lines: list[str], most: int) -> str:
    """Lines until they are too long together; how many were left out is said."""
    shown, left = list[str](), most
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    more = len(lines) - len(shown)
    return "\n".join([*shown, f"[{more} more left out]"] if more else shown)
