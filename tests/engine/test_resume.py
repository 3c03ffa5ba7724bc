"""A program that is killed in the middle goes on in its next attempt, with its session and home."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.houses import Town, git, town
from muster.engine.resume import catch_up, make_home, put
from muster.runtimes.process import ProcessRuntime

CLAUDE = """#!{python} -I
import json, os, pathlib, signal, sys, uuid
if sys.argv[1:] == ["--version"]:
    sys.exit(print("2.1.329 (Claude Code)"))
told, known = pathlib.Path("told.txt"), pathlib.Path(os.environ["HOME"], "known")
lives = len(told.read_text().splitlines()) + 1 if told.exists() else 1
resumed = sys.argv[sys.argv.index("--resume") + 1] if "--resume" in sys.argv else ""
session = resumed or {names!r} or str(uuid.uuid4())
with told.open("a") as file:
    print("knows" if known.exists() else "fresh", session, os.getcwd(), file=file)
known.touch()
def say(**message):
    print(json.dumps({{**message, "session_id": session}}), flush=True)
for line in sys.stdin:
    heard = json.loads(line)
    if heard["type"] == "user":
        say(**heard, isReplay=True)
        break
    done = {{"subtype": "success", "request_id": heard["request_id"], "response": {{}}}}
    say(type="control_response", response=done)
say(type="system", subtype="init", model="m")
if lives in {deaths}:
    os.kill(os.getpid(), signal.SIGKILL)
say(type="result", subtype="success", is_error=False, result="Done.", total_cost_usd=0.01)
sys.stdin.read()
"""


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a Claude Code on PATH that is killed in some lives, and remembers where it was."""

    def make(*deaths: int, names: str = "") -> None:
        program = tmp_path / "bin" / "claude"
        program.parent.mkdir()
        text = CLAUDE.format(python=sys.executable, deaths=deaths, names=names)
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")

    return make


def lives(place: Town) -> list[list[str]]:
    """Whether it found its home again, its session, and its folder, in each of its lives."""
    return [line.split() for line in git(place.repo, "show", "main:told.txt").splitlines()]


async def test_the_next_attempt_goes_on_with_the_session_the_home_and_the_work(tmp_path, mortal):
    mortal(1)
    async with town(tmp_path, {}, test_command="true") as place:
        task = await place.do("claude", type="chore")
        assert (task["status"], task["attempt"]) == ("completed", 2), task["reason"]
        one, two = sorted(task["agents"], key=lambda agent: agent["attempt"])
        assert one["outcome"] == "crashed"
        assert one["session_id"] == two["session_id"]
        session = one["session_id"]
        (*first, folder), (*second, again) = lives(place)
        assert (first, second) == (["fresh", session], ["knows", session])
        # Programs find a session by the folder that it was begun in.
        assert folder == again == one["workspace"] == two["workspace"]


async def test_a_session_that_ends_so_again_is_left_alone(tmp_path, mortal):
    mortal(1, 2)
    async with town(tmp_path, {}, test_command="true", max_attempts=3) as place:
        task = await place.do("claude", type="chore")
        assert (task["status"], task["attempt"]) == ("completed", 3), task["reason"]
        (_, one, folder), (_, two, same), (home, three, other) = lives(place)
        assert one == two != three
        assert home == "fresh"
        assert folder == same != other


async def test_a_session_that_another_task_has_is_not_gone_on_with(tmp_path, mortal):
    mortal(2, names="01234567-89ab-4cde-8f01-23456789abcd")
    async with town(tmp_path, {}, test_command="true") as place:
        await place.do("claude", type="chore")
        task = await place.do("claude", type="chore")
        assert (task["status"], task["attempt"]) == ("completed", 2), task["reason"]
        _, (*_, folder), (home, _, other) = lives(place)
        assert home == "fresh"
        assert folder != other


class Away(ProcessRuntime):
    """A place that does not answer until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = asyncio.Event()

    def stays(self, run_dir: Path) -> bool:
        return run_dir.exists()

    async def catch_up(self, run_dir: Path) -> None:
        await self.back.wait()
        (run_dir / "caught").touch()


async def test_a_place_that_is_away_is_waited_for_unless_the_run_is_to_end(tmp_path: Path):
    for back in (True, False):
        away, wish = Away(), asyncio.Event()
        going_on = asyncio.ensure_future(catch_up(away, tmp_path, wish))
        await asyncio.sleep(0.05)
        assert not going_on.done()
        (away.back if back else wish).set()
        await asyncio.wait_for(going_on, 30)
        assert (tmp_path / "caught").exists() is back
        (tmp_path / "caught").unlink(missing_ok=True)


def test_a_link_where_a_configuration_goes_is_replaced_and_never_followed(tmp_path: Path):
    home, mine = tmp_path / "home", tmp_path / "mine"
    for folder in (home, mine, home / "deep", home / "folder.toml" / "more"):
        folder.mkdir(parents=True)
    (mine / "config.toml").write_text("mine")
    (home / "link").symlink_to(mine)
    (home / "deep" / "config.toml").symlink_to(mine / "config.toml")
    (home / "file").write_text("")
    for path in (
        "link/config.toml",
        "deep/config.toml",
        "file/config.toml",
        "folder.toml",
        "new/a",
    ):
        put(home, home / path, "ours")
        assert (home / path).read_text() == "ours"
        assert (home / path).stat().st_mode & 0o777 == 0o600
    assert [path.read_text() for path in mine.iterdir()] == ["mine"]


def test_a_link_in_the_place_of_the_temporary_folder_is_replaced(tmp_path: Path):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir(), elsewhere.mkdir()
    (home / "tmp").symlink_to(elsewhere)
    for _ in range(2):
        make_home(home)
        (home / "tmp" / "a").touch()
    assert list(elsewhere.iterdir()) == []
