"""YAML as plain values with their lines, or the fault that makes it none.

Of YAML only plain data is taken: no aliases, no tags, no second document, YAML 1.2's true, false
and null. The text is read as events, so that nothing in it makes an object, and no nesting is too
deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from muster.domain.plain import plain_line
from muster.supervision.condition import Fault, Given

LARGEST = 64 * 1024
_DEEPEST = 12
_WHOLE = re.compile(r"[-+]?[0-9]{1,15}")
_REAL = re.compile(r"[-+]?(?:[0-9]{1,15}\.[0-9]{0,15}|\.[0-9]{1,15})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def values_of(data: bytes, faults: list[Fault]) -> Given | None:
    """The document as values with lines; None, with a fault told, when there is none."""
    if len(data) > LARGEST:
        faults.append(
            Fault(1, f"the file has {len(data)} bytes", f"at most {LARGEST} are read; shorten it")
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.append(Fault(line, "the file is not UTF-8", "save it as UTF-8"))
        return None
    try:
        return _Tree(faults).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = plain_line(f"{error.context or ''} {error.problem or ''}", 200)
        faults.append(
            Fault(
                (mark.line if mark else 0) + 1,
                f"this is not YAML: {what or 'it cannot be read'}",
                "check indentation, colons, quotes and brackets here and just above",
            )
        )
    except (yaml.YAMLError, ValueError) as error:
        at = getattr(error, "position", 0)
        faults.append(
            Fault(
                text.count("\n", 0, at if isinstance(at, int) else 0) + 1,
                "the file holds a character that YAML does not take",
                "remove control characters",
            )
        )
    return None


class _Tree:
    """Builds values from YAML's events, with a stack of its own instead of recursion."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._documents = 0
        self._stack: list[Given] = []
        self._names: list[Given | None] = []
        self._root: Given | None = None

    def build(self, events: Iterator[Any]) -> Given | None:
        for event in events:
            if not self._take(event):
                return None
        return self._root or Given(None, 1, told=self._faults)

    def _take(self, event: Any) -> bool:
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    return self._stop(line, "a second document begins", "remove the line ---")
            case yaml.AliasEvent():
                return self._stop(line, "aliases (*name) are not taken", "write the value out")
            case yaml.ScalarEvent() | yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                return self._value(event, line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._stack.pop()
                self._names.pop()
        return True

    def _value(self, event: Any, line: int) -> bool:
        if event.anchor is not None:
            return self._stop(line, "anchors (&name) are not taken", "remove the anchor")
        if event.tag is not None and event.tag != "!":
            return self._stop(line, f"the tag {event.tag} is not taken", "remove the tag")
        if isinstance(event, yaml.ScalarEvent):
            self._put(Given(_scalar(event), line, told=self._faults))
            return True
        if len(self._stack) >= _DEEPEST:
            return self._stop(line, f"values are nested deeper than {_DEEPEST}", "flatten them")
        empty: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        made = Given(empty, line, told=self._faults)
        self._put(made)
        self._stack.append(made)
        self._names.append(None)
        return True

    def _put(self, made: Given) -> None:
        if not self._stack:
            self._root = made
            return
        around = self._stack[-1]
        if isinstance(around.value, list):
            made.name = around.name
            around.value.append(made)
            return
        name = self._names[-1]
        if name is None:
            self._names[-1] = made
            return
        self._names[-1] = None
        if not isinstance(name.value, str):
            shown = plain_line(repr(name.value), 40)
            name.wrong(f"a key is not a text: {shown}", "put it in quotes")
            return
        made.name = name.value
        if name.value in around.value:
            first = around.value[name.value].line
            remedy = f"keep one; the first is in line {first}"
            name.wrong(f"'{name.value[:60]}' is here twice", remedy)
            return
        around.value[name.value] = made

    def _stop(self, line: int, what: str, remedy: str) -> bool:
        self._faults.append(Fault(line, what, remedy))
        return False


def _scalar(event: Any) -> Any:
    """A plain scalar as YAML 1.2's core schema has it: `no` and `off` are words."""
    text: str = event.value
    if event.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text
