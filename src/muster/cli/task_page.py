"""One task as a page of text: its state and why, the evidence, the decisions, what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muster.cli.crew_page import crew_parts
from muster.cli.look import Ink, ago, between, duration, facts, indented, money, some, table
from muster.cli.outcome import confidence_lines, outcome_line
from muster.cli.plan_page import plan_table
from muster.client.shapes import Agent, Breakpoint, Finding, Footprint, TaskDetail, Verdict
from muster.domain.plain import plain
from muster.domain.task import DEFAULT_PRIORITY, MANAGER, PLAN

_MOST_NAMES = 8
STEPS = {
    "accept": "accepted",
    "retry": "tried again",
    "other_agent": "tried again by another agent",
    "roll_back": "taken back and tried again",
    "split": "split into smaller tasks",
    "ask": "a person is asked",
    "give_up": "given up",
    "park": "put aside for now",
}


def task_page(ink: Ink, task: TaskDetail) -> str:
    """The whole page."""
    parts = [
        _head(ink, task),
        _description(ink, task),
        plan_table(ink, task) or _workers(ink, task),
        *crew_parts(ink, task),
        *_attempts(ink, task),
        _question(ink, task["breakpoint"]),
        _next(ink, task),
    ]
    return "\n\n".join(part for part in parts if part)


def attempts(task: TaskDetail) -> str:
    """Which attempt a task is at, with the tries of its step where they are counted anew."""
    number, tries = task["attempt"], task["tries"]
    if not number:
        return ""
    if not tries:
        return f"attempt {number}"
    again = "" if tries == number else f", try {tries}"
    return f"attempt {number}{again} of {task['max_attempts']}"


def _head(ink: Ink, task: TaskDetail) -> str:
    title = f"{ink.paint('bold', some(task['label']))}  {ink.paint('bold', some(task['title']))}"
    state = [ink.state(task["status"]), attempts(task), some(task["project"]), some(task["type"])]
    live = task.get("live_agent")
    size = f"+{task['added']} -{task['removed']} in {task['files_changed']} files"
    commits = [f"{name} {some(task.get(f'{name}_commit'))[:10]}"
               for name in ("base", "result", "merged") if task.get(f"{name}_commit")]  # fmt: skip
    pairs = [
        ("why", some(task["reason"])),
        ("now", some(live["last_line"]) if live else ""),
        (_came_of(task), _manager(ink, task)),
        ("tests", _acceptance(ink, task)),
        ("needs", ", ".join(map(some, task["needs_labels"]))),
        ("agent", " on ".join(filter(None, (some(task["agent"]), some(task["runtime"]))))),
        ("autonomy", some(task["autonomy"])),
        ("priority", "" if task["priority"] == DEFAULT_PRIORITY else str(task["priority"])),
        ("paths", ", ".join(map(some, task["paths"]))),
        ("branch", some(task["branch"]) if commits else ""),
        ("commits", ", ".join(commits)),
        ("changes", size if task["files_changed"] else ""),
        ("cost", _cost(task)),
        ("time", _time(task)),
        ("id", some(task["id"])),
    ]
    return "\n".join([title, " · ".join(filter(None, state)), facts(ink, pairs)])


def _cost(task: TaskDetail) -> str:
    tokens = f"{task['input_tokens']:,} tokens in, {task['output_tokens']:,} out"
    parts = [money(task["cost_usd"])]
    if task["workers"]:
        parts.append(f"with its workers {money(_spent(task))}")
    of = f" of {money(task['budget_usd'])}" if task["budget_usd"] else ""
    return f"{', '.join(parts)}{of} · {tokens}"


def _spent(task: TaskDetail) -> float:
    return sum(each["cost_usd"] for each in (task, *task["workers"], *task["authors"]))


def _came_of(task: TaskDetail) -> str:
    """What the task's parent is to it."""
    return "plan" if task["parent"] and task["parent"]["playbook"] == PLAN else "manager"


def _manager(ink: Ink, task: TaskDetail) -> str:
    """The manager that has spawned the task, or the plan that it is of."""
    parent = task["parent"]
    if parent is None:
        return ""
    called = f"which calls it {some(task['errand'])}" if task["errand"] else ""
    return ", ".join(filter(None, (some(parent["label"]), ink.state(parent["status"]), called)))


