"""A plan as text: where it is from, its tasks, what they need, and when they are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.cli.look import Ink, facts, indented, some, table
from muster.client.shapes import Task, TaskDetail
from muster.domain.task import PLAN


def plan_table(ink: Ink, task: TaskDetail) -> str:
    """What was planned; nothing for a task that is no plan, or has none yet."""
    plan = task.get("plan")
    if plan is None or task["playbook"] != PLAN:
        return ""
    head = [
        ("summary", some(plan["summary"])),
        ("by", some(plan["model"]) or "muster, without a model"),
        ("why", some(plan["why"])),
        ("confidence", f"{plan['confidence']:.2f}" if plan["confidence"] is not None else ""),
        ("estimate", _minutes(plan["minutes"])),
    ]
    planned = {one["key"]: one for one in plan["tasks"]}
    authors = {author["id"]: author for author in task["authors"]}
    rows, told = list[list[str]](), list[str]()
    for child in task["workers"]:
        # A plan that was made anew names its tasks after the attempt as well.
        name = str(child["errand"])
        one = planned.get(name) or planned.get(name.rpartition("-")[0]) or {}
        rows.append(
            [
                some(child["label"]),
                ink.state(child["status"]),
                some(child["type"]),
                _minutes(one.get("minutes")),
                some(one.get("agent")),
                some(one.get("isolation")),
                _needs(child),
                *([_tests(ink, authors, child)] if authors else []),
                some(child["title"]),
            ]
        )
        told.append(_task(ink, child["label"], one))
    tests = ["TESTS"] if authors else []
    columns = ["TASK", "STATE", "TYPE", "ESTIMATE", "AGENT", "ISOLATION", "NEEDS", *tests, "TITLE"]
    parts = [facts(ink, head), indented(table(ink, columns, rows)), *filter(None, told)]
    return "\n".join([ink.paint("bold", "Plan"), "\n\n".join(parts)])


def _needs(child: Task) -> str:
    """What a planned task waits for, but for who writes its tests: that is a column of its own."""
    both = zip(child["needs"], child["needs_labels"], strict=False)
    return ", ".join(some(label) for need, label in both if need != child["acceptance_id"])


def _tests(ink: Ink, authors: Mapping[str, Task], child: Task) -> str:
    """The task that writes a planned task's acceptance tests, and how it stands."""
    author = authors.get(child["acceptance_id"] or "")
    return f"{some(author['label'])} {ink.state(author['status'])}" if author else ""


def _task(ink: Ink, label: str, one: Mapping[str, Any]) -> str:
    """Why it is done by whom, and by what one sees that it is done."""
    pairs = [
        *(("check", some(check)) for check in one.get("checks", ())),
        *(("run", some(" ".join(map(str, argv)))) for argv in one.get("commands", ())),
        ("files", ", ".join(map(some, one.get("files", ())))),
        ("agent", _chosen(one, "agent")),
        ("isolation", _chosen(one, "isolation")),
    ]
    shown = facts(ink, pairs, "    ")
    return f"  {ink.paint('bold', some(label))}\n{shown}" if shown else ""


def _chosen(one: Mapping[str, Any], what: str) -> str:
    why = some(one.get(f"{what}_why"))
    return f"{some(one.get(what))}: {why}" if why else some(one.get(what))


def _minutes(minutes: Any) -> str:
    return f"{minutes:g} min" if isinstance(minutes, (int, float)) else ""
