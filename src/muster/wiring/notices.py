"""Notices: events that a person wants to be told of, given to the notifiers of the settings.

Each notifier follows the store at its own pace. The number of the event it came to lies in a file
of its own, so that after a crash it goes on from there; what was being delivered is then delivered
again, under the same id. What cannot be delivered is an event, and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.domain.errors import Invalid, NotFound
from muster.domain.event import KINDS, Event, NewEvent
from muster.domain.plain import plain, plain_line
from muster.notify.base import Notice, Notifier, Undelivered
from muster.service.shapes import moment
from muster.settings import Settings
from muster.store import events, projects, tasks
from muster.store.base import Store, Tx
from muster.wiring.mark import Mark
from muster.wiring.plugins import working

log = logging.getLogger(__name__)

FAILED = "notice.failed"
USUAL = ("rule.held", "breakpoint.raised", "queue.stopped")
"""What a notifier is told of that names nothing: rules that notify, questions, a stopped list."""
PAUSES = (1.0, 5.0, 25.0, 120.0)
"""Seconds between the tries of one notice."""
_OLD_MS = 3_600_000
"""A notice that waited longer for its turn is tried once: its receiver was away for others too."""
_AT_ONCE = 200
_MARK_EVERY = 1000
_AGAIN, _QUIET = 5.0, 60.0
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_KIND = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+")
_MOST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Told:
    """One notifier of the settings, and the kinds of events that it is told of."""

    name: str
    notifier: Notifier
    kinds: frozenset[str]

    def wants(self, event: Event) -> bool:
        """Whether it is told of this; of a rule that asks a person its question tells."""
        if event.type == "rule.held" and event.payload.get("action") != "notify":
            return False
        return event.type in self.kinds


def made(settings: Settings) -> Iterator[tuple[str, Told | Invalid]]:
    """Each notifier of the settings, or what is wrong with it."""
    kinds = working("notifiers", settings.home) if settings.notify else {}
    for name, options in settings.notify.items():
        try:
            yield name, _one(name, options, kinds, settings.environ)
        except Invalid as fault:
            yield name, Invalid(f"[notify.{name}]: {fault.detail}", hint=fault.hint)


def _one(
    name: str, options: Mapping[str, Any], kinds: Mapping[str, Any], environ: Mapping[str, str]
) -> Told:
    if not _NAME.fullmatch(name):
        raise Invalid("a notifier has no such name", hint="small letters, digits, - and _")
    driver = str(options.get("driver", ""))
    if driver not in kinds:
        raise Invalid(
            f"there is no notifier '{driver}'" if driver else "driver is missing",
            hint=f"notifiers: {', '.join(sorted(kinds))}",
        )
    notifier = kinds[driver](options, environ)
    if not isinstance(notifier, Notifier):
        raise Invalid(f"'{driver}' is no notifier: it has no send", hint="mend or remove it")
    return Told(name, notifier, _kinds(options.get("on", list(USUAL))))


def _kinds(given: object) -> frozenset[str]:
    names = given if isinstance(given, list) else [""]
    families = {kind.split(".")[0] for kind in KINDS}
    for kind in names:
        known = isinstance(kind, str) and _KIND.fullmatch(kind)
        if not known or (kind not in KINDS and kind.split(".")[0] in families):
            raise Invalid(
                f"on must be a list of kinds of events, and {kind!r} is none",
                hint='for example ["rule.held", "task.failed"]; docs/events.md has them',
            )
        if kind == FAILED:
            raise Invalid(f"nobody can be told of {FAILED}", hint="leave it out")
    return frozenset(names)


class Notices:
    """Follows the store for each notifier."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        url: Callable[[], str],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """Make the notifiers of the settings; nobody is told anything yet.

        Raises:
            Invalid: the settings of one cannot be.
        """
        self._store = store
        self._url = url
        self._pauses = tuple(pauses)
        self._marks = settings.home / "notices"
        self._told: list[Told] = []
        for _, one in made(settings):
            if isinstance(one, Invalid):
                raise one
            self._told.append(one)
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to follow."""
        self._marks.mkdir(mode=0o700, exist_ok=True)
        self._loops = [
            asyncio.create_task(self._follow(told), name=f"notify {told.name}")
            for told in self._told
        ]

    async def stop(self) -> None:
        """Let go; what was not delivered is tried by the next server."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _follow(self, told: Told) -> None:
        mark = Mark(self._marks / f"{told.name}.rev", self._store)
        at = kept = mark.seen()
        while True:
            try:
                for event in await self._store.read(_after, at):
                    if told.wants(event):
                        await self._tell(told, event)
                    at = event.rev
                    if told.wants(event) or at - kept >= _MARK_EVERY:
                        await mark.keep(at)
                        kept = at
                await self._store.feed.wait(at, _QUIET)
            except Exception:  # notices are beside the work, and must not end it
                log.exception("the notices of '%s' met a fault; that is tried again", told.name)
                await asyncio.sleep(_AGAIN)

    async def _tell(self, told: Told, event: Event) -> None:
        notice, waited = await self._store.read(self._notice, event)
        pauses = iter(self._pauses if waited < _OLD_MS else ())
        while (fault := await _try(told, notice)) is not None:
            pause = next(pauses, None)
            if pause is None or not fault.again:
                await self._store.write(events.append, _failed(told, event, fault))
                return
            await asyncio.sleep(max(pause, fault.after or 0.0))

    def _notice(self, tx: Tx, event: Event) -> tuple[Notice, int]:
        """What is told of an event, and how many milliseconds that has waited for."""
        label = project = page = ""
        with contextlib.suppress(NotFound):
            if event.task_id:
                label = tasks.get_task(tx, event.task_id).label
                page = f"{self._url()}/tasks/{event.task_id}" if self._url() else ""
        with contextlib.suppress(NotFound):
            if event.project_id:
                project = projects.get_project(tx, event.project_id).name
        notice = Notice(
            id=f"{event.rev}-{event.time}",
            kind=event.type,
            time=moment(event.time) or "",
            title=_title(event, label or project or "muster"),
            text=_text(event),
            project=project,
            task=label,
            url=page,
            payload=event.payload,
        )
        return notice, tx.now - event.time


async def _try(told: Told, notice: Notice) -> Undelivered | None:
    """Deliver a notice once; why it was not taken."""
    try:
        await told.notifier.send(notice)
    except Undelivered as fault:
        return fault
    except Exception as fault:  # a stranger's code
        log.exception("the notifier '%s' failed", told.name)
        return Undelivered(f"{type(fault).__name__}: {fault}", again=False)
    return None


def _failed(told: Told, event: Event, fault: Undelivered) -> NewEvent:
    said = {
        "notifier": told.name,
        "kind": event.type,
        "why": plain_line(str(fault), 500),
        "again": fault.again,
    }
    return NewEvent(FAILED, told.name, said, event.project_id, event.task_id, cause=event.rev)


def _after(tx: Tx, rev: int) -> list[Event]:
    return events.events_after(tx, rev, limit=_AT_ONCE)


def _title(event: Event, about: str) -> str:
    if event.type == "breakpoint.raised":
        return f"{about} waits for you"
    if event.type == "rule.held":
        return f"{about}: {plain_line(str(event.payload.get('rule', 'a rule')), 60)}"
    return f"{about}: {KINDS.get(event.type, event.type)}"


def _text(event: Event) -> str:
    """What the event says for people, whichever part of it does."""
    for name in ("question", "ask", "text", "reason", "why"):
        if said := event.payload.get(name):
            return plain(str(said))[:_MOST_TEXT]
    return ""
