"""`muster agent`: list, show and stop agents; read what they say."""

from __future__ import annotations

import sys
from typing import Any

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, between, facts, money, some, table
from muster.cli.reach import reach
from muster.cli.which import agent_named
from muster.client import Muster
from muster.client.shapes import Agent
from muster.domain.agent import AgentStatus
from muster.domain.errors import Invalid
from muster.domain.plain import Cleaner


@group("agent")
def agent() -> None:
    """List, show and stop agents; read their logs, and speak with them.

    An agent is named by its id; a task's name stands for that task's newest agent.
    """


@command("list")
@click.option("--task", metavar="TASK", help="Only this task's.")
@click.option(
    "--status",
    type=click.Choice([str(s) for s in AgentStatus]),
    help="Only agents with this status.",
)
@click.option("--active", is_flag=True, help="Only those that run now.")
@click.option("--limit", type=click.IntRange(1, 200), default=100, show_default=True)
@click.option("--after", metavar="CURSOR", help="Go on after a page: its `next`.")
def list_(
    line: Line, task: str | None, status: str | None, active: bool, limit: int, after: str | None
) -> None:
    """List agents, the newest first."""
    with reach(line) as muster:
        if active:
            page = muster.active_agents()
        else:
            page = muster.list_agents(task=task, status=status, limit=limit, after=after)
    if line.json:
        out.document(page)
        return
    if not page["items"]:
        out.tell(line, "No agents.")
        return
    ink = Ink(line.colour)
    head = ["AGENT", "STATE", "TASK", "DRIVER", "RUNTIME", "COST", "STARTED", "LAST LINE"]
    out.say(line, table(ink, head, [_row(ink, item) for item in page["items"]]))


def _row(ink: Ink, item: Agent) -> list[str]:
    return [
        some(item["id"]),
        ink.state(item["status"]),
        some(item["task_label"]),
        some(item["driver"]),
        some(item["runtime"]),
        money(item["cost_usd"]),
        ago(item["started_at"]),
        some(item["last_line"] or item["reason"]),
    ]


@command()
@click.argument("name", metavar="AGENT")
def show(line: Line, name: str) -> None:
    """Show an agent: its state, cost, and how it ended."""
    with reach(line) as muster:
        found = muster.get_agent(agent_named(muster, name))
    if line.json:
        out.document(found)
        return
    ink = Ink(line.colour)
    exit_code = found["exit_code"]
    pairs = [
        ("task", f"{some(found['task_label'])}, attempt {found['attempt']}"),
        ("role", some(found["role"])),
        ("driver", f"{some(found['driver'])} on {some(found['runtime'])}"),
        ("outcome", some(found["outcome"])),
        ("exit", "" if exit_code is None else str(exit_code)),
        ("why", some(found["reason"])),
        ("took", between(found["started_at"], found["ended_at"])),
        ("cost", money(found["cost_usd"])),
        ("tokens", f"{found['input_tokens']:,} in, {found['output_tokens']:,} out"),
        ("used", f"{found['cpu_seconds']:.1f} s of CPU, {found['max_rss_bytes'] >> 20} MiB"),
        ("session", some(found["session_id"])),
        ("workspace", some(found["workspace"])),
        ("asks", "" if found["permissions"] == "bypass" else some(found["permissions"])),
        ("says", some(found["last_line"])),
    ]
    out.say(line, f"{some(found['id'])}  {ink.state(found['status'])}\n{facts(ink, pairs)}")


@command()
@click.option("--project", metavar="PROJECT", help="Only this project's; else all.")
@click.option(
    "--since", metavar="WHEN", default="30d", show_default=True, help="24h, 7d, all, or a moment."
)
@click.option("--until", metavar="WHEN", help="The same; unsaid: now.")
def analytics(line: Line, project: str | None, since: str, until: str | None) -> None:
    """Show how agents do: successes, times, costs, retries, and how long work waits."""
    with reach(line) as muster:
        found = muster.agent_analytics(project=project, since=since, until=until)
    if line.json:
        out.document(found)
    else:
        page: str = late("muster.cli.analytics").analytics_page(Ink(line.colour), found)
        out.say(line, page)


