"""A playbook: which event of a task is followed by which role, as a table. Pure.

A role is an agent's; an act is done by muster itself. Each of them ends by saying one of a few
events, which the table leads on from, until an act ends the task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from muster.domain.agent import Role
from muster.domain.task import MANAGER, SOLO, Task

ASSIGNED = "task.assigned"
PLANNED = "task.plan.created"
OFFERED, OFFERED_AGAIN = "pr.created", "pr.updated"
REVIEWED, APPROVED, CHANGES = "pr.reviewed", "pr.approved", "pr.changes.requested"
MERGED, CLOSED = "pr.merged", "pr.closed"
DEPLOY, DEPLOYED, NOT_DEPLOYED = "deploy.requested", "deploy.completed", "deploy.failed"
VERIFIED, NOT_VERIFIED = "verify.passed", "verify.failed"
AUDIT, AUDITED = "audit.requested", "audit.completed"

ROUTED: Mapping[str, str] = {
    ASSIGNED: "a task begins its playbook",
    PLANNED: "a starter has analysed the task and planned it",
    OFFERED: "passed work was offered as a pull request",
    OFFERED_AGAIN: "the work of a pull request has changed",
    REVIEWED: "a reviewer has read it, and another one is to",
    APPROVED: "its reviewers approve of it",
    CHANGES: "a reviewer asks for changes",
    MERGED: "the work was merged into its target branch",
    CLOSED: "somebody closed the pull request unmerged",
    DEPLOY: "somebody wants merged work deployed",
    DEPLOYED: "a deployer has deployed it",
    NOT_DEPLOYED: "a deployer could not deploy it",
    VERIFIED: "a verifier found the deployment as it should be",
    NOT_VERIFIED: "a verifier found that it is not",
    AUDIT: "somebody wants a look for trouble",
    AUDITED: "an auditor has looked for trouble",
}
"""The events that playbooks of muster's own lead on from. Others may also take their own kinds."""

ORDERS = frozenset({ASSIGNED, DEPLOY, AUDIT})
"""Events that make a task where none is named, or where the one that is named has ended."""


SEEN = frozenset({PLANNED, OFFERED, OFFERED_AGAIN, REVIEWED, MERGED, CLOSED})
"""Events that muster itself makes or sees at a forge: nobody's word stands for them."""


class Act(StrEnum):
    """What muster itself does at an event."""

    MERGE = "merge"
    COMPLETE = "complete"
    BUG = "bug"
    ASK = "ask"
    FAIL = "fail"


SAYS: Mapping[str, tuple[str, ...]] = {
    Role.STARTER: (PLANNED, AUDIT),
    Role.CODING: (OFFERED, OFFERED_AGAIN),
    Role.REVIEWER: (REVIEWED, APPROVED, CHANGES),
    Role.DEPLOYER: (DEPLOYED, NOT_DEPLOYED),
    Role.VERIFIER: (VERIFIED, NOT_VERIFIED),
    Role.AUDITOR: (AUDITED,),
    Role.MANAGER: (),
    Act.MERGE: (MERGED,),
    Act.COMPLETE: (),
    Act.BUG: (),
    Act.ASK: (),
    Act.FAIL: (),
}
"""Which events each step may end with; those of a step that ends the task, or asks, are none."""

STEPS = tuple(map(str, SAYS))
DEFAULT_LIMIT, MOST_LIMIT = 3, 50
MOST_REVIEWERS = 5


@dataclass(frozen=True, slots=True)
class Playbook:
    """The table: for each event the role that is spawned by it, or the act.

    `limits` say how often an event may lead on in one task before a person is asked, `reviewers`
    how many have to agree about each state of a pull request, and `waits_for` which events come
    from outside, so that nothing in the table has to say them. Of what `verify.failed` makes, the
    limit counts the bugs of bugs.
    """

    name: str
    on: Mapping[str, str]
    limits: Mapping[str, int] = field(default_factory=dict)
    reviewers: int = 1
    waits_for: frozenset[str] = frozenset()

    @property
    def routed(self) -> bool:
        """Whether events lead its tasks on; else the first role is all there is."""
        return any(event != ASSIGNED for event in self.on)

    @property
    def first(self) -> str:
        """The step that a task begins with."""
        return self.on[ASSIGNED]

    @property
    def offers(self) -> bool:
        """Whether passed work becomes a pull request before it is merged."""
        return OFFERED in self.on or OFFERED in self.waits_for

    def as_json(self) -> dict[str, Any]:
        """As it is kept with a task."""
        return {
            "name": self.name,
            "on": dict(self.on),
            "limits": dict(self.limits),
            "reviewers": self.reviewers,
            "waits_for": sorted(self.waits_for),
        }

    def limit(self, event: str) -> int | None:
        """How often an event may lead on; None for as often as it comes."""
        return self.limits.get(event)

    def follows(self, event: str) -> str | None:
        """The step that an event leads to."""
        return self.on.get(event)


