"""How a command that cannot go on says so."""

from __future__ import annotations

import click

from muster.cli.line import Line
from muster.cli.out import show_error
from muster.domain.errors import Invalid, MusterError, Unreachable


def refuse(error: MusterError | click.ClickException, line: Line, *, as_json: bool) -> int:
    """Say what happened and what to do next; the exit status."""
    if isinstance(error, click.ClickException):
        return _refuse_usage(error, as_json=as_json)
    if isinstance(error, Unreachable):
        start = f"start it: {line.start_command}"
        error.hint = f"{start} (or check the address {line.url})" if line.url else start
    show_error(error, as_json=as_json)
    return error.exit_code


def _refuse_usage(error: click.ClickException, *, as_json: bool) -> int:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if not as_json:
            click.echo(error.format_message(), err=True)
            return 2
        detail = "which command is missing"
    else:
        detail = error.format_message()
    wrong = Invalid(detail, hint=f"{ctx.command_path if ctx else 'muster'} --help")
    wrong.code, wrong.title, wrong.status = "usage", "Wrong usage", 400
    show_error(wrong, as_json=as_json)
    return wrong.exit_code
