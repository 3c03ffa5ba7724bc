"""What an agent may do: the rules that answer its requests, and what a person's answer means.

A rule reads `allow Read`, `deny Bash(git push*)`, `ask mcp__*`: what becomes of a request whose
tool, and whose input, the patterns mean. The first rule that means a request answers it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.verdict import Answer

LONGEST_RULE = 500
_FORM = re.compile(r"(?P<effect>allow|deny|ask)\s+(?P<tool>[\w.*:/-]+)(?:\((?P<input>.+)\))?")
_JOINS = frozenset(";&|<>`$()\n\r\\\x00")
"""What makes several commands of one, or other text of a text."""


class Permissions(StrEnum):
    """Who answers an agent that asks: nobody, rules alone, or rules and then a person."""

    BYPASS = "bypass"
    RULES = "rules"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer for every request of some kind; `text` is how it was written."""

    effect: str
    tool: str
    input: str | None
    text: str

    def means(self, tool: str, subject: str | None) -> bool:
        """Whether it speaks about a use of `tool` on `subject` (None: too long to be judged)."""
        if not fnmatchcase(tool, self.tool):
            return False
        if self.input is None:
            return True
        if subject is None or not _matches(self.input, subject):
            return False
        return self.effect != "allow" or _adds_nothing(self.input, subject)


def rule_of(text: str) -> Rule:
    """A rule as a person writes it.

    Raises:
        Invalid: it is none.
    """
    found = _FORM.fullmatch(text.strip()) if len(text) <= LONGEST_RULE else None
    if found is None:
        raise Invalid(
            f"'{text[:80]}' is no rule for permissions",
            hint="write 'allow TOOL', 'deny TOOL(INPUT)' or 'ask TOOL', with * for anything",
        )
    return Rule(found["effect"], found["tool"], found["input"], text.strip())


def ruling(rules: Sequence[Rule], tool: str, subject: str | None) -> Rule | None:
    """The first rule about a request, if one can be told.

    A rule about inputs cannot be told of an input that is too long: then none is.
    """
    for rule in rules:
        if subject is None and rule.input is not None and fnmatchcase(tool, rule.tool):
            return None
        if rule.means(tool, subject):
            return rule
    return None


def permitted(
    options: Sequence[str], shown: Mapping[str, Any], answer: str, note: str
) -> tuple[Answer, str]:
    """A person's answer to a request, checked, with the note as it is kept.

    The note is told to the agent that is denied; with `edit` it holds the inputs to change, as
    JSON. Those that stay as they were shown are left out: what is shown may have been cut.

    Raises:
        Invalid: the request does not take this answer.
    """
    wanted = answer.strip().lower()
    if wanted not in options:
        raise Invalid(
            f"'{answer[:60]}' does not answer a request for permission",
            hint=f"answer with one of: {', '.join(options)}",
        )
    chosen = Answer(wanted)
    return chosen, json.dumps(_edited(shown, note)) if chosen is Answer.EDIT else note.strip()


def _edited(shown: Mapping[str, Any], note: str) -> dict[str, Any]:
    try:
        given = json.loads(note)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Invalid(
            "the inputs to change are not a JSON object",
            hint='give them as the note, for example {"command": "ls"}',
        )
    unknown = sorted(set(given) - set(shown))
    if unknown:
        raise Invalid(
            f"the request has no input '{unknown[0][:60]}'", hint=f"inputs: {', '.join(shown)}"
        )
    changed = {name: value for name, value in given.items() if value != shown[name]}
    if not changed:
        raise Invalid("no input is changed", hint="change one, or answer with allow")
    return changed


def _matches(pattern: str, text: str) -> bool:
    """Whether `text` is the pattern with anything for each `*`; never slower than the text."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return text.endswith(last)


def _adds_nothing(pattern: str, text: str) -> bool:
    """Whether what stands for the `*` can neither begin another command nor climb out of a path."""
    more = Counter(c for c in text if c in _JOINS) - Counter(c for c in pattern if c in _JOINS)
    return not more and text.count("..") <= pattern.count("..")