def _acceptance(ink: Ink, task: TaskDetail) -> str:
    """Who writes the tests that judge the task, and how many there are; or for whom it does."""
    tests = task["acceptance"]
    if tests is None:
        return ""
    said = []
    if tests["tests"] is not None:
        shown, hidden = len(tests["visible"]), len(tests["hidden"])
        files = f"{shown} of {shown + hidden} files shown to the coder"
        said = [f"{tests['tests']} tests" if tests["tests"] != 1 else "1 test", files]
    if tests["task_id"] == task["id"]:
        return ", ".join([f"for {', '.join(map(some, tests['judges']))}", *said])
    return ", ".join([some(tests["label"]), ink.state(tests["status"]), *said])


def _workers(ink: Ink, task: TaskDetail) -> str:
    """The workers that the task has spawned, each with where it stands."""
    rows = [
        [
            some(worker["label"]),
            ink.state(worker["status"]),
            some(worker["errand"]),
            money(worker["cost_usd"]),
            some(worker["reason"]) or some(worker["title"]),
        ]
        for worker in task["workers"]
    ]
    head = ["WORKER", "STATE", "NAME", "COST", "WHY"]
    return f"{ink.paint('bold', 'Workers')}\n{indented(table(ink, head, rows))}" if rows else ""


def _time(task: TaskDetail) -> str:
    parts = [f"submitted {ago(task['created_at'])}"]
    if task["started_at"]:
        end = task["finished_at"]
        took = between(task["started_at"], end)
        parts.append(f"took {took}" if end else f"started {ago(task['started_at'])}")
    return ", ".join(parts)


def _description(ink: Ink, task: TaskDetail) -> str:
    if task["description"].strip() == task["title"].strip():
        return ""
    return f"{ink.paint('bold', 'Description')}\n{indented(plain(task['description']))}"


def _attempts(ink: Ink, task: TaskDetail) -> Iterable[str]:
    agents: dict[int, list[Agent]] = {}
    verdicts: dict[int, list[Verdict]] = {}
    for agent in task["agents"]:
        agents.setdefault(agent["attempt"], []).append(agent)
    for verdict in task["verdicts"]:
        verdicts.setdefault(verdict["attempt"], []).append(verdict)
    for number in sorted({*agents, *verdicts}):
        lines = [ink.paint("bold", f"Attempt {number}")]
        lines += [f"  {_agent(ink, agent)}" for agent in agents.get(number, [])]
        for verdict in verdicts.get(number, []):
            lines += _verdict(ink, verdict)
        became = [o for o in task.get("outcomes", []) if o["attempt"] == number]
        lines += [f"  {outcome_line(ink, kept)}" for kept in became]
        yield "\n".join(lines)


def _agent(ink: Ink, agent: Agent) -> str:
    ended = agent["outcome"] or ""
    code = f"exit {agent['exit_code']}" if agent["exit_code"] is not None else ""
    parts = [
        f"{some(agent['id'])}  {ink.state(agent['status'])}",
        some(ended) if ended and ended != agent["status"] else "",
        code,
        f"{some(agent['driver'])} on {some(agent['runtime'])}",
        between(agent["started_at"], agent["ended_at"]),
        money(agent["cost_usd"]),
        some(agent["reason"]),
    ]
    return " · ".join(filter(None, parts))


def _verdict(ink: Ink, verdict: Verdict) -> list[str]:
    lines: list[str] = []
    shown: set[str] = set()
    for finding in verdict["findings"]:
        lines += finding_lines(ink, finding, shown)
    step = verdict["decision"]["step"]
    reasons = "; ".join(map(some, verdict["decision"]["reasons"]))
    sure = f" (confidence {verdict['confidence']:.2f})" if verdict["confidence"] is not None else ""
    lines.append(f"  → {STEPS.get(step, some(step))}{sure}" + (f": {reasons}" if reasons else ""))
    return lines + confidence_lines(verdict)