@command()
@click.argument("name", metavar="AGENT")
@click.option("-f", "--follow", is_flag=True, help="Go on until the agent ends.")
@click.option("--offset", type=click.IntRange(min=0), metavar="BYTES", help="Start here.")
@click.option("--tail", type=click.IntRange(min=1), metavar="BYTES", help="Only the last bytes.")
def logs(line: Line, name: str, follow: bool, offset: int | None, tail: int | None) -> None:
    """Print what an agent wrote."""
    with reach(line) as muster:
        found = agent_named(muster, name)
        if follow:
            _follow(line, muster, found, _start(muster, found, offset, tail))
        else:
            _print_all(line, muster, found, offset, tail)


def _start(muster: Muster, name: str, offset: int | None, tail: int | None) -> int:
    if tail is None:
        return offset or 0
    items = muster.agent_logs(name, tail=tail)["items"]
    return items[0]["offset"] if items else 0


def _follow(line: Line, muster: Muster, name: str, offset: int) -> None:
    cleaner = Cleaner(colour=line.colour)
    for message in muster.logs(name, offset):
        if line.json:
            out.json_line(message)
        elif message["event"] == "log":
            out.say_part(cleaner.feed(str(message["data"].get("text", ""))))
        elif message["event"] == "truncated":
            out.say_part(_gap(message["data"]))
        elif message["event"] == "end":
            out.say_part(cleaner.rest())
            ended = message["data"].get("outcome") or message["data"].get("why") or "ended"
            out.tell(line, f"{name}: {some(ended)}")


def _gap(where: dict[str, Any]) -> str:
    return f"\n[bytes {some(where.get('from'))} to {some(where.get('to'))} were not kept]\n"


def _print_all(line: Line, muster: Muster, name: str, offset: int | None, tail: int | None) -> None:
    """Page through the log to its end, as it is now."""
    cleaner = Cleaner(colour=line.colour)
    items: list[Any] = []
    truncated = None
    page = muster.agent_logs(name, offset=offset, tail=tail)
    while True:
        truncated = truncated or page["truncated"]
        if line.json:
            items += page["items"]
        else:
            if page["truncated"]:
                out.say_part(_gap(page["truncated"]))
            for item in page["items"]:
                out.say_part(cleaner.feed(item["text"]))
        if not page["items"] and not page["truncated"]:
            break
        page = muster.agent_logs(name, offset=page["next"])
    if line.json:
        rest = {"next": page["next"], "truncated": truncated, "ended": page["ended"]}
        out.document({"items": items, **rest})
    else:
        out.say_part(cleaner.rest())


@command()
@click.argument("name", metavar="AGENT")
@click.option("--read", is_flag=True, help="Only look.")
@click.option("--take", is_flag=True, help="Type, even if that takes it from somebody else.")
def attach(line: Line, name: str, read: bool, take: bool) -> None:
    r"""Open an agent's terminal here; Ctrl-\ leaves it, and the agent goes on.

    What you type goes there when nobody else types. An agent whose runtime has no terminal is
    shown, but cannot be typed to.
    """
    if read and take:
        raise Invalid("--read and --take contradict each other", hint="give one of them")
    write = "" if read else "over" if take else "yes"
    with reach(line) as muster:
        found = agent_named(muster, name)
        ended: str = late("muster.cli.attach").attach(muster, found, write)
    out.tell(line, f"{found}: {ended}" if ended else f"left {found}; it goes on")


@command()
@click.argument("name", metavar="AGENT")
def kill(line: Line, name: str) -> None:
    """End an agent and every process of it."""
    with reach(line) as muster:
        found = agent_named(muster, name)
        _acted(line, muster.kill_agent(found), f"{found} is being ended")


@command()
@click.argument("name", metavar="AGENT")
@click.argument("text")
def send(line: Line, name: str, text: str) -> None:
    """Say something to an agent at work, in its running turn, else as its next.

    TEXT is `-` to read it from standard input.
    """
    words = sys.stdin.read() if text == "-" else text
    with reach(line) as muster:
        found = agent_named(muster, name)
        done = muster.tell_agent(found, words)
        _acted(line, done, f"{found} will be told")


@command()
@click.argument("name", metavar="AGENT")
def retry(line: Line, name: str) -> None:
    """Start an agent's step again."""
    with reach(line) as muster:
        found = agent_named(muster, name)
        _acted(line, muster.retry_agent(found), f"the step of {found} starts again")


def _acted(line: Line, answer: Any, words: str) -> None:
    if line.json:
        out.document(answer if answer is not None else {})
    else:
        out.say(line, words)


for _command in (list_, show, analytics, logs, attach, send, kill, retry):
    agent.add_command(_command)
