"""The counter's part for decisions: why each was made, and what other settings would have made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.verdict import Decision, Verdict
from muster.service import shapes
from muster.service.breakpoint_rules import own_rules
from muster.service.desk import Desk
from muster.service.rule_trials import RuleTrial, differs, rules_to_try
from muster.settings import parse_project_setting
from muster.store import breakpoint_rules as rule_verbs
from muster.store import judgements, projects, tasks
from muster.store.base import Tx
from muster.store.judgements import Judged
from muster.store.projects import ProjectRow
from muster.store.rows import decision_json
from muster.supervision.case import FORM, POLICY_KEYS, Case, case_of, with_changes
from muster.supervision.decision import decide

_PAGE = 200
_MOST_SHOWN = 100

_Again = tuple[Decision | None, dict[str, list[str]]]
_AS_THEN: dict[str, list[str]] = {"would_hold": [], "no_longer": [], "untold": []}


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

    async def try_policy(
        self,
        ref: str,
        changes: Mapping[str, Any],
        rules: str | None = None,
        home_rules: str | None = None,
    ) -> dict[str, Any]:
        """Decide every kept case of a project again, with other settings where some are given.

        `rules` is the text of a rules file to ask in the place of the project's own, `home_rules`
        of one in the place of the home's. Each decision is taken alone, as if all before it had
        been as it was. What a task said itself outranks the settings here, too. `unknown` were made
        before cases, or what rules ask for, were kept.

        Raises:
            Invalid: a setting that decisions do not depend on, a value it cannot have, or rules
                with a fault.
        """
        wanted = {name: _setting(name, value) for name, value in changes.items()}
        project = await self._store.read(projects.get_project, ref)
        trial = await self._trial(project, rules, home_rules)
        total, same, unknown, otherwise, after = 0, 0, 0, 0, 0
        changed: list[dict[str, Any]] = []
        while page := await self._store.read(judgements.judged_after, project.id, after, _PAGE):
            after = page[-1].verdict.rev
            total += len(page)
            if trial:
                await self._store.read(trial.look_up, page)
            for judged, again in await asyncio.to_thread(_again, page, wanted, trial):
                if again is None:
                    unknown += 1
                    continue
                decision, held = again
                is_same = decision and _is_same(decision, judged.verdict.decision)
                same += bool(is_same)
                otherwise += decision is not None and not is_same
                if (decision and not is_same) or differs(held):
                    changed.append(_difference(judged, decision, held))
        return {
            "project": project.name,
            "settings": dict(changes),
            "decisions": total,
            "same": same,
            "changed": otherwise,
            "unknown": unknown,
            "rules": await self._rules_told(trial, project.id),
            "items": changed[-_MOST_SHOWN:],
            "next": None,
        }

    async def _trial(
        self, project: ProjectRow, rules: str | None, home: str | None
    ) -> RuleTrial | None:
        if rules is None and home is None:
            return None
        own = (b"", False)
        if rules is None:
            own = await asyncio.to_thread(own_rules, self._own.workspaces, project)
        return RuleTrial(rules_to_try(self._own.rules, rules, home, own))

    async def _rules_told(self, trial: RuleTrial | None, project_id: str) -> dict[str, Any] | None:
        if trial is None:
            return None
        return trial.told(await self._store.read(rule_verbs.held_at_work, project_id))


def _setting(name: str, value: Any) -> Any:
    if name not in POLICY_KEYS:
        raise Invalid(
            f"no decision depends on '{name}' alone",
            hint=f"what can be tried: {', '.join(POLICY_KEYS)}",
        )
    return parse_project_setting(name, value)


def _again(
    page: list[Judged], wanted: Mapping[str, Any], trial: RuleTrial | None
) -> list[tuple[Judged, _Again | None]]:
    return [(judged, _decided(judged, wanted, trial)) for judged in page]


def _decided(judged: Judged, wanted: Mapping[str, Any], trial: RuleTrial | None) -> _Again | None:
    case = _case(judged.verdict)
    own = {"autonomy"} if judged.own_autonomy else set()
    changes = {name: value for name, value in wanted.items() if name not in own}
    if case is not None:
        case = replace(case, policy=with_changes(case.policy, changes))
    if trial is None:
        return (decide(case), _AS_THEN) if case else None
    found = trial.again(judged, case)
    return (found[0].decision, found[1]) if found else None


def _case(verdict: Verdict) -> Case | None:
    kept = verdict.case
    if not kept or kept.get("form") != FORM:
        return None
    return case_of(kept, verdict.findings, verdict.sure)


def _is_same(one: Decision, other: Decision) -> bool:
    return decision_json(one) == decision_json(other)


def _difference(
    judged: Judged, now: Decision | None, rules: dict[str, list[str]]
) -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "task": f"MU-{judged.number}",
        "attempt": verdict.attempt,
        "was": _step(verdict.decision),
        "would_be": _step(now) if now else None,
        **rules,
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
