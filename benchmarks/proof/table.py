"""The figures of a run: the table of gates, calibration, costs, and the bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, median
from benchmarks.proof.cases import RIGHT, UNSHOWN, WRONG, Outcome
from benchmarks.proof.gates import gates, vetoed
from benchmarks.proof.whole import Whole, abstained, across_projects, judged

CAUGHT, KEPT, AUC, ECE, TIMES, ABSTAINS = 0.92, 0.95, 0.93, 0.05, 3.0, 1.0
COMMITS, DEFECTS, PROJECTS = 40, 150, 3


@dataclass(frozen=True)
class Row:
    """One gate: shares of wrong work accepted, of good work refused, of untold work accepted."""

    gate: str
    wrong_accepted: float
    good_refused: float
    untold_accepted: float
    precision: float | None


def share(part: int, whole: int) -> float:
    """A share; of nothing it is 0."""
    return part / whole if whole else 0.0


def row(gate: str, outcomes: Sequence[Outcome], accepted: Sequence[bool]) -> Row:
    """What a gate does to wrong, good and untold work."""
    by: Counter[tuple[str, bool]] = Counter(
        (outcome.truth, ok) for outcome, ok in zip(outcomes, accepted, strict=True)
    )

    def of(truth: str, ok: bool) -> float:
        return share(by[truth, ok], by[truth, True] + by[truth, False])

    taken = sum(accepted)
    precision = 1 - share(by[WRONG, True], taken) if taken else None
    return Row(gate, of(WRONG, True), of(RIGHT, False), of(UNSHOWN, True), precision)


def rows(outcomes: Sequence[Outcome], whole: Whole, bare: Whole) -> list[Row]:
    """The table: stage by stage, then the whole with confidence, and without acceptance tests."""
    found = [row(gate, outcomes, accepted) for gate, accepted in gates(outcomes).items()]
    found.append(row("the whole, with confidence", outcomes, whole.accepted))
    found.append(row("the whole, without acceptance tests", outcomes, bare.accepted))
    return found


def figures(outcomes: Sequence[Outcome], whole: Whole) -> list[Figure]:
    """Everything that has a bar."""
    wrong = [o for o in outcomes if o.truth == WRONG]
    good = [o for o in outcomes if o.truth == RIGHT]
    caught = share(sum(map(vetoed, wrong)), len(wrong))
    kept = share(sum(not vetoed(o) for o in good), len(good))
    ask = gates(outcomes)
    last = row("", outcomes, list(ask.values())[-1])
    known = whole.reliability
    taken = [ok for o, ok in zip(outcomes, whole.accepted, strict=True) if o.truth == RIGHT]
    return [
        Figure("projects", len({o.project for o in outcomes}), "", PROJECTS, at_least=True),
        Figure("good changes", len(good), "", COMMITS, at_least=True),
        Figure("defective variants", len(wrong), "", DEFECTS, at_least=True),
        Figure("defects caught by the vetoes", caught, "", CAUGHT, at_least=True),
        Figure("defects caught: vetoed or asked about", 1 - last.wrong_accepted, ""),
        Figure("good changes kept by the vetoes", kept, "", KEPT, at_least=True),
        Figure("AUC, leaving one release out", known.auc, "", AUC, at_least=True),
        Figure("Brier score", known.brier, "", note=f"{known.base_brier:.3f} by the share alone"),
        Figure("calibration error (ECE)", known.ece, "", ECE),
        *_elsewhere(outcomes),
        Figure("good changes accepted by the whole, with confidence", share(sum(taken), len(good)),
               "", note="the others are asked about"),
        Figure("abstains without acceptance tests", abstained(outcomes), "", ABSTAINS,
               at_least=True, note="of what nothing else speaks against"),
        Figure("processor time beyond the base run", cost(outcomes), "× suite", TIMES,
               note="median; the acceptance tests counted as a whole run of all tests"),
    ]  # fmt: skip


def _elsewhere(outcomes: Sequence[Outcome]) -> list[Figure]:
    """How the weights do in a project of which they know nothing."""
    found = across_projects(outcomes)
    if found is None:
        return []
    return [
        Figure("AUC, leaving one project out", found.auc, ""),
        Figure("calibration error (ECE), leaving one project out", found.ece, ""),
    ]


def cost(outcomes: Sequence[Outcome]) -> float:
    """How many times the suite's own processor time a task takes beyond the cached base run."""
    return median([sum(o.cpu.values()) / o.suite_cpu for o in outcomes if o.suite_cpu])


def by_kind(
    outcomes: Sequence[Outcome], accepted: Sequence[bool]
) -> list[tuple[str, int, int, int]]:
    """Per kind of variant: how many are wrong, how many of those are caught, how many untold."""
    found = []
    for kind in dict.fromkeys(o.kind for o in outcomes):
        mine = [(o, ok) for o, ok in zip(outcomes, accepted, strict=True) if o.kind == kind]
        wrong = [ok for o, ok in mine if o.truth == WRONG]
        untold = sum(o.truth == UNSHOWN for o, _ in mine)
        found.append((kind, len(wrong), sum(not ok for ok in wrong), untold))
    return found


def of_whole(outcomes: Sequence[Outcome]) -> tuple[Whole, Whole]:
    """With and without acceptance tests."""
    return judged(outcomes, acceptance=True), judged(outcomes, acceptance=False)
