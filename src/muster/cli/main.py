"""The door of the command line: which commands there are, and how each run ends."""

from __future__ import annotations

import sys

import click

from muster import __version__
from muster.cli.entry import say_no_more
from muster.cli.late import late
from muster.cli.line import Interrupted, LazyGroup, Line, ReaderGone
from muster.domain.errors import MusterError


class TimedOut(MusterError):
    """The time that was given is over; what was waited for goes on."""

    code, title, status, exit_code = "timeout", "Out of time", 408, 8


COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("muster.cli.demo", "demo", "See the main job done on a sample repository."),
    "up": ("muster.cli.up", "up", "Run the server."),
    "down": ("muster.cli.server", "down", "Stop the server; running agents go on."),
    "open": ("muster.cli.server", "open_page", "Open the web page, signed in."),
    "status": ("muster.cli.server", "status", "Show what the server is doing."),
    "service": ("muster.cli.service", "service", "Run the server under systemd."),
    "doctor": ("muster.cli.doctor", "doctor", "Find what is missing and how to get it."),
    "init": ("muster.cli.init", "init", "Register a repository."),
    "project": ("muster.cli.project", "project", "List and change projects."),
    "do": ("muster.cli.do", "do", "Submit a task."),
    "plan": ("muster.cli.plan", "plan", "Split a wish into tasks."),
    "manager": ("muster.cli.manager", "manager", "Have a manager split a wish among workers."),
    "worker": ("muster.cli.worker", "worker", "Spawn, watch and clear away workers by hand."),
    "task": ("muster.cli.task", "task", "List, show and act on tasks."),
    "agent": ("muster.cli.agent", "agent", "List, show and stop agents; read their logs."),
    "inbox": ("muster.cli.breakpoint", "inbox", "List what waits for a person."),
    "breakpoint": ("muster.cli.breakpoint", "breakpoint_", "List, show and answer questions."),
    "queue": ("muster.cli.queue", "queue", "Show and steer the queue."),
    "playbook": ("muster.cli.playbook", "playbook", "List, show and check ways through roles."),
    "event": ("muster.cli.event", "event", "List, follow and emit events."),
    "metrics": ("muster.cli.metrics", "metrics", "Show how the work goes, in figures."),
    "github": ("muster.cli.github", "github", "Look at GitHub, and merge pull requests there."),
    "token": ("muster.cli.token", "token", "Give people tokens of their own, with roles."),
    "host": ("muster.cli.host", "host", "List, add and remove machines reached by SSH."),
    "image": ("muster.cli.image", "image", "Make images for agents in containers."),
    "plugin": ("muster.cli.plugin", "plugin", "List drivers, runtimes and stores."),
    "debug": ("muster.cli.debug", "debug", "Collect what is known of a task, for others."),
    "mcp": ("muster.cli.mcp", "mcp", "Speak MCP over standard input and output."),
    "record": ("muster.cli.record", "record", "Save an agent's transcript as a cassette."),
    "help": ("muster.cli.help", "help_", "Explain a topic, such as exit-codes."),
}


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        print(f"muster {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    epilog="Global options work anywhere on the line. Exit codes: muster help exit-codes.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
@click.pass_context
def root(ctx: click.Context) -> None:
    """A control plane for fleets of AI coding agents: it merges only what passes muster."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    given = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows a question mark; it is no reason to fail.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    line = Line()
    try:
        ended = root.main(args=given, prog_name="muster", standalone_mode=False, obj=line)
        sys.stdout.flush()
    except (MusterError, click.ClickException) as error:
        # The flag itself counts when the line is too wrong to be parsed.
        return _told(error, line, as_json=line.json or "--json" in given)
    except TimeoutError as error:
        return _told(TimedOut(str(error)), line, as_json=line.json)
    except click.Abort:
        return _told(Interrupted("interrupted"), line, as_json=line.json)
    except (ReaderGone, BrokenPipeError):
        say_no_more()
        return 0
    return ended if isinstance(ended, int) else 0


def _told(error: MusterError | click.ClickException, line: Line, *, as_json: bool) -> int:
    """Say what went wrong; the exit status."""
    ended: int = late("muster.cli.refuse").refuse(error, line, as_json=as_json)
    return ended
