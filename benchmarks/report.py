"""The results of a run as a page and as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure

_HEAD = """\
# Measured

Written by `make bench`; what each figure means and how it is measured: [docs/benchmarks.md]\
(../docs/benchmarks.md). Each value is the median of {rounds} rounds unless its name says otherwise.
Wall times on a busy machine say more about the machine; processor times are muster's own.

| | |
| --- | --- |
"""


@dataclass(frozen=True)
class Run:
    """One run of the benchmarks: when and where, and what came out by benchmark."""

    date: str
    facts: Mapping[str, str]
    rounds: int
    figures: Mapping[str, Sequence[Figure]]

    @property
    def missed(self) -> list[Figure]:
        """The figures that do not reach their bar."""
        return [f for figures in self.figures.values() for f in figures if f.verdict == "MISSED"]

    def document(self) -> dict[str, Any]:
        """The run for `--json`."""
        return {
            "date": self.date,
            "machine": dict(self.facts),
            "rounds": self.rounds,
            "reached": not self.missed,
            "figures": {
                name: [figure.document() for figure in figures]
                for name, figures in self.figures.items()
            },
        }

    def page(self) -> str:
        """The run as Markdown."""
        facts = {"date": self.date, **self.facts}
        lines = [_HEAD.format(rounds=self.rounds)]
        lines += [f"| {name} | {value} |\n" for name, value in facts.items()]
        for name, figures in self.figures.items():
            lines += [f"\n## {name}\n\n", "| figure | bar | measured | verdict | |\n"]
            lines += ["| --- | --- | --- | --- | --- |\n"]
            lines += [
                f"| {f.name} | {f.shown_bar} | {f.shown} | {f.verdict} | {f.note} |\n"
                for f in figures
            ]
        lines.append(f"\n{self.summary()}\n")
        return "".join(lines)

    def summary(self) -> str:
        """One sentence about all bars."""
        bars = [f for figures in self.figures.values() for f in figures if f.bar is not None]
        reached = sum(f.verdict == "reached" for f in bars)
        return f"{reached} of {len(bars)} bars reached, {len(self.missed)} missed."


def row(figure: Figure) -> str:
    """One figure as a line of the terminal."""
    bar = f"  [{figure.shown_bar}: {figure.verdict}]" if figure.bar is not None else ""
    note = f"  ({figure.note})" if figure.note else ""
    return f"  {figure.name:<62} {figure.shown:>14}{bar}{note}"
