"""The WebSocket of an agent's terminal, on a real house, a real port and a real tmux."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from house.patience import PATIENCE
from mcp_door.streets import TOKEN
from terminals.places import TALKS, Place, enter, working

FLOODS = "echo ready; seq -f 'line %06.0f ................................' 9000; read x; exit 3"


@pytest.mark.needs_tmux
async def test_one_writes_and_the_others_look_until_one_takes_over(tmux: Place) -> None:
    async with tmux.look(name="ann@box", write="yes") as ann, tmux.look(name="bob") as bob:
        await ann.sees("ready")
        await bob.sees("ready")
        assert ann.name == bob.name
        assert ann.writer == ("ann@box", True)
        assert bob.writer == ("ann@box", False)
        await ann.socket.send(b"hello\r")
        await ann.sees("got hello")
        await bob.sees("got hello")

        await bob.socket.send(b"me too\r")
        assert (await bob.refused())["detail"] == "ann@box writes here"
        await bob.wish(write="yes")
        await bob.wish(size=[100, 30])
        assert (await bob.refused())["code"] == "conflict"
        await bob.wish(write="over")
        await ann.until(lambda: ann.writer == ("bob", False))
        await bob.until(lambda: bob.writer == ("bob", True))
        await bob.socket.send("now é\r".encode())
        await ann.sees("got now é")
        await ann.socket.send(b"not me\r")
        assert (await ann.refused())["detail"] == "bob writes here"
        await bob.socket.close()
        await ann.until(lambda: ann.writer == (None, False))
        assert "me too" not in ann.shown
        assert "not me" not in ann.shown


@pytest.mark.needs_tmux
async def test_nothing_that_a_terminal_obeys_comes_out_but_colours(tmux: Place) -> None:
    async with tmux.look(write="yes") as looker:
        await looker.sees("ready")
        await looker.socket.send(b"\x1b]0;title\x07\x1b[6n \xc2\x9b2J go\r")
        await looker.sees("got ")
        assert "\x1b[31mé" in looker.shown
        for bad in ("\x1b]", "\x07", "\x1b[2J", "\x1b[6n", "\x9b", "\x1b[H"):
            assert bad not in looker.shown


@pytest.mark.needs_tmux
async def test_who_comes_back_goes_on_where_they_were(tmux: Place) -> None:
    async with tmux.look(write="yes") as stays:
        await stays.sees("ready")
        async with tmux.look() as before:
            await before.sees("ready")
        await stays.socket.send(b"meanwhile\r")
        await stays.sees("got meanwhile")
        async with tmux.look(screen=before.name, offset=before.next) as after:
            await after.sees("got meanwhile")
            assert "ready" not in after.shown
            assert not any("picture" in m for m in after.messages)
        async with tmux.look(screen="another", offset=before.next) as anew:
            await anew.sees("got meanwhile")
            assert any("picture" in m for m in anew.messages)


@pytest.mark.needs_tmux
async def test_the_writers_size_is_the_terminals(tmux: Place) -> None:
    async with tmux.look(write="yes") as looker:
        await looker.sees("ready")
        await looker.wish(size=[41, 12])
        line = ["tmux", "-S", tmux.run_dir.parent / "tmux", "display-message", "-p"]
        show = [*line, "-t", f"={tmux.run_dir.name}:", "#{window_width}"]
        async with asyncio.timeout(PATIENCE):
            while subprocess.run(show, capture_output=True, text=True).stdout.strip() != "41":
                await asyncio.sleep(0.05)
        for wrong in ({"size": [0, 9]}, {"size": [True, 9]}, {"size": 9}, {"write": "no"}, {}):
            await looker.wish(**wrong)
            assert (await looker.refused())["code"] == "invalid"
            looker.messages.append({})
        await looker.socket.send("no json")
        assert (await looker.refused())["code"] == "invalid"


@pytest.mark.needs_tmux
async def test_a_terminal_tells_how_its_agent_ended(tmux: Place) -> None:
    async with tmux.look(write="yes") as looker:
        await looker.sees("ready")
        await looker.socket.send(b"bye\r")
        await looker.until(lambda: "end" in looker.last)
        assert looker.messages[-1]["end"]["exit_code"] == 3
        with pytest.raises(ConnectionClosed):
            await looker.socket.recv()
        assert looker.socket.close_code == 1000
    async with tmux.look(write="yes") as late:
        await late.until(lambda: "end" in late.last)
        assert "got bye" in late.shown
        assert late.messages[0] == {"screen": None}


@pytest.mark.long
@pytest.mark.needs_tmux
async def test_a_terminal_that_is_killed_is_lost_and_opened_again(tmux: Place) -> None:
    async with tmux.look(write="yes") as looker:
        await looker.sees("ready")
        line = ["tmux", "-S", tmux.run_dir.parent / "tmux", "display-message", "-p", "#{pid}"]
        pid = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        os.kill(int(pid), signal.SIGKILL)
        await looker.until(lambda: "lost" in looker.last)
        with pytest.raises(ConnectionClosed):
            await looker.socket.recv()
        assert looker.socket.close_code == 1012
    async with tmux.look(write="yes", screen=looker.name, offset=looker.next) as again:
        await again.sees("ready")
        assert again.name != looker.name
        await again.socket.send(b"on\r")
        await again.sees("got on")


@pytest.mark.long
@pytest.mark.needs_tmux
async def test_one_who_is_far_behind_gets_the_picture(home: Path) -> None:
    async with working(home, FLOODS, "tmux") as place, place.look() as looker:
        await looker.sees("line 009000")
        async with place.look(screen=looker.name, offset=1) as behind:
            await behind.sees("line 009000")
            assert any("picture" in m for m in behind.messages)


async def test_where_there_is_no_terminal_the_log_is_told_by_offset(home: Path) -> None:
    async with working(home, TALKS, "process") as place:
        async with place.look(offset=0, write="yes") as looker:
            await looker.sees("ready")
            assert looker.messages[:2] == [{"screen": None}, {"writer": None, "writing": False}]
            await looker.socket.send(b"hello\r")
            assert "has no terminal" in (await looker.refused())["detail"]
            size = (await place.street.place.service.agent_logs(place.agent, 0))["next"]
            assert looker.next == size
        house = place.street.place.house
        await house.tools.runtimes["process"].send(place.run_dir, b"bye\n")
        async with place.look(offset=size) as after:
            await after.until(lambda: "end" in after.last)
            assert after.shown == "got bye\n"


async def test_the_gate_stands_before_terminals_too(home: Path) -> None:
    async with working(home, TALKS, "process") as place:
        for token, more in (
            ("", {}),
            ("w" * 43, {}),
            (TOKEN, {"Origin": "http://evil.example"}),
            (TOKEN, {"Sec-Fetch-Site": "cross-site"}),
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with enter(place.address(), token, **more):
                    pass
            assert refused.value.response.status_code == 403
        async with enter(place.address(), Origin=place.street.url) as socket:
            assert json.loads(await socket.recv()) == {"screen": None}
        async with enter(place.address("nobody")) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "not-found"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4404
        async with enter(place.address(offset="-1")) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "invalid"
