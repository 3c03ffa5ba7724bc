"""How agents do, as a page of text, and in two lines for the status."""

from __future__ import annotations

from muster.cli.look import Ink, duration, facts, money, some, table
from muster.client.shapes import AgentAnalytics, Succeeded, Took, Used


def analytics_page(ink: Ink, found: AgentAnalytics) -> str:
    """The whole page."""
    whose = f" of {some(found['project'])}" if found["project"] else ""
    head = ink.paint("bold", f"Since {some(found['since'] or 'the beginning')}{whose}")
    reviewed = found["review_rounds"]
    pairs = [
        ("agents", _counts(found["agents"])),
        ("tasks now", _counts(found["tasks"])),
        ("an agent took", took_words(found["agent_seconds"])),
        ("a task took", took_words(found["task_seconds"])),
        ("queued now", waits_words(found)),
        ("waited to start", took_words(found["queue"]["waited"])),
        (
            "reviews",
            f"{reviewed['rounds']} times changes were asked for of {reviewed['tasks']} tasks, "
            f"at most {reviewed['most']} of one"
            if reviewed["tasks"]
            else "",
        ),
        ("cost", f"{money(found['cost']['cost_usd'])} in {found['cost']['runs']} runs"),
    ]
    parts = [f"{head}\n{facts(ink, pairs)}", _successes(ink, found), _times(ink, found)]
    return "\n\n".join(filter(None, parts))


def took_words(took: Took) -> str:
    """How long something took, in words; empty where nothing did."""
    p50, p90, longest = took["p50_seconds"], took["p90_seconds"], took["longest_seconds"]
    if p50 is None or p90 is None or longest is None:
        return ""
    spread = f"half within {duration(p50)}, 90 % within {duration(p90)}"
    return f"{spread}, the longest {duration(longest)} ({took['count']})"


def waits_words(found: AgentAnalytics) -> str:
    """How many tasks are queued now, and for how long the oldest has been."""
    waiting = found["queue"]["waiting"]
    longest = waiting["longest_seconds"]
    if longest is None:
        return "nothing"
    half = duration(waiting["p50_seconds"] or 0.0)
    return f"{waiting['count']}, the oldest for {duration(longest)}, half for {half} or less"


def work_words(found: AgentAnalytics) -> str:
    """How agents did, in a line."""
    every = found["success"]["by_role"].values()
    succeeded = sum(own["succeeded"] for own in every)
    judged = succeeded + sum(own["failed"] for own in every)
    words = f"{succeeded} of {judged} agents succeeded" if judged else "no agent was judged"
    half = found["task_seconds"]["p50_seconds"]
    done = f", half of the tasks within {duration(half)}" if half is not None else ""
    return f"{words}{done}, {money(found['cost']['cost_usd'])}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {some(name)}" for name, count in counts.items())


def _successes(ink: Ink, found: AgentAnalytics) -> str:
    kinds = (
        ("role", found["success"]["by_role"], found["cost"]["by_role"]),
        ("driver", found["success"]["by_driver"], found["cost"]["by_driver"]),
        ("type", found["success"]["by_type"], found["cost"]["by_type"]),
    )
    rows = [
        _row(kind, name, own, used[name])
        for kind, owns, used in kinds
        for name, own in owns.items()
    ]
    head = ["BY", "NAME", "SUCCEEDED", "FAILED", "CANCELLED", "OPEN", "RATE", "RUNS", "COST"]
    return table(ink, head, rows) if rows else ""


def _row(kind: str, name: str, own: Succeeded, used: Used) -> list[str]:
    rate = "" if own["rate"] is None else f"{100 * own['rate']:.0f} %"
    counts = (own["succeeded"], own["failed"], own["cancelled"], own["open"])
    return [kind, some(name), *map(str, counts), rate, str(used["runs"]), money(used["cost_usd"])]


def _times(ink: Ink, found: AgentAnalytics) -> str:
    retries = found["retries"]
    rows = [
        [
            some(role),
            str(own["tasks"]),
            str(own["retried"]),
            str(own["retries"]),
            took_words(found["agent_seconds"]["by_role"][role])
            if role in found["agent_seconds"]["by_role"]
            else "",
        ]
        for role, own in retries.items()
    ]
    return table(ink, ["ROLE", "TASKS", "RETRIED", "RETRIES", "TOOK"], rows) if rows else ""
