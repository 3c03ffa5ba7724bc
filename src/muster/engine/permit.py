"""What an agent asks leave for: answered by a rule at once, or by a person whenever they do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from muster.agents.base import Answer, Session
from muster.domain.agent import Agent
from muster.domain.errors import Invalid
from muster.domain.permission import Permissions, rule_of, ruling
from muster.domain.task import Task
from muster.domain.verdict import Answer as Said
from muster.domain.verdict import Breakpoint, BreakpointKind
from muster.engine.overseer import Overseer, told_of
from muster.engine.points import at_work
from muster.engine.tools import Tools, job_at
from muster.failpoint import failpoint
from muster.store import breakpoint_rules, permissions
from muster.store.base import Tx
from muster.store.checkpoints import LABEL_LENGTH
from muster.store.judgements import NewBreakpoint
from muster.supervision.rules import Match, holding

_NO_RULE = (
    "No rule of this project allows this, and nobody is asked. Find another way, or end and say"
    " what you would have needed."
)


@dataclass(slots=True)
class Permits:
    """The requests of one run, each put once and answered once, whoever of us is killed meanwhile.

    A request is outstanding for as long as the session says so, that is: until its answer is in
    the run's record. What was decided about it is in the store before it is said.
    """

    tools: Tools
    task: Task
    agent: Agent
    session: Session
    overseer: Overseer
    _new: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _put: set[str] = field(default_factory=set)
    _decided: dict[str, Mapping[str, Any]] | None = None

    def asked(self, request: Mapping[str, Any]) -> None:
        """Take a request in, as its fact tells it."""
        self._new[str(request["id"])] = request

    async def due(self, look: bool) -> bytes:
        """What is to be said now; `look` for answers of people as well."""
        new, self._new = self._new, {}
        waiting = set(self.session.waiting)
        data = b"".join([await self._begin(new[n]) for n in new if n in waiting])
        for request in self._put - waiting:
            self._put.discard(request)
            await self.tools.store.write(permissions.give_up, self.task, self.agent.id, request)
        if self._put and (look or new):
            data += await self._answers()
        return data

    async def _begin(self, asked: Mapping[str, Any]) -> bytes:
        """Answer a new request, or put it to a person; one that is known goes on as it was."""
        store, request = self.tools.store, str(asked["id"])
        if self._decided is None:
            self._decided = await store.read(permissions.ruled, self.task.id, self.agent.id)
            known = await store.read(permissions.of_agent, self.task.id, self.agent.id)
            self._put |= set(known) & set(self.session.waiting)
        if request in self._put:
            return b""
        ruled = self._decided.get(request)
        if ruled is None:
            ruled = await self._ruled(asked)
            matches = await self._risks(asked) if ruled is None or _allows(ruled) else ()
            if ruled is None or holding(matches):
                question = _question(self.agent, asked, matches, is_far=self._is_far)
                await store.write(_put, self.task, self.agent, question, holding(matches))
                self._put.add(request)
                return b""
            if matches:
                await self._keep(_before(asked))
            await store.write(permissions.rule, self.task, self.agent.id, ruled)
        return self._say(request, Answer(_allows(ruled), message=str(ruled["message"])))

    async def _risks(self, asked: Mapping[str, Any]) -> tuple[Match, ...]:
        """The rules of breakpoints that hold for this request, whoever may answer it.

        Those that only notify are told; the others put it to a person.
        """
        matches = self.overseer.asked(str(asked["tool"]), asked.get("subject"))
        held = holding(matches)
        for match in matches:
            if match not in held:
                await self.overseer.tell(match)
        return matches

    @property
    def _is_far(self) -> bool:
        """Whether the files are on another machine, where they cannot be kept as they are now."""
        return self.tools.runtime(self.agent.runtime).distance.carried

    async def _keep(self, label: str) -> None:
        """Keep the work as it is, before the program hears that it may go on with a risky step.

        Again after a crash keeps the same once: it has waited since.
        """
        if self._is_far:
            return
        point = replace(await at_work(self.tools, self.task), label=label)
        await self.tools.store.write(permissions.keep, self.task, point)
        failpoint("permission.kept")

    async def _ruled(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the rules, as they are now, say to a request; None leaves it to a person."""
        mode, message = self.agent.permissions, ""
        effect, by = "allow", f"permissions = {mode}"
        if mode is not Permissions.BYPASS:
            job = await job_at(self.tools, self.task, str(self.task.base_commit))
            settings = job.settings
            rules = [rule_of(text) for text in settings.permission_rules or ()]
            found = ruling(rules, str(asked["tool"]), asked.get("subject"))
            if found is not None:
                effect, by = found.effect, found.text
                message = f"The rule '{by}' forbids this. Find another way."
            elif mode is Permissions.RULES:
                effect, message = "deny", _NO_RULE
            else:
                return None
        if effect == "ask":
            return None
        return {
            "request": str(asked["id"]),
            "tool": asked["tool"],
            "summary": asked["summary"],
            "answer": effect,
            "by": by,
            "message": "" if effect == "allow" else message,
        }

    async def _answers(self) -> bytes:
        """The answers of people that are there by now."""
        found = await self.tools.store.read(permissions.of_agent, self.task.id, self.agent.id)
        answered = [n for n in self._put if not found[n].open]
        for answer, label in ((found[n], found[n].evidence.get("checkpoint")) for n in answered):
            if label and _answer(answer).allow:
                await self._keep(str(label))
        self._put.difference_update(answered)
        return b"".join(self._say(n, _answer(found[n])) for n in answered)

    def _say(self, request: str, answer: Answer) -> bytes:
        try:
            return self.session.answer(request, answer)
        except Invalid as error:
            # What it asked for and what it takes as an answer do not fit: then it is not allowed.
            return self.session.answer(request, Answer(allow=False, message=error.detail))


