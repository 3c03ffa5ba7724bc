"""The counter's part for decisions: why each was made, and what other settings would have made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.verdict import Decision, Verdict
from muster.service import shapes
from muster.service.desk import Desk
from muster.settings import parse_project_setting
from muster.store import judgements, projects, tasks
from muster.store.base import Tx
from muster.store.judgements import Judged
from muster.store.rows import decision_json
from muster.supervision.case import FORM, POLICY_KEYS, Case, case_of, with_changes
from muster.supervision.decision import decide

_PAGE = 200
_MOST_SHOWN = 100

Changed = Callable[[Case, Judged], Case]


class Decisions(Desk):
    """Everything a door can ask about decisions that were made."""

    async def decisions_of(self, ref: str) -> dict[str, Any]:
        """The decisions about a task with all that each depended on, oldest first.

        `again` is what the same case leads to now; it differs where muster decides otherwise since.
        """

        def read(tx: Tx) -> list[Verdict]:
            return judgements.verdicts_of(tx, tasks.get_task(tx, ref).id)

        found = await self._store.read(read)
        return {"items": [_told(verdict) for verdict in found], "next": None}

    async def try_policy(self, ref: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Decide every kept case of a project again, with other settings where some are given.

        Each decision is taken alone, as if all before it had been as it was. What a task said
        itself outranks the settings here, too. `unknown` were made before cases were kept.

        Raises:
            Invalid: a setting that decisions do not depend on, or a value it cannot have.
        """
        wanted = {name: _setting(name, value) for name, value in changes.items()}
        project = await self._store.read(projects.get_project, ref)
        total, same, unknown, after = 0, 0, 0, 0
        changed: list[dict[str, Any]] = []
        while page := await self._store.read(judgements.judged_after, project.id, after, _PAGE):
            after = page[-1].verdict.rev
            total += len(page)
            for judged, decision in await asyncio.to_thread(_again, page, wanted):
                if decision is None:
                    unknown += 1
                elif _is_same(decision, judged.verdict.decision):
                    same += 1
                else:
                    changed.append(_difference(judged, decision))
        return {
            "project": project.name,
            "settings": dict(changes),
            "decisions": total,
            "same": same,
            "changed": len(changed),
            "unknown": unknown,
            "items": changed[-_MOST_SHOWN:],
            "next": None,
        }


def _setting(name: str, value: Any) -> Any:
    if name not in POLICY_KEYS:
        raise Invalid(
            f"no decision depends on '{name}' alone",
            hint=f"what can be tried: {', '.join(POLICY_KEYS)}",
        )
    return parse_project_setting(name, value)


def _again(page: list[Judged], wanted: Mapping[str, Any]) -> list[tuple[Judged, Decision | None]]:
    return [(judged, _decided(judged, wanted)) for judged in page]


def _decided(judged: Judged, wanted: Mapping[str, Any]) -> Decision | None:
    case = _case(judged.verdict)
    if case is None:
        return None
    own = {"autonomy"} if judged.own_autonomy else set()
    changes = {name: value for name, value in wanted.items() if name not in own}
    return decide(replace(case, policy=with_changes(case.policy, changes)))


def _case(verdict: Verdict) -> Case | None:
    kept = verdict.case
    if not kept or kept.get("form") != FORM:
        return None
    return case_of(kept, verdict.findings, verdict.sure)


def _is_same(one: Decision, other: Decision) -> bool:
    return decision_json(one) == decision_json(other)


def _difference(judged: Judged, now: Decision) -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "task": f"MU-{judged.number}",
        "attempt": verdict.attempt,
        "was": _step(verdict.decision),
        "would_be": _step(now),
        "time": shapes.moment(verdict.created_at),
    }


def _step(decision: Decision) -> dict[str, Any]:
    return {
        "step": str(decision.step),
        "kind": decision.kind,
        "agent": decision.agent,
        "commit": decision.commit,
        "reasons": list(decision.reasons),
    }


def _told(verdict: Verdict) -> dict[str, Any]:
    case = _case(verdict)
    again = decide(case) if case else None
    differs = again is not None and not _is_same(again, verdict.decision)
    return {
        "verdict": verdict.id,
        "attempt": verdict.attempt,
        "agent_id": verdict.agent_id,
        "time": shapes.moment(verdict.created_at),
        **_step(verdict.decision),
        "question": verdict.decision.question,
        "confidence": verdict.confidence,
        "findings": shapes.verdict_shape(verdict)["findings"],
        "case": dict(verdict.case) if verdict.case else None,
        "again": _step(again) if again is not None and differs else None,
    }
