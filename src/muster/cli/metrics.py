"""`muster metrics`: what became of the work, how fast, how sure, asked how often, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink, duration, facts, money, some, table
from muster.cli.reach import reach
from muster.client.shapes import Metrics

_STAGES = (
    *("proposed", "blocked", "queued", "preparing", "running", "validating", "merging"),
    "waiting",
)
_MOST_DAYS = 30


@command("metrics")
@click.option("--project", metavar="PROJECT", help="Only this project's; else all.")
@click.option(
    "--since", metavar="WHEN", default="30d", show_default=True, help="24h, 7d, all, or a moment."
)
def metrics(line: Line, project: str | None, since: str) -> None:
    """Show how the work goes, in figures."""
    with reach(line) as muster:
        found = muster.metrics(project=project, since=since)
    if line.json:
        out.document(found)
        return
    ink = Ink(line.colour)
    parts = [_summary(ink, found), _tasks(ink, found), _stages(ink, found)]
    parts += [_sure(ink, found), _asked(ink, found)]
    out.say(line, "\n\n".join(filter(None, parts)))


def _summary(ink: Ink, found: Metrics) -> str:
    tasks, sure = found["tasks"], found["reliability"]
    brier = sure["brier"]
    base = sure["base_brier"]
    told = (
        f"Brier {brier:.3f} on {sure['outcomes'] - sure['abstained']} outcomes"
        + (f", {base:.3f} by always saying the same" if base is not None else "")
        if brier is not None
        else "no outcomes of work with a confidence yet"
    )
    ended = f"{tasks['completed']} completed, {tasks['failed']} failed"
    whose = f" of {some(found['project'])}" if found["project"] else ""
    return (
        ink.paint("bold", f"Since {some(found['since'] or 'the beginning')}{whose}")
        + "\n"
        + facts(
            ink,
            [
                ("tasks", f"{ended}, {tasks['cancelled']} cancelled"),
                ("completion", _percent(tasks["completion_rate"])),
                ("attempts per task", _number(tasks["attempts_per_task"])),
                ("confidence", told),
                ("cost", f"{money(found['cost']['cost_usd'])} in {found['cost']['runs']} runs"),
            ],
        )
    )


def _tasks(ink: Ink, found: Metrics) -> str:
    rows = [
        [kind, some(name), str(own["completed"]), str(own["failed"]), str(own["cancelled"]),
         _percent(own["completion_rate"]), _number(own["attempts_per_task"])]
        for kind in ("project", "type", "agent", "kind")
        for name, own in found["tasks"][f"by_{kind}"].items()
        if kind != "kind" or name != "work"
    ]  # fmt: skip
    head = ["BY", "NAME", "COMPLETED", "FAILED", "CANCELLED", "RATE", "ATTEMPTS"]
    return table(ink, head, rows) if rows else ""


def _stages(ink: Ink, found: Metrics) -> str:
    stages = found["stages"]
    rows = [[name, *_spread(stages[name])] for name in _STAGES if name in stages]
    return table(ink, ["STAGE", "TIMES", "HALF WITHIN", "95 % WITHIN"], rows) if rows else ""


def _sure(ink: Ink, found: Metrics) -> str:
    """The confidence of each day on which there was any."""
    rows = [
        [some(day["day"]), str(day["verdicts"]), str(day["told"]), _number(day["mean"])]
        for day in found["confidence"]
        if day["told"]
    ][-_MOST_DAYS:]
    return table(ink, ["DAY", "VERDICTS", "WITH CONFIDENCE", "MEAN"], rows) if rows else ""


def _asked(ink: Ink, found: Metrics) -> str:
    rows = [
        [some(kind), str(own["asked"]), str(own["open"]), *_spread(own["wait"])[1:],
         ", ".join(f"{some(a)} {n}" for a, n in own["answers"].items())]
        for kind, own in found["questions"]["by_kind"].items()
    ]  # fmt: skip
    head = ["QUESTION", "ASKED", "OPEN", "HALF WITHIN", "95 % WITHIN", "ANSWERS"]
    rules = [[some(rule), str(count)] for rule, count in found["rules"].items()]
    shown = [table(ink, head, rows)] if rows else []
    shown += [table(ink, ["RULE", "HELD"], rules)] if rules else []
    return "\n\n".join(shown)


def _spread(own: Mapping[str, Any]) -> list[str]:
    p50, p95 = own["p50_seconds"], own["p95_seconds"]
    shown = ["" if value is None else duration(value) for value in (p50, p95)]
    return [str(own["count"]), *shown]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
