"""The counter's part for figures: what became of the work, how sure, how fast, asked how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.figures import Spread, spread_of
from muster.domain.task import PLAN, Stage
from muster.service import shapes
from muster.service.analytics import how_agents_do
from muster.service.desk import Desk
from muster.store import agents, events, figures, judgements, projects, tasks
from muster.store.base import Tx
from muster.store.figures import Asked, Ended, Scope, Spent
from muster.supervision.reliability import reliability_of

USUAL = "30d"
_SPANS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_MOST_SPANS = 100_000
_NOBODY = frozenset({None, ""})


class Figures(Desk):
    """Everything a door can ask about figures."""

    async def metrics(self, project: str | None = None, since: str | None = None) -> dict[str, Any]:
        """What happened since a time, in figures: `7d`, `24h`, `all`, or a moment.

        Raises:
            Invalid: `since` is none of these.
            NotFound: there is no such project.
        """
        start = since_when(since or USUAL, self._now())

        def read(tx: Tx) -> dict[str, Any]:
            named = projects.get_project(tx, project) if project else None
            scope = Scope(start, named.id if named else None)
            every = figures.ended(tx, scope)
            ended = _work(every)
            asked = figures.asked(tx, scope)
            spent = figures.spent(tx, scope)
            return {
                "project": named.name if named else None,
                "since": shapes.moment(start) if start else None,
                "until": shapes.moment(self._now()),
                "tasks": {
                    **_share(ended),
                    "by_project": _grouped(ended, lambda e: e.project),
                    "by_type": _grouped(ended, lambda e: e.type),
                    "by_agent": _grouped(ended, lambda e: e.agent),
                    "by_kind": _by_kind(every),
                },
                "attempts": {str(n): count for n, count in figures.attempts(tx, scope).items()},
                "stages": {
                    stage: _spread(spread) for stage, spread in figures.stays(tx, scope).items()
                },
                "confidence": [
                    {
                        "day": _day(sure.day),
                        "verdicts": sure.verdicts,
                        "told": sure.told,
                        "mean": None if sure.confidence is None else round(sure.confidence, 4),
                    }
                    for sure in figures.confidence(tx, scope)
                ],
                "reliability": asdict(reliability_of(figures.outcomes(tx, scope))),
                "questions": _questions(asked),
                "rules": figures.rules_held(tx, scope),
                "cost": _cost(spent),
            }

        return await self._store.read(read)

    async def agent_analytics(
        self, project: str | None = None, since: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        """How agents do, by name, role, driver and type of task, and how long work waits.

        Raises:
            Invalid: `since` or `until` is no time.
            NotFound: there is no such project.
        """
        start = since_when(since or USUAL, self._now())
        end = since_when(until, self._now()) if until else None

        def read(tx: Tx) -> dict[str, Any]:
            named = projects.get_project(tx, project) if project else None
            scope = Scope(start, named.id if named else None, end)
            ended = [each for each in figures.ended(tx, scope) if each.kind != PLAN]
            items = [
                {
                    "agent": name,
                    **_share(_work(own)),
                    "by_type": _grouped(_work(own), lambda e: e.type),
                    "by_kind": _by_kind(own),
                }
                for name, own in _groups(ended, lambda e: e.agent).items()
            ]
            runs = [
                {**run._asdict(), "seconds": round(run.seconds, 3), "cost_usd": _usd(run.cost_usd)}
                for run in figures.runs(tx, scope)
            ]
            return {
                "project": named.name if named else None,
                "since": shapes.moment(start) if start else None,
                "until": shapes.moment(self._now() if end is None else end),
                "items": items,
                "runs": runs,
                **how_agents_do(tx, scope),
                "next": None,
            }

        return await self._store.read(read)

    async def exposition_facts(self) -> dict[str, Any]:
        """What a monitor is told: totals since the beginning, what is now, and the last day."""

        def read(tx: Tx) -> dict[str, Any]:
            ever, day = Scope(), Scope(max(0, self._now() - figures.DAY))
            return {
                "version": self._own.version,
                "started_at": self._own.started_at / 1000,
                "rev": events.newest_rev(tx),
                "stages": {str(s): n for s, n in tasks.count_stages(tx).items()},
                "paused": judgements.queue_settings(tx).paused,
                "live": len(agents.list_agents(tx, live_only=True, limit=1000)),
                "open": figures.open_questions(tx),
                "ended": figures.ended(tx, ever),
                "runs": figures.runs(tx, ever),
                "spent": figures.spent(tx, ever),
                "asked": figures.asked(tx, day),
                "rules": figures.rules_held(tx, ever),
                "stays": figures.stays(tx, day),
                "confidence": figures.confidence(tx, day),
            }

        return await self._store.read(read)


def since_when(text: str, now: int) -> int:
    """The moment that `7d`, `24h`, `2w`, `all` or an RFC 3339 time means, in epoch milliseconds.

    Raises:
        Invalid: it is none of these.
    """
    if text == "all":
        return 0
    span = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text)
    if span and int(span[1]) <= _MOST_SPANS:
        return max(0, now - int(span[1]) * _SPANS[span[2]])
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(aware.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Invalid(
            f"'{text[:60]}' is no time to count from",
            hint="say 24h, 7d, 4w, all, or a moment such as 2026-11-22T09:00:00Z",
        ) from None


def _groups(ended: Iterable[Ended], key: Callable[[Ended], str]) -> dict[str, list[Ended]]:
    found: dict[str, list[Ended]] = {}
    for each in ended:
        found.setdefault(key(each), []).append(each)
    return found


def _grouped(ended: Iterable[Ended], key: Callable[[Ended], str]) -> dict[str, Any]:
    return {name: _share(own) for name, own in _groups(ended, key).items()}


def _work(ended: Iterable[Ended]) -> list[Ended]:
    """Without plans, managers, and those who write acceptance tests."""
    return [each for each in ended if each.kind == figures.WORK]


def _by_kind(ended: Iterable[Ended]) -> dict[str, Any]:
    """The shares of each kind; a plan is taken up and not tried, so that it has no attempts."""
    found = _grouped(ended, lambda e: e.kind)
    if PLAN in found:
        found[PLAN]["attempts_per_task"] = None
    return found


def _share(ended: Iterable[Ended]) -> dict[str, Any]:
    """How many ended how; the rate leaves out what a person cancelled."""
    found = list(ended)
    count = {
        stage: sum(e.tasks for e in found if e.stage == stage)
        for stage in (Stage.COMPLETED, Stage.FAILED, Stage.CANCELLED)
    }
    done = count[Stage.COMPLETED]
    judged = done + count[Stage.FAILED]
    whole = sum(e.tasks for e in found)
    attempts = sum(e.attempts for e in found)
    finished = sum(e.seconds for e in found if e.stage == Stage.COMPLETED)
    return {
        **{str(stage): n for stage, n in count.items()},
        "completion_rate": round(done / judged, 4) if judged else None,
        "attempts_per_task": round(attempts / whole, 3) if whole else None,
        "mean_seconds": round(finished / done, 3) if done else None,
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "count": spread.count,
        "p50_seconds": spread.p50,
        "p95_seconds": spread.p95,
        "total_seconds": round(spread.total, 3),
    }


def waits_of(asked: Iterable[Asked]) -> Spread:
    """How long people took to answer, in seconds."""
    return spread_of(
        (a.resolved_at - a.created_at) / 1000
        for a in asked
        if a.resolved_at is not None and a.by not in _NOBODY
    )


def _questions(asked: list[Asked]) -> dict[str, Any]:
    def told(own: list[Asked]) -> dict[str, Any]:
        answers: dict[str, int] = {}
        for each in own:
            if each.answer and each.by not in _NOBODY:
                answers[each.answer] = answers.get(each.answer, 0) + 1
        return {
            "asked": len(own),
            "open": sum(a.resolved_at is None for a in own),
            "closed_by_events": sum(a.resolved_at is not None and a.by in _NOBODY for a in own),
            "answers": answers,
            "wait": _spread(waits_of(own)),
        }

    kinds = sorted({a.kind for a in asked})
    people = sorted({a.by for a in asked if a.by})
    return {
        **told(asked),
        "by_kind": {kind: told([a for a in asked if a.kind == kind]) for kind in kinds},
        "by_person": {who: _spread(waits_of(a for a in asked if a.by == who)) for who in people},
    }


def _cost(spent: list[Spent]) -> dict[str, Any]:
    def told(own: list[Spent]) -> dict[str, Any]:
        return {
            "runs": sum(s.runs for s in own),
            "cost_usd": _usd(sum(s.cost_usd for s in own)),
            "input_tokens": sum(s.input_tokens for s in own),
            "output_tokens": sum(s.output_tokens for s in own),
        }

    def by(key: Callable[[Spent], str]) -> Mapping[str, Any]:
        names = dict.fromkeys(map(key, spent))
        return {name: told([s for s in spent if key(s) == name]) for name in names}

    return {**told(spent), "by_day": by(lambda s: _day(s.day)), "by_driver": by(lambda s: s.driver)}


def _usd(amount: float) -> float:
    return round(amount, 6)


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
