"""The bar that a project sets on confidence: what does not reach it is put to a person. Pure."""

from __future__ import annotations

from dataclasses import replace

from muster.domain.confidence import Confidence
from muster.domain.verdict import OPTIONS, BreakpointKind, Decision, Step
from muster.supervision.confidence import well_shown


def over_the_bar(
    decision: Decision, sure: Confidence, accept_at: float | None, label: str
) -> Decision:
    """The decision, or a question where it would accept work that muster is not sure enough of.

    Without a bar (`accept_at` None) the evidence alone decides.
    """
    if decision.step is not Step.ACCEPT or accept_at is None:
        return decision
    why = _below(sure, accept_at)
    if not why:
        return decision
    kind = BreakpointKind.MERGE
    return replace(
        decision,
        step=Step.ASK,
        reasons=(why, *decision.reasons),
        question=f"Merge {label}? {why}",
        kind=str(kind),
        options=tuple(map(str, OPTIONS[kind])),
    )


def _below(sure: Confidence, accept_at: float) -> str:
    if sure.value is None:
        return f"muster does not say how sure it is: {sure.abstains}"
    if sure.calibration is None and not well_shown(sure.features):
        return (
            "Too few outcomes of this project are known to accept work that acceptance tests and"
            " 80 % coverage of the changed lines do not vouch for."
        )
    if sure.value < accept_at:
        return f"The confidence of {sure.value:.2f} is below the {accept_at:g} of accept_at."
    return ""
