"""A playbook's file: from a person's or a stranger's YAML to a table, or every fault with its line.

```yaml
name: careful            # as the file is called
on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 5}
reviewers: 2
waits_for: [ci.finished]
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.playbook import (
    BUILT_IN,
    MOST_LIMIT,
    MOST_REVIEWERS,
    ROUTED,
    STEPS,
    Playbook,
    faults_of,
)
from muster.supervision.condition import Fault, Given
from muster.supervision.rules_yaml import values_of

FOLDER = ".muster/playbooks"
_MOST_EVENTS = 100
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z0-9_]{1,40}){1,4}")
_KEYS = ("name", "on", "limits", "reviewers", "waits_for")


def read_playbook(data: bytes, name: str) -> tuple[Playbook | None, tuple[Fault, ...]]:
    """The playbook that a file called `name`.yaml holds; None, with its faults, if it is none."""
    faults: list[Fault] = []
    tree = values_of(data, faults)
    book = _document(tree, name) if tree is not None else None
    if tree is not None:
        faults += [fault for fault in tree.told if fault not in faults]
    return (None if faults else book), tuple(sorted(faults, key=lambda fault: fault.line))


def playbook_of(text: str, name: str, where: str) -> Playbook:
    """The same, or an error that names the file, its first line with a fault, and what mends it.

    Raises:
        Invalid: it is no playbook.
    """
    book, faults = read_playbook(text.encode("utf-8", "replace"), name)
    if book is None:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Invalid(f"{where}, line {first.line}: {first.what}{more}", hint=first.remedy)
    return book


def _document(tree: Given, name: str) -> Playbook | None:
    tree.name = "the playbook"
    top = tree.table(_KEYS, needs="on")
    if "on" not in top:
        return None
    if not _NAME.fullmatch(name) or name in BUILT_IN or name == "plan":
        tree.wrong(
            f"'{name}' cannot be the name of a playbook",
            "name the file with small letters, digits and dashes, and like none that comes along",
        )
    if "name" in top and top["name"].text() != name:
        top["name"].wrong(f"it calls itself '{top['name'].value}'", f"its file is {name}.yaml")
    on = _on(top["on"])
    waits = _events(top["waits_for"]) if "waits_for" in top else ()
    book = Playbook(
        name,
        {event: step for event, (step, _) in on.items()},
        _limits(top["limits"], on) if "limits" in top else {},
        int(top["reviewers"].number(1, MOST_REVIEWERS)) if "reviewers" in top else 1,
        frozenset(waits),
    )
    if not tree.told:
        _whole(book, on, top["on"])
    return book


def _on(given: Given) -> dict[str, tuple[str, Given]]:
    """Events with the step that follows, and where that is said."""
    given.name = "'on'"
    if not isinstance(given.value, dict):
        given.wrong("'on' is not a mapping", "write EVENT: ROLE, one to a line")
        return {}
    if len(given.value) > _MOST_EVENTS:
        given.wrong(f"'on' has {len(given.value)} events", f"at most {_MOST_EVENTS} are taken")
    found = {}
    for event, step in list(given.value.items())[:_MOST_EVENTS]:
        step.name = f"what follows {event[:60]}"
        _refuse_odd(event, step)
        if not isinstance(step.value, str) or step.value not in STEPS:
            step.wrong(
                f"'{str(step.value)[:60]}' is no role and nothing that muster does",
                f"one of {', '.join(STEPS)}",
            )
            continue
        found[event] = (step.value, step)
    return found


def _refuse_odd(event: str, at: Given) -> None:
    ours = event.split(".")[0] in {known.split(".")[0] for known in ROUTED}
    if not _EVENT.fullmatch(event) or (ours and event not in ROUTED):
        at.wrong(
            f"'{event[:60]}' is no event that leads a task on",
            f"one of {', '.join(ROUTED)}, or a kind of your own such as ci.finished",
        )


def _events(given: Given) -> tuple[str, ...]:
    given.name = "'waits_for'"
    found = given.texts()
    for event in found:
        _refuse_odd(event, given)
    return found


def _limits(given: Given, on: Mapping[str, Any]) -> dict[str, int]:
    given.name = "'limits'"
    if not isinstance(given.value, dict):
        given.wrong("'limits' is not a mapping", "write EVENT: NUMBER, one to a line")
        return {}
    found = {}
    for event, number in given.value.items():
        number.name = f"the limit of {event[:60]}"
        if event not in on:
            number.wrong(f"'{event[:60]}' is not in 'on'", "limit an event that leads on")
        found[event] = int(number.number(1, MOST_LIMIT))
    return found


def _whole(book: Playbook, on: Mapping[str, tuple[str, Given]], top: Given) -> None:
    """Tell what is wrong with the table as a whole, where it begins."""
    for event, what in faults_of(book):
        at = on[event][1] if event in on else top
        at.wrong(what, "see docs/crew.md: every way leads to an end, and circles have a limit")
