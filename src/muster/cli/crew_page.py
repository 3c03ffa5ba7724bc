"""A task's playbook as text: where it stands, its pull request, what each role said, the story."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from muster.cli.look import Ink, ago, facts, indented, some, table
from muster.client.shapes import Crew, TaskDetail
from muster.domain.plain import plain, plain_line

_STEPS, _REVIEWS, _REMARKS, _EVENTS, _RISKS = 12, 5, 10, 30, 5
_LINES = 4
_WORDS = 600
_NOT_YET = {"refused": "led nowhere: ", "pending": "not yet", "past": "led nowhere more"}


def crew_parts(ink: Ink, task: TaskDetail) -> Iterator[str]:
    """The parts of a task's page that tell of its playbook; none where no events lead it on."""
    crew = task.get("crew")
    if crew is None:
        return
    pairs = [
        ("steps", _way(ink, crew)),
        ("rounds", _rounds(crew["rounds"])),
        ("pull request", _pull(crew["pull"])),
        ("deployed", _deployment(crew["deployment"])),
        ("because of", _others(ink, [crew["cause"]] if crew["cause"] else [])),
        ("led to", _others(ink, crew["caused"])),
    ]
    title = f"{ink.paint('bold', 'Playbook')}  {some(task['playbook'])}"
    yield f"{title}\n{facts(ink, pairs)}".rstrip()
    yield _analysis(ink, crew["analysis"])
    yield _reviews(ink, crew["reviews"])
    yield _story(ink, crew["events"])


def _way(ink: Ink, crew: Crew) -> str:
    """The steps in a line; the one at which it stands is marked by a sign, too."""
    shown = {
        "done": lambda step: f"{ink.mark('completed')} {step}",
        "now": lambda step: ink.paint("bold", f"▸ {step}"),
        "ahead": lambda step: ink.paint("dim", step),
    }
    way = [shown[one["state"]](some(one["step"])) for one in crew["way"] if one["state"] in shown]
    return ", ".join(way)


def _rounds(rounds: int) -> str:
    if not rounds:
        return ""
    return "changes were asked for " + ("once" if rounds == 1 else f"{rounds} times")


def _pull(pull: Mapping[str, Any] | None) -> str:
    if pull is None:
        return ""
    number = f"#{some(pull['number'])} {some(pull.get('state'))}"
    return "  ".join(filter(None, (number.strip(), some(pull.get("url")))))


def _deployment(record: Mapping[str, Any] | None) -> str:
    """What a deployer recorded; of one that deployed nothing, why."""
    if record is None:
        return ""
    if not record.get("deployed"):
        return ", ".join(filter(None, ("nothing", some(record.get("notes")))))
    where = some(record.get("environment"))
    parts = [
        some(record.get("commit"))[:10],
        some(record.get("version")),
        f"to {where}" if where else "",
        some(record.get("url")),
    ]
    return "  ".join(filter(None, parts))


def _others(ink: Ink, tasks: Sequence[Mapping[str, Any]]) -> str:
    said = [f"{some(t['label'])} {ink.state(t['status'])} {some(t['title'])}" for t in tasks]
    return ", ".join(said)


def _analysis(ink: Ink, found: Mapping[str, Any] | None) -> str:
    """What the starter found, in a few lines, and the steps that it plans."""
    if found is None:
        return ""
    words = plain(str(found.get("analysis") or "")).strip()[:_WORDS].splitlines()
    lines = [f"{ink.paint('bold', 'Analysis')}  {some(found.get('by'))}".rstrip()]
    lines += [f"  {line}".rstrip() for line in words[:_LINES]]
    steps = [
        f"{n}. {some(step.get('title'))}{_files(step)}"
        for n, step in enumerate(found.get("plan") or (), 1)
    ]
    risks = [f"risk: {some(risk)}" for risk in found.get("risks") or ()]
    audit = some(found.get("audit_about"))
    lines += _bounded(steps, _STEPS, "steps") + _bounded(risks, _RISKS, "risks")
    return "\n".join([*lines, *([f"  wants an audit: {audit}"] if audit else [])])


def _files(step: Mapping[str, Any]) -> str:
    files = ", ".join(map(some, step.get("files") or ()))
    return f" ({plain_line(files, 120)})" if files else ""


def _reviews(ink: Ink, reviews: Sequence[Mapping[str, Any]]) -> str:
    """What reviewers said, the newest last."""
    if not reviews:
        return ""
    lines = [ink.paint("bold", "Reviews")]
    if len(reviews) > _REVIEWS:
        lines.append(f"  … {len(reviews) - _REVIEWS} before")
    for review in reviews[-_REVIEWS:]:
        agrees = review.get("verdict") == "approve"
        said = "approves" if agrees else "asks for changes"
        mark, summary = ink.mark("ok" if agrees else "wait"), some(review.get("summary"))
        lines.append(
            f"  {mark} {some(review.get('by'))} {said}" + (f": {summary}" if summary else "")
        )
        remarks = [_remark(one) for one in review.get("comments") or ()]
        lines += _bounded(remarks, _REMARKS, "remarks", "      ")
    return "\n".join(lines)


def _remark(one: Mapping[str, Any]) -> str:
    line = one.get("line")
    where = f"{some(one.get('path'))}:{some(line)}" if line is not None else some(one.get("path"))
    return "  ".join(filter(None, (some(one.get("severity")), where, some(one.get("text")))))


def _bounded(lines: Sequence[str], most: int, what: str, indent: str = "  ") -> list[str]:
    more = len(lines) - most
    return [f"{indent}{line}" for line in lines[:most]] + (
        [f"{indent}… and {more} more {what}"] if more > 0 else []
    )


def _story(ink: Ink, events: Sequence[Mapping[str, Any]]) -> str:
    """The newest events that led the task on, with what each led to."""
    if not events:
        return ""
    rows = [
        [some(e["event"]), some(e["type"]), _led(e), ago(e.get("time"))] for e in events[-_EVENTS:]
    ]
    title = ink.paint("bold", "Story")
    before = len(events) - len(rows)
    more = f"\n  … {before} events before" if before else ""
    return f"{title}{more}\n{indented(table(ink, ['#', 'EVENT', 'LED TO', 'WHEN'], rows))}"


def _led(event: Mapping[str, Any]) -> str:
    lead = _NOT_YET.get(str(event["state"]), "")
    return f"{lead}{some(event['led_to'])}"
