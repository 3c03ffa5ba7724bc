"""Everything that a decision depends on, as one value to keep and to decide again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from muster.domain.agent import Outcome
from muster.domain.confidence import Confidence
from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.domain.task import Autonomy
from muster.domain.verdict import Finding, Severity, Verdict
from muster.supervision.asked import Asked, asked_again, asked_json
from muster.supervision.feedback import failing_tests, refusal_of

FORM = 1
"""The form in which cases are kept; one of another form is not decided again."""

LONGEST_REFUSAL = 2_000


class About(StrEnum):
    """What is decided about."""

    WORK = "work"
    WORKERS = "workers"
    TESTS = "tests"
    MERGE = "merge"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a project's settings say about deciding.

    `fallback_agents` go on, one after the other, where an agent was refused `fallback_after` times
    in a row; `roll_back` takes back work that is worse than what it stands on. After `split_after`
    refusals in a row that are about the task it is split; 0 never splits. Below a confidence of
    `accept_at` a person is asked.
    """

    autonomy: Autonomy = Autonomy.CONFIRM
    max_attempts: int = 3
    fallback_agents: tuple[str, ...] = ()
    fallback_after: int = 2
    roll_back: bool = True
    split_after: int = 0
    accept_at: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A rule that puts a person before the move: which and why, its own words, whose approval."""

    sentence: str
    ask: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt before, as far as it counts: who, what its work was, and what spoke against it.

    `harm` is how much did: the larger, the worse. `of_form` says that nothing did but how the agent
    worked.
    """

    attempt: int
    agent: str
    base: str | None
    commit: str | None
    refusal: str
    harm: int
    of_form: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An attempt that has ended, or a merge that was tried, and what was found about it.

    `tries` counts the attempts so far, this one included; `unspent` those that used up no try.
    `retry_at` and `now` are epoch milliseconds; `retry_at` is when a rate limit ends, if the agent
    said so. `label` names the task in questions, `branch` the project's. `commit` is the work,
    which stands on `base`. `agent` did it, and is not replaced where a person chose it. `may_split`
    says that the task can be planned again as several. `past` are the attempts since a person last
    said try again. `asked` is what the rules were asked about, None where none was asked.
    """

    findings: tuple[Finding, ...]
    policy: Policy
    outcome: Outcome
    tries: int
    about: About = About.WORK
    unspent: int = 0
    retry_at: int | None = None
    now: int = 0
    label: str = "this task"
    branch: str = "the branch"
    agent: str = ""
    agent_is_chosen: bool = False
    may_split: bool = False
    base: str | None = None
    commit: str | None = None
    past: tuple[Tried, ...] = ()
    holds: tuple[Hold, ...] = ()
    asked: Asked | None = None
    sure: Confidence | None = None

    @property
    def unattended(self) -> bool:
        """Whether nobody is asked where evidence speaks."""
        return self.policy.autonomy is Autonomy.FULL


_FORM_ALONE = ("change.", "lint.")
_NOT_DONE = (Outcome.FAILED, Outcome.CRASHED, Outcome.REFUSED, Outcome.LOST)
_FAULTS_OF_AGENTS = frozenset(f"agent.{outcome}" for outcome in _NOT_DONE)


def is_of_form(findings: Iterable[Finding]) -> bool:
    """Whether work was refused for how its agent worked alone, which smaller tasks do not mend."""
    vetoes = [finding.code for finding in findings if finding.severity is Severity.VETO]
    return all(code.startswith(_FORM_ALONE) or code in _FAULTS_OF_AGENTS for code in vetoes)


def harm_of(findings: Iterable[Finding]) -> int:
    """How much speaks against work: the refusals, and each test that fails."""
    vetoes = [finding for finding in findings if finding.severity is Severity.VETO]
    return len(vetoes) + len(failing_tests(vetoes))


def refusal_kept(findings: Iterable[Finding]) -> str:
    """What a verdict refuses, as long as it is kept; one that is whole is shorter than that."""
    return plain_line(refusal_of(findings), LONGEST_REFUSAL)


def tried_of(verdict: Verdict) -> Tried | None:
    """A verdict as the next one looks back at it; None where its case was not kept."""
    kept = verdict.case
    if not kept or kept.get("form") != FORM:
        return None
    return Tried(
        verdict.attempt,
        str(kept["agent"]),
        kept["base"],
        kept["commit"],
        refusal_kept(verdict.findings),
        harm_of(verdict.findings),
        is_of_form(verdict.findings),
    )


def case_json(case: Case) -> dict[str, Any]:
    """A case as it is kept, without its findings and its confidence: they are the verdict's."""
    own = {each.name for each in fields(case)} - {"findings", "sure"}
    kept = {name: getattr(case, name) for name in own}
    return kept | {
        "form": FORM,
        "about": str(case.about),
        "outcome": str(case.outcome),
        "policy": asdict(case.policy) | {"autonomy": str(case.policy.autonomy)},
        "past": [asdict(tried) for tried in case.past],
        "holds": [asdict(hold) for hold in case.holds],
        "asked": asked_json(case.asked) if case.asked else None,
    }


def case_of(
    kept: Mapping[str, Any], findings: tuple[Finding, ...], sure: Confidence | None = None
) -> Case:
    """The case again.

    Raises:
        Invalid: it was kept in another form.
    """
    if kept.get("form") != FORM:
        raise Invalid("the case was kept by another version", hint="it cannot be decided again")
    values = {name: value for name, value in kept.items() if name != "form"}
    policy = dict(kept["policy"])
    values |= {
        "about": About(kept["about"]),
        "outcome": Outcome(kept["outcome"]),
        "policy": with_changes(Policy(), policy),
        "past": tuple(Tried(**tried) for tried in kept["past"]),
        "holds": tuple(Hold(**hold) for hold in kept["holds"]),
        "asked": asked_again(kept["asked"]) if kept.get("asked") else None,
    }
    return Case(findings=findings, sure=sure, **values)


def with_changes(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """The policy with other values, which are those of settings."""
    values = dict(changes)
    if "autonomy" in values:
        values["autonomy"] = Autonomy(values["autonomy"])
    if "fallback_agents" in values:
        values["fallback_agents"] = tuple(values["fallback_agents"] or ())
    return replace(policy, **values)


POLICY_KEYS = tuple(each.name for each in fields(Policy))
"""The settings that decisions obey."""
