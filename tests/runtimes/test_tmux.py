"""The tmux runtime: what every place does, and what people see who attach."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from contracts.runtime import Place, living
from contracts.supervised import SupervisedContract
from house.patience import PATIENCE, until
from muster.domain.errors import Refused, Unavailable
from muster.runtimes.base import Why
from muster.runtimes.rundir import RunDir
from muster.runtimes.tmux import TmuxRuntime
from muster.runtimes.tmux_client import version_of
from muster.runtimes.tmux_screen import TmuxScreen

TALKS = "echo ready; while read line; do echo got $line; done; exit 6"


def tmux(place: Place, *command: str) -> str:
    """A command to the private server, as a person would give it."""
    argv = ["tmux", "-S", str(place.folder / "tmux"), *command]
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip()}"


def pane(place: Place, name: str = "run") -> str:
    """What a run's pane shows."""
    return tmux(place, "capture-pane", "-p", "-J", "-t", f"={name}:")


def server_of(place: Place) -> int:
    """The process id of the private server."""
    return int(tmux(place, "display-message", "-p", "#{pid}"))


@contextmanager
def terminal(argv: tuple[str, ...]) -> Iterator[int]:
    """A program on a terminal of its own; the other end of that."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm"})
    try:
        os.set_blocking(fd, False)
        yield fd
    finally:
        os.close(fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def printed(fd: int, seen: bytearray) -> bytes:
    """All that came out of a terminal so far."""
    try:
        while data := os.read(fd, 65536):
            seen += data
    except BlockingIOError:
        pass
    return bytes(seen)


@asynccontextmanager
async def look(place: Place) -> AsyncIterator[TmuxScreen]:
    """The screen of the place's run."""
    assert isinstance(place.runtime, TmuxRuntime)
    screen = await place.runtime.screen(place.dir())
    assert isinstance(screen, TmuxScreen)
    try:
        yield screen
    finally:
        await screen.close()


async def shown(screen: TmuxScreen, seen: bytearray, text: str) -> None:
    """Wait until a screen has shown a text."""
    async with asyncio.timeout(PATIENCE):
        while text.encode() not in seen:
            seen += await screen.read()


