"""A client of a tmux server in control mode: a command is a line, its answer a block of lines."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from muster.domain.errors import Refused

KEEPER = "muster"
"""The session that holds the server while no run is shown; nothing happens in it."""

_SLEEPS = ("tail", "-f", "/dev/null")
_KEEP = (
    *("new-session", "-A", "-s", KEEPER, "-x", "200", "-y", "50", *_SLEEPS, ";"),
    # When nobody is connected and no run is shown, the server ends.
    *("set-option", "-t", f"={KEEPER}:", "destroy-unattached", "on"),
)
_PATIENCE = 10.0
_GRACE = 1.0
_LONGEST_LINE = 1 << 20
_OURS = "1"
_VERSION = re.compile(r"(\d+)\.(\d+)")


class TmuxRefused(Refused):
    """tmux answered a command with an error."""


def version_of(said: str) -> tuple[int, int] | None:
    """The version in what `tmux -V` says; None when it names none (a build of the day)."""
    found = _VERSION.search(said)
    return (int(found[1]), int(found[2])) if found else None


class Connection:
    """A client of a server, and both its streams. Use it from one loop.

    It is no process of asyncio's: a server takes the streams of its clients over, and asyncio
    waits for the end of a process's pipes even when that is dead. Nor may they be one socket.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        ends: tuple[asyncio.ReadTransport, BinaryIO],
        socket: Path,
    ) -> None:
        self._process = process
        self._reader = reader
        self._output, self._input = ends
        self._socket = socket

    @classmethod
    async def open(
        cls, tmux: str, socket: Path, env: Mapping[str, str], command: Sequence[str]
    ) -> Self:
        """Connect to the server at this socket by a command; `env` is all that it is told of ours.

        Raises:
            Refused: no server can be started or reached there.
        """
        argv = (tmux, "-S", str(socket), "-f", "/dev/null", "-C", *command)
        try:
            process = _start(argv, env)
        except OSError as error:
            raise no_server(socket, str(error)) from error
        reader = asyncio.StreamReader(_LONGEST_LINE)
        output, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        return cls(process, reader, (output, cast(BinaryIO, process.stdin)), socket)

    @property
    def alive(self) -> bool:
        """Whether it is connected still."""
        return self._process.poll() is None and not self._reader.at_eof()

    def _tell(self, *command: str) -> None:
        # A command is shorter than what a pipe takes at once.
        self._input.write(f"{shlex.join(command)}\n".encode())
        self._input.flush()

    async def close(self) -> None:
        """Hang up; the server and what it shows stay."""
        with contextlib.suppress(OSError):
            self._input.close()
        self._output.close()
        await asyncio.to_thread(_end, self._process)


class TmuxClient(Connection):
    """One connection that commands the server, and makes it if there is none."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._turn = asyncio.Lock()

    @staticmethod
    async def connect(tmux: str, socket: Path, env: Mapping[str, str]) -> TmuxClient:
        """Connect to the server at this socket; `env` is all that it and its panes inherit.

        Raises:
            Refused: no server can be started or reached there.
        """
        client = await TmuxClient.open(tmux, socket, env, _KEEP)
        try:
            await client._attached()
            # What a stranger prints must reach neither a clipboard nor the terminal beyond.
            await client.ask("set-option", "-g", "set-clipboard", "off")
            await client.ask("set-option", "-g", "history-limit", "50000")
            await client.ask("set-option", "-g", "detach-on-destroy", "on")
        except BaseException:
            await client.close()
            raise
        return client

    async def _attached(self) -> None:
        """Wait until the server listens: what it is told before that is lost at times."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not (line := await self._reader.readline()).startswith(b"%session-changed"):
                    if not line:
                        raise ConnectionResetError("it has ended")
        except (OSError, TimeoutError) as error:
            raise no_server(self._socket, str(error) or "no answer") from error

    async def ask(self, *command: str) -> str:
        """Have the server run a command; what it answered.

        Raises:
            TmuxRefused: it answered with an error.
            Refused: the server is gone, or does not answer.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._tell(*command)
                    return await self._answer(command[0])
            except (OSError, TimeoutError) as error:
                await self.close()
                raise no_server(self._socket, str(error) or "no answer") from error

    async def _answer(self, command: str) -> str:
        """The block that answers our command; notices and blocks of others are passed over."""
        said: list[str] | None = None
        async for raw in self._reader:
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


def _start(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(env),
        cwd="/",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a client that was hung up on, but not for long."""
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def no_server(socket: Path, why: str) -> Refused:
    """That there is none, and what to look for."""
    return Refused(
        f"no tmux server can be had at {socket}: {why}",
        hint="look whether tmux starts by hand, and whether another one holds that socket",
    )
