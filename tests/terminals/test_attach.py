"""`muster agent attach` on a real terminal, at a real server and a real tmux."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mcp_door.streets import TOKEN
from terminals.places import TALKS, Place, working
from terminals.windows import Window, opened


def command(place: Place, *more: str) -> list[str]:
    line = [sys.executable, "-m", "muster", "--url", place.street.url, "--token", TOKEN]
    return [*line, "agent", "attach", place.agent, *more]


@asynccontextmanager
async def window(place: Place, *more: str, columns: int = 72) -> AsyncIterator[Window]:
    async with opened(command(place, *more), columns=columns) as made:
        yield made


async def answer(place: Place, *command: str) -> str:
    line = ["tmux", "-S", str(place.run_dir.parent / "tmux"), *command]
    done = await asyncio.to_thread(subprocess.run, line, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.needs_tmux
async def test_what_is_typed_is_seen_and_heard_and_a_key_leaves(tmux: Place) -> None:
    async with window(tmux) as ann:
        await ann.sees("ready")
        assert "Ctrl-\\ leaves" in ann.seen
        assert ann.raw
        assert "\x1b]52" not in ann.seen
        ann.type("hellx\x7fo\r")
        await ann.sees("got hello")
        ann.type("\x03\x04\x1a")
        show = ("display-message", "-p", "-t", f"={tmux.run_dir.name}:", "#{window_width}")
        while await answer(tmux, *show) != "72":
            await asyncio.sleep(0.05)
        ann.resize(55, 20)
        while await answer(tmux, *show) != "55":
            await asyncio.sleep(0.05)
        ann.type("gone\x1cnever\r")
        assert await ann.ends() == 0
        assert not ann.raw
    assert f"left {tmux.agent}" in ann.seen
    async with window(tmux) as again:
        await again.sees("got hello")
        again.type("\rbye\r")
        assert await again.ends() == 0
    assert f"{tmux.agent}: failed" in again.seen
    assert "never" not in again.seen


@pytest.mark.long
@pytest.mark.needs_tmux
async def test_a_second_one_looks_on_or_takes_over(tmux: Place) -> None:
    async with window(tmux) as ann, window(tmux, "--read") as reads:
        await ann.sees("ready")
        await reads.sees("ready")
        async with window(tmux) as bob:
            await bob.sees("writes here; to take over, attach with --take")
            await bob.sees("ready")
            bob.type("not this\r")
            reads.type("nor this\r")
            async with window(tmux, "--take") as eve:
                await ann.sees("writes here; to take over")
                eve.type("this\r")
                for each in (ann, bob, eve, reads):
                    await each.sees("got this")
                ann.type("nothing\r")
                eve.type("\x1c")
                assert await eve.ends() == 0
        assert "not this" not in ann.seen
        assert "got nothing" not in ann.seen
        assert "take over" not in reads.seen


@pytest.mark.needs_tmux
async def test_a_window_outlives_a_restart_of_the_server(tmux: Place) -> None:
    async with window(tmux, columns=0) as ann:  # and does not know its size
        await ann.sees("ready")
        await tmux.street.close()
        assert "no wish" not in ann.seen
        ann.seen = ""
        await tmux.street.open()
        await ann.sees("ready")
        ann.type("back\r")
        await ann.sees("got back")


async def test_without_a_terminal_there_it_shows_the_log(home: Path) -> None:
    async with working(home, TALKS, "process") as place:
        async with window(place) as ann:
            await ann.sees("ready\r\n")
            assert "nothing can be typed" in ann.seen
            assert "\x1b]52" not in ann.seen
            assert "\x1b[31m" in ann.seen
            ann.type("hello\r\x1c")
            assert await ann.ends() == 0
        assert "got" not in ann.seen
        nowhere = await asyncio.to_thread(
            subprocess.run, command(place), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    assert nowhere.returncode == 1
    assert "muster agent logs -f" in nowhere.stderr