@pytest.mark.needs_tmux
class TestTmuxRuntime(SupervisedContract):
    """The suite for all places, and what a view of a run must do."""

    shim_is_shown_elsewhere = True

    def make_runtime(self) -> TmuxRuntime:
        """A fresh object; all of them know each other's runs."""
        return TmuxRuntime()

    # A path that long is refused here, see `test_a_path_too_long_for_a_socket_is_refused`.
    test_a_run_directory_with_a_long_path_works = None  # type: ignore[assignment]

    async def test_a_pane_shows_what_a_run_says_and_takes_lines_for_it(self, place: Place) -> None:
        await place.shell(TALKS, interactive=True)
        await until(lambda: "ready" in pane(place))
        tmux(place, "send-keys", "-t", "=run:", "-l", "hello there")
        tmux(place, "send-keys", "-t", "=run:", "Enter")
        await place.says(b"got hello there")
        await until(lambda: "got hello there" in pane(place).split("ready")[1])

    async def test_a_person_attaches_with_the_command_that_is_told(self, place: Place) -> None:
        await place.shell(TALKS, interactive=True)
        runtime = place.runtime
        assert isinstance(runtime, TmuxRuntime)
        seen = bytearray()
        with terminal(await runtime.attach(place.dir())) as fd:
            await until(lambda: b"ready" in printed(fd, seen))
            os.write(fd, b"typed\r")
            await until(lambda: b"got typed" in printed(fd, seen))
            assert place.out() == b"ready\ngot typed\n"
        await runtime.send(place.dir(), b"still there\n")
        await place.says(b"got still there")

    async def test_a_screen_is_drawn_and_goes_on_from_there(self, place: Place) -> None:
        await place.shell(f"echo 'red \x1b[31mé\x1b[0m end'; {TALKS}", interactive=True)
        async with look(place) as screen:
            await until(lambda: "ready" in pane(place))
            picture = await screen.picture()
            assert any("red \x1b[31mé\x1b[39m end" in line for line in picture.lines)
            assert (picture.lines[-2:], picture.column) == (("ready", ""), 0)
            seen = bytearray()
            await screen.type("ty\x7fwo ü\r".encode())
            await shown(screen, seen, "got two ü")
            assert place.out().endswith("got two ü\n".encode())

    async def test_a_screen_has_the_size_it_is_given(self, place: Place) -> None:
        await place.shell(TALKS, interactive=True)
        async with look(place) as screen:
            await screen.resize(61, 17)
            size = ("display-message", "-p", "-t", "=run:", "#{window_width}x#{window_height}")
            await until(lambda: tmux(place, *size) in ("61x17", "61x16"))

    async def test_what_is_typed_into_a_screen_reaches_no_command_of_tmux(
        self, place: Place
    ) -> None:
        record = await place.shell(TALKS, interactive=True)
        async with look(place) as screen:
            await until(lambda: "ready" in pane(place))
            await screen.type(b"\x02:kill-server\r\x02d\x03\x1a\x1cstill\r")
            await place.says(b"still")
            assert record.alive()
            assert tmux(place, "list-sessions").count("run:") == 1

    async def test_a_strangers_text_is_no_answer_of_tmux(self, place: Place) -> None:
        said = "%end 1 1 1\n%begin 1 1 1\n%output %0 forged\n%exit"
        await place.shell(f"printf '{said.replace('%', '%%')}\n'; {TALKS}", interactive=True)
        async with look(place) as screen:
            await until(lambda: "ready" in pane(place))
            picture = await screen.picture()
            assert "\n".join(picture.lines).endswith(f"{said}\nready\n")

    async def test_a_screen_that_goes_says_so(self, place: Place) -> None:
        await place.shell(TALKS, interactive=True)
        async with look(place) as screen:
            tmux(place, "kill-session", "-t", "=run")
            async with asyncio.timeout(PATIENCE):
                while await screen.read():
                    pass
            assert await screen.read() == b""
            for act in (screen.type(b"x"), screen.picture(), screen.resize(80, 24)):
                with pytest.raises(Refused, match="it has gone"):
                    await act

    async def test_an_interrupt_typed_into_a_pane_ends_nothing(self, place: Place) -> None:
        record = await place.shell(TALKS, interactive=True)
        await until(lambda: "ready" in pane(place))
        for key in ("C-c", "C-z", "C-\\"):
            tmux(place, "send-keys", "-t", "=run:", key)
        tmux(place, "send-keys", "-t", "=run:", "on", "Enter")
        await place.says(b"got on")
        assert record.alive()

    async def test_a_killed_server_takes_no_run_with_it_and_is_made_anew(
        self, place: Place
    ) -> None:
        word = f"2{time.monotonic_ns()}"
        await place.shell(f"sleep {word} & {TALKS}", interactive=True)
        await until(lambda: "ready" in pane(place))
        killed = server_of(place)
        os.kill(killed, signal.SIGKILL)
        await place.runtime.send(place.dir(), b"one\n")
        await place.says(b"got one")
        assert len(living(word)) == 1
        fresh = TmuxRuntime()
        await fresh.attach(place.dir())
        await until(lambda: "got one" in pane(place))
        assert server_of(place) != killed
        await fresh.stop(place.dir())
        assert (await place.end(runtime=fresh)).why is Why.STOPPED
        await fresh.close()

    async def test_a_killed_server_is_noticed_by_the_next_run(self, place: Place) -> None:
        await place.shell(TALKS, name="one", interactive=True)
        os.kill(server_of(place), signal.SIGKILL)
        await place.shell(TALKS, name="two", interactive=True)
        await until(lambda: "ready" in pane(place, "two"))

    async def test_a_session_that_a_person_closes_ends_nothing(self, place: Place) -> None:
        record = await place.shell(TALKS, interactive=True)
        await until(lambda: "ready" in pane(place))
        tmux(place, "kill-session", "-t", "=run")
        await until(lambda: "failed" in pane(place))
        assert record.alive()
        waiting = asyncio.ensure_future(place.end())
        await until(lambda: "ready" in pane(place))
        await place.runtime.kill(place.dir())
        assert (await waiting).why is Why.KILLED

    async def test_what_a_terminal_would_obey_is_not_shown(self, place: Place) -> None:
        await place.shell(
            r"printf 'a\033]52;c;aGVsbG8=\007b\033]0;title\007\033[2Jc\033Pq\033\\d\n'; read x",
            interactive=True,
        )
        runtime = place.runtime
        assert isinstance(runtime, TmuxRuntime)
        seen = bytearray()
        with terminal(await runtime.attach(place.dir())) as fd:
            await until(lambda: b"abcd" in printed(fd, seen))
        assert b"]52;" not in seen
        assert b"title" not in seen

    async def test_a_pane_tells_how_it_ended_and_goes(self, place: Place) -> None:
        await place.shell("read x; exit 3", interactive=True)
        await until(lambda: "run" in tmux(place, "list-sessions"))
        await place.runtime.send(place.dir(), b"\n")
        await place.end()
        await until(lambda: "ended: exit, status 3" in pane(place))
        await until(lambda: "failed" in pane(place))
        assert isinstance(place.runtime, TmuxRuntime)
        with pytest.raises(Refused, match="is over"):
            await place.runtime.attach(place.dir())

    async def test_no_server_is_left_when_nothing_is_shown(self, place: Place) -> None:
        await place.shell("exit 0")
        await place.end()
        server = server_of(place)
        await place.runtime.close()
        await until(lambda: not Path(f"/proc/{server}").exists())

    async def test_the_server_inherits_nothing(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "hunter2-correct-horse")
        monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
        await place.shell("read x", interactive=True)
        environ = Path(f"/proc/{server_of(place)}/environ").read_bytes()
        assert b"hunter2" not in environ
        assert b"TMUX=" not in environ
        assert "hunter2" not in tmux(place, "show-environment", "-g")

    async def test_a_name_with_signs_of_tmux_is_shown(self, place: Place) -> None:
        await place.shell(TALKS, name="a.b:c d", interactive=True)
        await until(lambda: "ready" in pane(place, "a-b-c-d"))

    async def test_a_path_too_long_for_a_socket_is_refused(self, place: Place) -> None:
        deep = place.folder / ("d" * 100) / "run"
        with pytest.raises(Refused, match="too long a path") as told:
            await place.runtime.start(place.spec("true"), deep)
        assert told.value.hint
        assert not RunDir(deep).started()


def programs(folder: Path, said: str | None) -> str:
    """A PATH with a tmux that says its version so, or with none."""
    if said is not None:
        (folder / "tmux").write_text(f"#!/bin/sh\necho '{said}'\n")
        (folder / "tmux").chmod(0o755)
    return str(folder)


async def test_a_tmux_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path, "tmux 1.8"))
    assert re.search(r"tmux 1\.8, which is too old; install tmux 3\.0", TmuxRuntime().available())
    with pytest.raises(Unavailable, match="too old"):
        await Place(TmuxRuntime(), home).start("true")
    assert not RunDir(home / "run").started()


def test_without_tmux_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path, None))
    assert TmuxRuntime().available() == "tmux is not installed; install tmux 3.0 or newer"


@pytest.mark.parametrize(
    ("said", "version"),
    [("tmux 3.3a", (3, 3)), ("tmux next-3.5", (3, 5)), ("tmux openbsd-7.1", (7, 1)), ("x", None)],
)
def test_a_version_is_read(said: str, version: tuple[int, int] | None) -> None:
    assert version_of(said) == version
