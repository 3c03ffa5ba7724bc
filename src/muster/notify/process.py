"""A short program of the person's own, run once for a notice; all of it has gone afterwards.

It is no run of an agent or a check: nothing of it is kept but whether it ended well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from muster.domain.plain import plain_line
from muster.notify.base import Undelivered

PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"),
    *("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
)
"""Variables of the server's own environment that it gets: those of a desktop, and no key."""

SECONDS = 20.0
_SECONDS_TO_GO = 5.0
_MOST_SAID = 2000


async def run(argv: Sequence[str], environ: Mapping[str, str], given: bytes = b"") -> None:
    """Run a program with these bytes as its standard input.

    Raises:
        Undelivered: it cannot be started, took too long, or ended with another status than 0.
    """
    env = {name: environ[name] for name in PASSED_ON if name in environ}
    quiet = asyncio.subprocess.DEVNULL
    pipe = asyncio.subprocess.PIPE
    try:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *argv, stdin=pipe, stdout=quiet, stderr=pipe, env=env, start_new_session=True
            )
        )
        program = await _started(starting)
    except OSError as error:
        raise Undelivered(f"'{argv[0]}' cannot be run: {error.strerror}", again=False) from error
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await asyncio.gather(_said(program), _give(program, given))
            code = await program.wait()
    except TimeoutError as error:
        raise Undelivered(f"'{argv[0]}' took more than {SECONDS:g} s", again=True) from error
    finally:
        await _end(program)
    if code != 0:
        why = plain_line(said.decode("utf-8", "replace"), 300)
        ended = f"'{argv[0]}' ended with status {code}"
        raise Undelivered(f"{ended}: {why}" if why else ended, again=True)


async def _started(
    starting: asyncio.Future[asyncio.subprocess.Process],
) -> asyncio.subprocess.Process:
    """The program; one that is let go while it starts is ended with all that it began."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


async def _end(program: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # what holds its pipes need not hold us
        async with asyncio.timeout(_SECONDS_TO_GO):
            await program.wait()


async def _give(program: asyncio.subprocess.Process, given: bytes) -> None:
    """Write what it is given; one that does not want it need not read it."""
    if program.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        program.stdin.write(given)
        await program.stdin.drain()
    program.stdin.close()


async def _said(program: asyncio.subprocess.Process) -> bytes:
    """The beginning of its standard error; the rest is read and forgotten."""
    kept = b""
    while program.stderr is not None and (piece := await program.stderr.read(65536)):
        kept = (kept + piece)[:_MOST_SAID]
    return kept