SOLO_BOOK = Playbook(SOLO, {ASSIGNED: str(Role.CODING)})
MANAGER_BOOK = Playbook(MANAGER, {ASSIGNED: str(Role.MANAGER)})
CREW, PART = "crew", "part"
_REVIEW = {
    OFFERED: str(Role.REVIEWER),
    OFFERED_AGAIN: str(Role.REVIEWER),
    REVIEWED: str(Role.REVIEWER),
    CHANGES: str(Role.CODING),
    APPROVED: str(Act.MERGE),
    CLOSED: str(Act.ASK),
}
CREW_BOOK = Playbook(
    CREW,
    {
        ASSIGNED: str(Role.STARTER),
        PLANNED: str(Role.CODING),
        **_REVIEW,
        MERGED: str(Role.DEPLOYER),
        DEPLOY: str(Role.DEPLOYER),
        DEPLOYED: str(Role.VERIFIER),
        NOT_DEPLOYED: str(Act.ASK),
        VERIFIED: str(Act.COMPLETE),
        NOT_VERIFIED: str(Act.BUG),
        AUDIT: str(Role.AUDITOR),
        AUDITED: str(Act.COMPLETE),
    },
    {CHANGES: DEFAULT_LIMIT, NOT_VERIFIED: DEFAULT_LIMIT},
)
PART_BOOK = Playbook(
    PART,
    {ASSIGNED: str(Role.CODING), **_REVIEW, MERGED: str(Act.COMPLETE)},
    {CHANGES: DEFAULT_LIMIT},
)
"""One repository's share of a task that spans several: planned, deployed and verified as a whole.

It is none that can be asked for.
"""

BEGIN, PARTS = "begin", "parts"
"""Steps of a task before the first event leads it on, and while its parts are under way."""


def role_of(task: Task) -> Role:
    """The role of a task's next or present agent; to what was to be merged a coder comes back."""
    if task.manages:
        return Role.MANAGER
    return Role(task.step) if task.step in list(Role) else Role.CODING


BUILT_IN: Mapping[str, Playbook] = {
    book.name: book for book in (SOLO_BOOK, MANAGER_BOOK, CREW_BOOK, PART_BOOK)
}


_ASIDE = frozenset({Act.ASK, Act.BUG, Act.FAIL})


def straight_way(book: Playbook, step: str) -> tuple[str, ...]:
    """The roles and merges after a step where nothing goes wrong, each once; its end is left out.

    From the step `begin` it is the whole way.
    """
    way = [step]
    while (following := _straight_on(book, way)) is not None:
        way.append(following)
    return tuple(way[1:])


def _straight_on(book: Playbook, way: list[str]) -> str | None:
    said = SAYS.get(way[-1], (ASSIGNED,))
    if not any(event in book.on for event in said) and said:
        # Somebody outside has the next word.
        said = tuple(event for event in book.on if event not in ROUTED)
    for event in said:
        step = book.on.get(event)
        if step == Act.COMPLETE:
            return None
        if step is not None and step not in way and step not in _ASIDE:
            return step
    return None


def faults_of(book: Playbook) -> Iterator[tuple[str, str]]:
    """What is wrong with a table, as the event it is about (or empty) and what to say of it.

    Wrong is: no beginning, an event that nothing follows, a way that never ends, and a circle that
    nothing bounds.
    """
    if ASSIGNED not in book.on:
        yield "", f"nothing follows {ASSIGNED}, so that no task can begin"
        return
    if not book.routed:
        return
    lost = list(_lost(book))
    yield from lost
    circle = _circle(book)
    if circle:
        named = " → ".join(circle)
        yield circle[0], f"these events lead to each other for ever: {named}; give one a limit"
    for event in book.on:
        if not lost and not _ends(book, event):
            yield event, f"from {event} no way leads to an end"


def _lost(book: Playbook) -> Iterator[tuple[str, str]]:
    for event, step in book.on.items():
        for said in SAYS[step]:
            if said not in book.on and said not in book.waits_for and said != REVIEWED:
                yield event, f"the {step} may say {said}, and nothing follows that"


def _next(book: Playbook, event: str) -> Iterable[str]:
    return (said for said in SAYS[book.on[event]] if said in book.on)


def _circle(book: Playbook) -> list[str]:
    """Events that lead to each other with no limit among them; empty when there are none."""
    free = [event for event in book.on if event not in book.limits]
    for start in free:
        path, seen = [start], {start}
        stack = [iter(_unlimited(book, start))]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                path.pop()
            elif following == start:
                return [*path, start]
            elif following not in seen:
                seen.add(following)
                path.append(following)
                stack.append(iter(_unlimited(book, following)))
    return []


def _unlimited(book: Playbook, event: str) -> list[str]:
    # How many reviewers read is bounded by their number.
    return [e for e in _next(book, event) if e not in book.limits and e != REVIEWED]


def _ends(book: Playbook, start: str) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        event = ahead.pop()
        if not SAYS[book.on[event]]:
            return True
        for said in SAYS[book.on[event]]:
            if said in book.waits_for:
                return True
            if said in book.on and said not in seen:
                seen.add(said)
                ahead.append(said)
    return False
