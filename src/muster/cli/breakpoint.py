"""`muster inbox` and `muster breakpoint`: what waits for a person, and the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, between, facts, indented, some, table
from muster.cli.reach import reach
from muster.cli.stopped import stopped_entry
from muster.cli.task_page import finding_lines, question_lines
from muster.cli.which import breakpoint_named, project_or_here
from muster.client.shapes import Breakpoint, BreakpointRule
from muster.domain.plain import pictured


@command()
def inbox(line: Line) -> None:
    """List what waits for a person, with the commands that answer."""
    with reach(line) as muster:
        page = muster.list_breakpoints()
    if line.json:
        out.document(page)
        return
    stop = page["stopped"]
    if not page["items"] and not stop:
        out.tell(line, "Nothing waits for you.")
        return
    ink = Ink(line.colour)
    entries = [stopped_entry(ink, stop)] if stop else []
    out.say(line, "\n\n".join([*entries, *(_entry(ink, item) for item in page["items"])]))


def _entry(ink: Ink, item: Breakpoint) -> str:
    head = f"{some(item['task_label'])}  {some(item['task_title'])}"
    age = ink.paint("dim", f"{some(item['kind'])}, {ago(item['created_at'])}")
    return f"{ink.paint('bold', head)}  {age}\n{question_lines(ink, item)}"


@group("breakpoint")
def breakpoint_() -> None:
    """List, show and answer questions.

    A question is named by its id; a task's name stands for the one that is open on it.
    """


@command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that were answered.")
def list_(line: Line, everything: bool) -> None:
    """List questions."""
    with reach(line) as muster:
        page = muster.list_breakpoints(open_only=not everything)
    if line.json:
        out.document(page)
        return
    if not page["items"]:
        out.tell(line, "No questions.")
        return
    ink = Ink(line.colour)
    rows = [
        [
            some(item["id"]),
            some(item["task_label"]),
            some(item["kind"]),
            ink.state("waiting") if item["open"] else some(item["answer"] or "closed"),
            ago(item["created_at"]),
            *([_by(item)] if everything else []),
            some(item["question"]),
        ]
        for item in page["items"]
    ]
    head = ["ID", "TASK", "KIND", "STATE", "ASKED", *(["ANSWERED"] if everything else [])]
    out.say(line, table(ink, [*head, "QUESTION"], rows))


def _by(item: Breakpoint) -> str:
    """Who answered, how long after, and what they said with it."""
    if item["resolved_at"] is None:
        return ""
    who = f"by {some(item['by'])} " if item["by"] else ""
    note = f": {some(item['note'])}" if item["note"] else ""
    return f"{who}after {between(item['created_at'], item['resolved_at'])}{note}"


@command()
@click.argument("name", metavar="ID")
def show(line: Line, name: str) -> None:
    """Show a question with its evidence."""
    with reach(line) as muster:
        found = muster.get_breakpoint(breakpoint_named(muster, name))
    if line.json:
        out.document(found)
        return
    ink = Ink(line.colour)
    head = f"{some(found['task_label'])}  {some(found['task_title'])}"
    parts = [ink.paint("bold", head), _answered(ink, found), _evidence(ink, found)]
    out.say(line, "\n".join(part for part in parts if part))


def _answered(ink: Ink, item: Breakpoint) -> str:
    if item["open"]:
        return question_lines(ink, item)
    pairs = [
        ("asked", some(item["question"])),
        ("answer", some(item["answer"])),
        ("by", some(item["by"])),
        ("note", some(item["note"])),
        ("when", ago(item["resolved_at"])),
    ]
    return facts(ink, pairs)


def _evidence(ink: Ink, item: Breakpoint) -> str:
    evidence = dict(item["evidence"])
    lines: list[str] = []
    findings = evidence.pop("findings", None)
    shown: set[str] = set()
    for finding in findings if isinstance(findings, list) else []:
        lines += finding_lines(ink, finding, shown)
    rules = evidence.pop("rules", None)
    lines += [_rule_line(rule) for rule in rules if isinstance(rule, dict)] if rules else []
    paths = evidence.pop("paths", None)
    for path in paths if isinstance(paths, list) else []:
        if isinstance(path, dict):
            lines.append(f"  conflict in {some(path.get('path'))}")
            lines.append(indented(pictured(str(path.get("conflict") or "")), "    "))
        else:
            lines.append(f"  {some(path)}")
    lines += [f"  {some(name)}: {_value(value)}" for name, value in evidence.items()]
    return "\n".join(["Evidence", *lines]) if lines else ""


def _rule_line(rule: dict[str, Any]) -> str:
    """A rule that holds, on one line: whose it is, and what its conditions saw."""
    saw = "; ".join(f"{c['kind']} {json.dumps(c['saw'])}" for c in rule.get("conditions", ()))
    role = f", approval of {rule['role']}" if rule.get("role") else ""
    return "  " + some(f"rule {rule.get('rule')} ({rule.get('source')}{role}): {saw}")


def _value(value: object) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "; ".join(map(some, value))
    return some(value) if isinstance(value, (str, int, float)) else json.dumps(value)


@command()
@click.argument("name", metavar="ID")
@click.argument("answer")
@click.option("--note", default="", metavar="TEXT", help="Why, or what the agent should know.")
def resolve(line: Line, name: str, answer: str, note: str) -> None:
    """Answer a question with one of its options."""
    with reach(line) as muster:
        done = muster.resolve_breakpoint(breakpoint_named(muster, name), answer, note)
    if line.json:
        out.document(done)
    else:
        out.say(line, f"{some(done['task_label'])}: {some(done['answer'] or answer)}")
        out.tell(line, f"Follow it: muster task show {some(done['task_label'])}")


@command()
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option(
    "--check", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Tell every fault of a rules file instead; needs no server.",
)  # fmt: skip
@click.option("--as-home", "of_home", is_flag=True, help="Check it as the home's, not a project's.")
def rules(line: Line, project: str | None, file: Path | None, of_home: bool) -> int:
    """List the rules that raise questions by themselves, and where each comes from."""
    if file is not None:
        return _check(line, file, of_home)
    if of_home:
        raise click.UsageError("--as-home goes with --check FILE")
    with reach(line) as muster:
        found = muster.breakpoint_rules(project_or_here(muster, project))
    if line.json:
        out.document(found)
        return 0
    ink = Ink(line.colour)
    rows = [
        [some(r["name"]), _does(r), some(r["source"]), some(json.dumps(r["when"]))]
        for r in found["items"]
    ]
    rows += [[some(n), "off", some(by), ""] for n, by in found["switched_off"].items()]
    out.say(line, table(ink, ["RULE", "DOES", "FROM", "WHEN"], rows))
    for fault in found["faults"]:
        out.tell(line, f"{some(fault['file'])} is not used, {_fault(fault)}")
    for text in found["ignored"]:
        out.tell(line, f"Left out, {some(text)}")
    return 0


def _does(rule: BreakpointRule) -> str:
    return f"{rule['do']} {rule['role']}" if rule["role"] else rule["do"]


def _fault(fault: dict[str, Any]) -> str:
    return some(f"line {fault['line']}: {fault['what']}; {fault['remedy']}")


def _check(line: Line, file: Path, of_home: bool) -> int:
    check = late("muster.wiring.rules").check
    faults: list[dict[str, Any]] = check(line.home, file, of_home=of_home)
    if line.json:
        out.document({"items": faults, "next": None})
        return int(bool(faults))
    told = [f"{some(str(file))}, {_fault(fault)}" for fault in faults]
    out.say(line, "\n".join(told or [f"{some(str(file))} has no fault."]))
    return int(bool(faults))


for _command in (list_, show, resolve, rules):
    breakpoint_.add_command(_command)
