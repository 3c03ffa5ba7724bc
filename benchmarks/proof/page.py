"""The results of a run as a page and as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure
from benchmarks.proof.cases import RIGHT, UNSHOWN, WRONG, Outcome
from benchmarks.proof.gates import gates
from benchmarks.proof.plant import Planted
from benchmarks.proof.table import Row, by_kind, cost, figures, of_whole, row, rows
from benchmarks.proof.whole import Whole, weights

_HEAD = """\
# Planted defects

Written by `make bench-proof`; what is planted and how it is judged: [docs/benchmarks.md]\
(../../docs/benchmarks.md#planted-defects). The acceptance tests are half of each change's own \
tests that fail without it and pass with it, since no model is asked here; the other half only \
says what is true.

| | |
| --- | --- |
"""


@dataclass(frozen=True)
class Report:
    """One run: when and where, what came out, and the figures of it."""

    date: str
    facts: Mapping[str, str]
    planted: Planted
    whole: Whole
    bare: Whole
    rows: Sequence[Row]
    figures: Sequence[Figure]

    @classmethod
    def of(cls, date: str, facts: Mapping[str, str], planted: Planted) -> Report:
        """The figures of what was planted."""
        whole, bare = of_whole(planted.outcomes)
        table = rows(planted.outcomes, whole, bare)
        return cls(date, facts, planted, whole, bare, table, figures(planted.outcomes, whole))

    @property
    def missed(self) -> list[Figure]:
        """The figures that do not reach their bar."""
        return [
            figure
            for figure in self.figures
            if figure.verdict != "told" and figure.verdict != "reached"
        ]

    def document(self) -> dict[str, Any]:
        """The run for `--json`."""
        return {
            "date": self.date,
            "machine": dict(self.facts),
            "reached": not self.missed,
            "figures": [figure.document() for figure in self.figures],
            "gates": [vars(row) for row in self.rows],
            "contrary": self.planted.contrary,
            "passed_over": self.planted.passed_over,
            "cases": [
                {**outcome.document(), "probability": round(p, 4), "accepted": ok}
                for outcome, p, ok in zip(
                    self.planted.outcomes,
                    self.whole.probabilities,
                    self.whole.accepted,
                    strict=True,
                )
            ],
        }

    def page(self) -> str:
        """The run as Markdown."""
        facts = {"date": self.date, **self.facts, "corpus": self.corpus()}
        parts = [_HEAD + "".join(f"| {name} | {value} |\n" for name, value in facts.items())]
        parts += [f"\n{self.summary()}\n", "\n## Figures\n\n", _figures(self.figures)]
        parts += ["\n## Gates\n\n", _gates(self.rows)]
        parts += ["\n## Bars on confidence\n\n", _bars(self.planted.outcomes, self.whole)]
        parts += ["\n## Kinds of defects\n\n", _kinds(self.planted.outcomes)]
        parts += ["\n## Projects\n\n", _projects(self.planted.outcomes)]
        parts += ["\n## Calibration\n\n", _bins(self.whole), "\n", self._weights()]
        parts += ["\n## Not in the set\n\n", self._left_out()]
        return "".join(parts)

    def corpus(self) -> str:
        """How much of what."""
        by = Counter(outcome.truth for outcome in self.planted.outcomes)
        projects = len({outcome.project for outcome in self.planted.outcomes})
        return (
            f"{by[RIGHT]} good changes of {projects} projects, {by[WRONG]} variants shown wrong,"
            f" {by[UNSHOWN]} that pass all tests (right or untested)"
        )

    def summary(self) -> str:
        """One sentence about all bars."""
        bars = [figure for figure in self.figures if figure.bar is not None]
        missed = ", ".join(figure.name for figure in self.missed)
        told = f"{len(bars) - len(self.missed)} of {len(bars)} bars reached"
        return f"{told}; missed: {missed}." if missed else f"{told}."

    def _weights(self) -> str:
        known = sorted(weights(self.planted.outcomes).items(), key=lambda pair: -abs(pair[1]))
        listed = ", ".join(f"{name} {weight:+.2f}" for name, weight in known)
        return f"Weights fitted to all of it: {listed}.\n"

    def _left_out(self) -> str:
        contrary = ", ".join(self.planted.contrary) or "none"
        return (
            "Releases that change what existing tests expect, of which only the parts that do not"
            f" are in the set, if any: {contrary}.\n\n"
            f"Releases without code, or tests that show it: {len(self.planted.passed_over)}.\n"
        )


def _figures(found: Sequence[Figure]) -> str:
    head = "| figure | bar | measured | verdict | |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {f.name} | {f.shown_bar} | {f.shown} | {f.verdict} | {f.note} |\n" for f in found
    )


def _gates(found: Sequence[Row]) -> str:
    head = (
        "| gate | wrong accepted | good refused | right or untested accepted"
        " | right among accepted |\n"
    )
    return (
        head
        + "| --- | --- | --- | --- | --- |\n"
        + "".join(
            f"| {r.gate} | {_percent(r.wrong_accepted)} | {_percent(r.good_refused)} |"
            f" {_percent(r.untold_accepted)} | {_percent(r.precision)} |\n"
            for r in found
        )
    )


def _bars(outcomes: Sequence[Outcome], whole: Whole) -> str:
    """What would be accepted by the lowest confidence that keeps a bound, chosen on other work."""
    lines = [
        "| wrong among accepted, at 95 % at most | wrong accepted | good accepted |"
        " right among accepted |\n",
        "| --- | --- | --- | --- |\n",
    ]
    for target, accepted in whole.accepted_at.items():
        r = row("", outcomes, accepted)
        shown = [r.wrong_accepted, 1 - r.good_refused, r.precision]
        lines.append(f"| {_percent(target)} | {' | '.join(map(_percent, shown))} |\n")
    return "".join(lines)


def _kinds(outcomes: Sequence[Outcome]) -> str:
    accepted = list(gates(outcomes).values())
    first = {kind: caught for kind, _, caught, _ in by_kind(outcomes, accepted[0])}
    head = "| kind | wrong | caught by tests alone | caught by all stages | right or untested |\n"
    return (
        head
        + "| --- | --- | --- | --- | --- |\n"
        + "".join(
            f"| {kind} | {wrong} | {first[kind]} | {caught} | {untold} |\n"
            for kind, wrong, caught, untold in by_kind(outcomes, accepted[-1])
            if kind != "good"
        )
    )


def _projects(outcomes: Sequence[Outcome]) -> str:
    head = "| project | good | wrong | suite, CPU s | beyond the base run, × suite |\n"
    lines = [head, "| --- | --- | --- | --- | --- |\n"]
    for name in dict.fromkeys(o.project for o in outcomes):
        mine = [o for o in outcomes if o.project == name]
        by = Counter(o.truth for o in mine)
        suite = sum(o.suite_cpu for o in mine) / len(mine)
        lines.append(f"| {name} | {by[RIGHT]} | {by[WRONG]} | {suite:.1f} | {cost(mine):.2f} |\n")
    return "".join(lines)


def _bins(whole: Whole) -> str:
    lines = ["| said | cases | mean said | right |\n", "| --- | --- | --- | --- |\n"]
    lines += [
        f"| {b.low:.1f} to {b.high:.1f} | {b.count} | {b.said:.2f} | {b.right:.2f} |\n"
        for b in whole.reliability.bins
        if b.count
    ]
    return "".join(lines)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
