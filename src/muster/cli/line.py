"""The command line as it was given: the global options, and commands that take them anywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from shlex import quote
from typing import Any

import click

from muster.cli.late import late
from muster.domain.errors import MusterError


class Interrupted(MusterError):
    """A person pressed Ctrl-C here."""

    code, title, status, exit_code = "interrupted", "Interrupted", 499, 130


class ReaderGone(Exception):
    """What reads our output has had enough."""


class Line:
    """The global options of this run."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.colour_off = False
        self.home_given: str | None = None
        self.url: str | None = None
        self.token: str | None = None

    @property
    def home(self) -> Path:
        """The state folder, absolute."""
        if self.home_given:
            return Path(self.home_given).expanduser().absolute()
        found: Path = late("muster.cli.folders").user_home()
        return found

    @property
    def colour(self) -> bool:
        """Whether standard output takes colour."""
        return not self.colour_off and not self.json and sys.stdout.isatty()

    @property
    def start_command(self) -> str:
        """The command that starts this home's server."""
        return f"muster --home {quote(str(self.home))} up" if self.home_given else "muster up"


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Put a global option where every command finds it; what was not given changes nothing."""
    if value and param.name:
        setattr(ctx.ensure_object(Line), param.name, value)


def _global_options(*, with_environment: bool) -> list[click.Parameter]:
    """The options; only the outermost group reads the environment, so that a flag always wins."""

    def option(*names: str, envvar: str | None = None, **more: Any) -> click.Option:
        return click.Option(
            names,
            callback=_remember,
            expose_value=False,
            hidden=not with_environment,
            envvar=envvar if with_environment else None,
            **more,
        )

    return [
        option("--json", is_flag=True, help="Print one JSON document (JSON lines for streams)."),
        option(
            "--home",
            "home_given",
            envvar="MUSTER_HOME",
            metavar="DIR",
            help="The state folder [MUSTER_HOME].",
        ),
        option(
            "--url",
            envvar="MUSTER_URL",
            metavar="URL",
            help="The server, if not this home's [MUSTER_URL].",
        ),
        option(
            "--token",
            envvar="MUSTER_TOKEN",
            metavar="TOKEN",
            help="The access token; better given as MUSTER_TOKEN.",
        ),
        option("--no-color", "colour_off", is_flag=True, help="No colour [NO_COLOR]."),
        option("--quiet", "-q", is_flag=True, help="No progress, only results and errors."),
    ]


# An option of its own, because any value of NO_COLOR that is not empty counts, `0` too.
_NO_COLOR = click.Option(
    ["--no-color-asked", "colour_off"],
    envvar="NO_COLOR",
    hidden=True,
    callback=_remember,
    expose_value=False,
)
_OUTERMOST = [*_global_options(with_environment=True), _NO_COLOR]
_INNER = _global_options(with_environment=False)


class Command(click.Command):
    """A command that also takes the global options, but for those whose names it has itself."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        own = {name for param in self.params for name in param.opts}
        self.params += [param for param in _INNER if own.isdisjoint(param.opts)]


class Group(click.Group):
    """A group that also takes the global options."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params = [*self.params, *_INNER]


# `typing.override` is newer than the oldest Python that muster runs on.
class LazyGroup(click.Group):
    """The outermost group: it imports a command's module only when that command is used.

    `table` maps a name to its module, the attribute in it, and its line in the help.
    """

    def __init__(self, *args: Any, table: dict[str, tuple[str, str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.table = table
        self.params = [*self.params, *_OUTERMOST]

    def invoke(self, ctx: click.Context) -> Any:  # type: ignore[explicit-override]
        """Run it; two endings are taken here before click makes its own of them."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error
        except KeyboardInterrupt as error:
            raise Interrupted(str(error) or "interrupted") from None

    def list_commands(  # type: ignore[explicit-override]
        self,
        ctx: click.Context,  # noqa: ARG002
    ) -> list[str]:
        """The names in the table's order: the order in which a newcomer needs them."""
        return list(self.table)

    def get_command(  # type: ignore[explicit-override]
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import the command's module and hand out the command."""
        if cmd_name not in self.table:
            return None
        module, attribute, _ = self.table[cmd_name]
        found: click.Command = getattr(late(module), attribute)
        return found

    def resolve_command(  # type: ignore[explicit-override]
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name say what is near it."""
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(  # type: ignore[explicit-override]
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in self.table.items()])


def command(name: str | None = None, **more: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function whose first argument is the `Line`."""

    def make(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=Command, **more)(_with_line(function))

    return make


def group(name: str, **more: Any) -> Callable[[Callable[..., Any]], Group]:
    """Make a group; its commands are added with `add`."""

    def make(function: Callable[..., Any]) -> Group:
        return click.group(name, cls=Group, **more)(function)

    return make


def _with_line(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        line = click.get_current_context().find_root().ensure_object(Line)
        return function(line, *args, **kwargs)

    return update_wrapper(call, function)
