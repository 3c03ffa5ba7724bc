"""A client of a tmux server in control mode: a command is a line, its answer a block of lines."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from muster.domain.errors import Refused

KEEPER = "muster"
"""The session that holds the server while no run is shown; nothing happens in it."""

_SLEEPS = ("tail", "-f", "/dev/null")
_PATIENCE = 10.0
_LONGEST_LINE = 1 << 20
_OURS = "1"
_VERSION = re.compile(r"(\d+)\.(\d+)")


class TmuxRefused(Refused):
    """tmux answered a command with an error."""


def version_of(said: str) -> tuple[int, int] | None:
    """The version in what `tmux -V` says; None when it names none (a build of the day)."""
    found = _VERSION.search(said)
    return (int(found[1]), int(found[2])) if found else None


class TmuxClient:
    """One connection, which makes the server if there is none. Use it from one loop."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path) -> None:
        self._process = process
        self._socket = socket
        self._turn = asyncio.Lock()

    @staticmethod
    async def connect(tmux: str, socket: Path, env: Mapping[str, str]) -> TmuxClient:
        """Connect to the server at this socket; `env` is all that it and its panes inherit.

        Raises:
            Refused: no server can be started or reached there.
        """
        argv = [
            *(tmux, "-S", str(socket), "-f", "/dev/null", "-C"),
            *("new-session", "-A", "-s", KEEPER, "-x", "200", "-y", "50", *_SLEEPS, ";"),
            # When nobody is connected and no run is shown, the server ends.
            *("set-option", "-t", f"={KEEPER}:", "destroy-unattached", "on"),
        ]
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(env),
                cwd="/",
                limit=_LONGEST_LINE,
                start_new_session=True,
            )
        except OSError as error:
            raise _no_server(socket, str(error)) from error
        client = TmuxClient(process, socket)
        try:
            # What a stranger prints must reach neither a clipboard nor the terminal beyond.
            await client.ask("set-option", "-g", "set-clipboard", "off")
            await client.ask("set-option", "-g", "history-limit", "50000")
            await client.ask("set-option", "-g", "detach-on-destroy", "on")
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def alive(self) -> bool:
        """Whether it is connected still."""
        return self._process.returncode is None

    async def ask(self, *command: str) -> str:
        """Have the server run a command; what it answered.

        Raises:
            TmuxRefused: it answered with an error.
            Refused: the server is gone, or does not answer.
        """
        assert self._process.stdin
        async with self._turn:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._process.stdin.write(f"{shlex.join(command)}\n".encode())
                    await self._process.stdin.drain()
                    return await self._answer(command[0])
            except (OSError, TimeoutError) as error:
                await self.close()
                raise _no_server(self._socket, str(error) or "no answer") from error

    async def _answer(self, command: str) -> str:
        """The block that answers our command; notices and blocks of others are passed over."""
        said: list[str] | None = None
        assert self._process.stdout
        async for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            word, *rest = line.split(" ")
            if word == "%begin" and rest[-1:] == [_OURS]:
                said = []
            elif said is not None and word in ("%end", "%error"):
                if word == "%error":
                    raise TmuxRefused(f"tmux refused {command}: {' '.join(said)}")
                return "\n".join(said)
            elif said is not None:
                said.append(line)
        raise ConnectionResetError("it has ended")

    async def close(self) -> None:
        """Hang up; the server and what it shows stay."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def _no_server(socket: Path, why: str) -> Refused:
    return Refused(
        f"no tmux server can be had at {socket}: {why}",
        hint="look whether tmux starts by hand, and whether another one holds that socket",
    )
