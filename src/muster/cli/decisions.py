"""Why muster decided as it did, and what other settings would have made of the past."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink, ago, some, table
from muster.cli.reach import reach
from muster.cli.task_page import STEPS, finding_lines
from muster.cli.which import project_or_here
from muster.client.shapes import Decided, Otherwise, PolicyTrial, RulesTrial, Step
from muster.domain.errors import Invalid

_HEAD = ["TASK", "ATTEMPT", "WHEN", "WAS", "WOULD BE"]
_RULES = ["RULE", "FROM", "TRIED AT", "HELD", "WOULD HOLD", "CANNOT TELL", "HELD AT WORK"]


def why(ink: Ink, decisions: list[Decided]) -> str:
    """Each decision with what it depended on, oldest first."""
    return "\n\n".join("\n".join(_decided(ink, each)) for each in decisions)


def _decided(ink: Ink, found: Decided) -> Iterator[str]:
    attempt = ink.paint("bold", f"Attempt {found['attempt']}")
    yield f"{attempt}  {_step(found)}  {ink.paint('dim', ago(found['time']))}"
    for reason in found["reasons"]:
        yield f"  because: {some(reason)}"
    shown: set[str] = set()
    for finding in found["findings"]:
        yield from finding_lines(ink, finding, shown)
    case = found["case"]
    if case is None:
        yield "  what else it depended on was not kept yet"
        return
    for name, value in _depended_on(case):
        yield f"  {ink.paint('dim', name)}  {value}"
    if found["again"] is not None:
        yield f"  {ink.mark('waiting')} decided now it would be: {_step(found['again'])}"


def _step(step: Step) -> str:
    """What was decided, in words."""
    words = STEPS.get(step["step"], some(step["step"]))
    agent = f" ({some(step['agent'])})" if step["agent"] else ""
    return f"{words}{agent}" + (f", about {some(step['kind'])}" if step["kind"] else "")


def _depended_on(case: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts beside the findings, each with its name; those that say nothing are left out."""
    policy = case["policy"]
    chosen = " (chosen by a person)" if case["agent_is_chosen"] else ""
    yield "agent   ", f"{some(case['agent'])}{chosen} ended with '{some(case['outcome'])}'"
    yield "tries   ", f"{case['tries']} of {policy['max_attempts']}"
    settings = [f"{name} {_value(value)}" for name, value in policy.items()]
    yield "settings", ", ".join(settings)
    for tried in case["past"]:
        against = f": {some(tried['refusal'])}" if tried["refusal"] else ""
        yield "before  ", f"attempt {tried['attempt']} by {some(tried['agent'])}{against}"
    for hold in case["holds"]:
        yield "rule    ", some(hold["sentence"])


def rules_text(file: Path) -> str:
    """The text of a rules file that is to be tried.

    Raises:
        Invalid: it cannot be read.
    """
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Invalid(
            f"{file} cannot be read: {why}", hint="name a file of rules that you may read"
        ) from error


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(some, value)) or "none"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else some(value)


@command("try")
@click.argument("words", nargs=-1, metavar="[KEY VALUE]…")
@click.option(
    "--rules",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask this rules file of breakpoints in the place of the project's own.",
)
@click.option(
    "--home-rules",
    "home_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask this one in the place of the home's.",
)
@click.option("--project", metavar="NAME", help="Which project [the current directory's].")
def try_(
    line: Line,
    words: tuple[str, ...],
    file: Path | None,
    home_file: Path | None,
    project: str | None,
) -> None:
    """Decide the past again: would other settings or rules have decided otherwise?

    Without KEY and VALUE every decision is made again as it was, which must change none. Nothing
    is changed by it; each decision is taken alone, as if all before it had been the same.

    Rules can be tried where they are asked at decisions: by files, lines, findings, decision,
    confidence, outcome, cost, minutes, events and the like. What is asked only while an agent
    works (command, repeated_calls, alternating_calls, cost_without_change, silence) is kept
    nowhere; how often such rules held then is told as it was.
    """
    if len(words) % 2:
        raise click.UsageError("give KEY VALUE, as often as needed")
    settings = dict(zip(words[::2], words[1::2], strict=True))
    rules, home_rules = (rules_text(each) if each else None for each in (file, home_file))
    with reach(line) as muster:
        found = muster.try_policy(project_or_here(muster, project), settings, rules, home_rules)
    if line.json:
        out.document(found)
        return
    out.say(line, trial(Ink(line.colour), found))
    if found["settings"] and found["changed"]:
        keys = " ".join(map(some, words[:2]))
        out.tell(line, f"Switch it on: muster project set {some(found['project'])} {keys}")


def trial(ink: Ink, found: PolicyTrial) -> str:
    """How many would be the same, and which not."""
    unknown = f", {found['unknown']} of before cases were kept" if found["unknown"] else ""
    counts = (
        f"{some(found['project'])}: {found['decisions']} decisions, {found['same']} the same,"
        f" {found['changed']} otherwise{unknown}"
    )
    told, head = [counts], _HEAD
    if found["rules"] is not None:
        told += [*_rules(ink, found["rules"])]
        head = [*_HEAD, "RULES"]
    rows = [_otherwise(item, with_rules=found["rules"] is not None) for item in found["items"]]
    return "\n\n".join([*told, table(ink, head, rows)] if rows else told)


def _rules(ink: Ink, found: RulesTrial) -> Iterator[str]:
    """At how many decisions the rules were asked, and each with what it came to."""
    said = f"Rules were asked at {found['asked']} of them"
    if found["not_asked"]:
        said += f"; at {found['not_asked']} none is (parked, cancelled, stopped, merges)"
    if found["unknown"]:
        said += f"; {found['unknown']} were before what rules ask for was kept"
    if found["untold"]:
        said += f"; {found['untold']} cannot be told, as facts were too large to be kept"
    yield f"{said}."
    rows = [
        [some(rule["name"]), some(rule["source"] or "nobody"), some(rule["tried"] or ""),
         *(str(rule[name]) for name in ("held", "would_hold", "untold", "at_work"))]
        for rule in found["items"]
    ]  # fmt: skip
    yield table(ink, _RULES, rows)


def _otherwise(item: Otherwise, *, with_rules: bool) -> list[str]:
    would_be = _step(item["would_be"]) if item["would_be"] else "cannot be told"
    row = [some(item["task"]), str(item["attempt"]), ago(item["time"]), _step(item["was"])]
    row.append(would_be)
    signs = (("+", item["would_hold"]), ("-", item["no_longer"]), ("?", item["untold"]))
    named = " ".join(some(f"{sign}{name}") for sign, names in signs for name in names)
    return [*row, named] if with_rules else row
