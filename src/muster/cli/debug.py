"""`muster debug`: what is known of a task in one file, for somebody who is to find a fault."""

from __future__ import annotations

import os
from pathlib import Path

import click

from muster.cli import out
from muster.cli.line import Line, command, group
from muster.cli.reach import reach
from muster.client.wire import Patience
from muster.domain.errors import Conflict, Invalid

_PATIENT = Patience(seconds=600.0, tries=1, read=600.0)
_MB = 1_000_000


@group("debug")
def debug() -> None:
    """Collect what is known of a task, for others."""


@command("bundle")
@click.argument("name", metavar="TASK")
@click.option("--output", "-o", metavar="FILE", help="Where to; muster-debug-TASK.tar.gz here.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def bundle(line: Line, name: str, output: str | None, force: bool) -> None:
    """Save all that is known of a task in one file, without secrets.

    Look into it before you hand it on: it has your task's words and what its agents printed.
    """
    with reach(line, _PATIENT) as muster:
        task = muster.get_task(name)
        path = Path(output or f"muster-debug-{task['label']}.tar.gz")
        if path.exists() and not force:
            raise Conflict(f"{path} is there already", hint="add --force, or name another --output")
        progress = out.Progress(line)
        progress.step(f"Collecting what is known of {task['label']}")

        def told(done: int, whole: int | None) -> None:
            of = f" of {whole / _MB:.1f}" if whole else ""
            progress.now(f"{done / _MB:.1f}{of} MB")

        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                size = muster.debug_bundle(name, file, told)
            draft.replace(path)
        except OSError as error:
            raise Invalid(
                f"{path} cannot be written: {error.strerror}", hint="name another --output"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
            progress.done()
    if line.json:
        out.document({"task": task["id"], "file": str(path.absolute()), "bytes": size})
        return
    out.say(line, f"{max(size / _MB, 0.1):.1f} MB of {task['label']} are in {path}")
    out.tell(line, "It has no known secret in it; look through it before you hand it on")


debug.add_command(bundle)