def finding_lines(ink: Ink, finding: Finding, shown: set[str]) -> list[str]:
    """One finding: its mark, its sentence, and the evidence it stands on.

    Findings often stand on the same runs; those in `shown` are not repeated.
    """
    evidence = finding.get("evidence") or {}
    mark = ink.mark(finding["severity"])
    lines = [f"  {mark} {some(finding['text'])}  {ink.paint('dim', some(finding['code']))}"]
    runs = [run for run in _list(evidence.get("runs")) if isinstance(run, dict)]
    table_of_runs = table(ink, ["RUN", "EXIT", "TESTS", "TIME"], [_run(run) for run in runs])
    if runs and table_of_runs not in shown:
        shown.add(table_of_runs)
        if evidence.get("command"):
            lines.append(f"      $ {some(evidence['command'])}")
        lines.append(indented(table_of_runs, "      "))
    lines += [f"      {_answer(one)}" for one in _list(evidence.get("answers"))]
    named = {name: _list(evidence.get(name)) for name in ("broken", "missing", "fixed")}
    return lines + [f"      {name}: {_names(tests)}" for name, tests in named.items() if tests]


def _answer(one: Mapping[str, Any]) -> str:
    """A model's answer to a question of its rubric, with where the change shows it."""
    said = "yes" if one.get("yes") else "no"
    return f"{said}: {some(one.get('question'))} ({some(one.get('path'))}:{some(one.get('line'))})"


def _run(run: Mapping[str, Any]) -> list[str]:
    exit_code = run.get("exit_code")
    tests = [f"{run[key]} {key}" for key in ("passed", "failed") if isinstance(run.get(key), int)]
    seconds = run.get("seconds")
    return [
        some(run.get("name")),
        some(exit_code) if exit_code is not None else some(run.get("why")) or "none",
        ", ".join(tests),
        duration(seconds) if isinstance(seconds, (int, float)) else "",
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(names: list[Any]) -> str:
    shown = ", ".join(map(some, names[:_MOST_NAMES]))
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _question(ink: Ink, asked: Breakpoint | None) -> str:
    if asked is None or not asked["open"]:
        return ""
    return f"{ink.paint('bold', 'Question')}\n{question_lines(ink, asked)}"


def question_lines(ink: Ink, asked: Breakpoint) -> str:
    """A question with its possible answers and the command for each."""
    lines = [f"  {ink.mark('waiting')} {some(asked['question'])}"]
    if asked["holds_back"]:
        lines.append(f"    holds back {asked['holds_back']} more")
    lines += [f"    {answer_command(asked['id'], option)}" for option in asked["options"]]
    return "\n".join(lines)


def answer_command(breakpoint_id: str, answer: str) -> str:
    """The command that gives an answer."""
    return f"muster breakpoint resolve {some(breakpoint_id)} {some(answer)}"


def _next(ink: Ink, task: TaskDetail) -> str:
    steps = next_steps(task)
    if not steps:
        return ""
    return "\n".join([ink.paint("bold", "Next"), *(f"  {step}" for step in steps)])


def next_steps(task: TaskDetail) -> list[str]:
    """The commands that make sense now."""
    label = some(task["label"])
    live = task.get("live_agent")
    by_status = {
        "proposed": [f"muster task approve {label}", f"muster task cancel {label}"],
        "waiting": [f"muster task diff {label}"] if task["result_commit"] else [],
        "completed": [f"muster task diff {label}"],
        "failed": [f"muster task retry {label} --note TEXT"],
        "cancelled": [f"muster task retry {label}"],
        "executing": [f"muster agent logs -f {some(live['id'])}"] if live else [],
    }
    if task["playbook"] in {MANAGER, PLAN}:  # it has no change of its own
        by_status |= {"completed": [], "waiting": []}
    manages = task["workers"] and task["playbook"] != PLAN
    team = [f"muster worker list --manager {label}"] if manages else []
    return [*team, *by_status.get(task["status"], [])]


def task_log(ink: Ink, steps: Iterable[Footprint]) -> str:
    """What happened, oldest first."""
    rows = [
        [ago(step["time"]), ink.mark(step["state"]), some(step["type"]), some(step["text"])]
        for step in steps
    ]
    return table(ink, ["WHEN", " ", "EVENT", "WHAT"], rows)