def _allows(ruled: Mapping[str, Any]) -> bool:
    return bool(ruled["answer"] == Said.ALLOW)


def _before(asked: Mapping[str, Any]) -> str:
    """What the checkpoint before a risky step is called."""
    return f"before: {' '.join(str(asked['summary']).split())}"[:LABEL_LENGTH]


def _put(tx: Tx, task: Task, agent: Agent, question: NewBreakpoint, held: Sequence[Match]) -> None:
    """Put a request to a person, with the rules of breakpoints that hold for it."""
    permissions.put(tx, task, question)
    for match in held:
        tx.emit(breakpoint_rules.event_of(task, agent.id, told_of(match, "request")))


def _question(
    agent: Agent, asked: Mapping[str, Any], matches: Sequence[Match], *, is_far: bool
) -> NewBreakpoint:
    held = holding(matches)
    why = "".join(f" {match.sentence()}" for match in held)
    rules: dict[str, Any] = {"rules": [match.as_json() for match in held]} if held else {}
    if matches and is_far:
        why += " It works on another machine, so that no checkpoint can be kept before it."
    elif matches:
        rules["checkpoint"] = _before(asked)
    return NewBreakpoint(
        BreakpointKind.PERMISSION,
        f"May {agent.driver} do this: {asked['summary']}{why}",
        tuple(asked["options"]),
        {
            "agent": agent.id,
            "attempt": agent.attempt,
            "request": str(asked["id"]),
            "tool": asked["tool"],
            "input": asked["input"],
            **rules,
        },
    )


def _answer(given: Breakpoint) -> Answer:
    match given.answer:
        case Said.ALLOW:
            return Answer(allow=True)
        case Said.ALLOW_SESSION:
            return Answer(allow=True, for_session=True)
        case Said.EDIT:
            return Answer(allow=True, edited=json.loads(given.note))
        case _:
            return Answer(allow=False, message=given.note)
