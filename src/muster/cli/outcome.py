"""What muster thinks how likely work is right, what became of it, and `muster task outcome`."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink, some
from muster.cli.reach import reach
from muster.client.shapes import Outcome, Reason, Verdict


@command()
@click.argument("name", metavar="TASK")
@click.argument("what", metavar="right|wrong", type=click.Choice(["right", "wrong"]))
@click.option("--why", default="", metavar="TEXT", help="What showed it.")
def outcome(line: Line, name: str, what: str, why: str) -> None:
    """Say whether a task's work was right; muster's confidence learns from it."""
    with reach(line) as muster:
        kept = muster.tell_outcome(name, what, why)
    if line.json:
        out.document(kept)
        return
    out.say(line, outcome_line(Ink(line.colour), kept))


def outcome_line(ink: Ink, kept: Outcome) -> str:
    """What became of an attempt, in one line."""
    mark = ink.mark("ok" if kept["right"] else "veto")
    word = "right" if kept["right"] else "wrong"
    said = "" if kept["confidence"] is None else f" (confidence was {kept['confidence']:.2f})"
    return f"{mark} attempt {kept['attempt']} was {word}{said}: {some(kept['why'])}"


def confidence_lines(verdict: Verdict) -> list[str]:
    """What a verdict's confidence rests on, or why there is none."""
    sure = verdict.get("sure")
    if not sure:
        return []
    lines = [f"      no confidence: {some(sure['abstains'])}"] if sure["abstains"] else []
    both = (("for", sure["for"]), ("against", sure["against"]))
    lines += [f"      {word}: {_told(reasons)}" for word, reasons in both if reasons]
    bend = sure["calibration"]
    if bend and not sure["abstains"]:
        lines.append(f"      by {some(bend['outcomes'])} outcomes of this project")
    return lines


def _told(reasons: list[Reason]) -> str:
    return "; ".join(f"{some(r['text']).rstrip('.')} ({r['share']:+.2f})" for r in reasons)
