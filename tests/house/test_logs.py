"""The server's log: lines that say what they are about, by levels, and no secret in any."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from scripts.checks.tree import text_of, under

from engine.houses import shell, town
from house.patience import PATIENCE
from house.trees import ROOT
from muster.domain.about import about, also_about, facts_at_hand
from muster.domain.errors import Invalid
from muster.domain.log_levels import ROOMS, levels_of
from muster.settings import Settings
from muster.wiring.logs import log_to

SECRET = "env-5Kf8nB2qZ-value"


@pytest.fixture
def root() -> Iterator[None]:
    """The loggers as a server finds them, and in the end as they were before.

    Tests that run a server here in uvicorn's own way leave its loggers apart from all others.
    """
    logger, ours = logging.getLogger(), ("muster", *(f"muster.{room}" for room in ROOMS))
    theirs = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error")]
    before = [(each, list(each.handlers), each.level, each.propagate) for each in (logger, *theirs)]
    for each in theirs:
        each.handlers, each.propagate = [], True
        each.setLevel(logging.NOTSET)
    yield
    logging.captureWarnings(capture=False)
    for each, handlers, level, propagate in before:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)
    for name in ours:
        logging.getLogger(name).setLevel(logging.NOTSET)


def settings(tmp_path, how: str, level: str = "info") -> Settings:
    (tmp_path / "token").write_text("the-token-of-the-home-1234567890")
    environ = {"MY_API_KEY": SECRET}
    return Settings(home=tmp_path, log_format=how, log_level=level, environ=environ)


@pytest.mark.parametrize("how", ["text", "json"])
def test_no_secret_reaches_the_log(tmp_path, root, how):
    stream = io.StringIO()
    log_to(stream, settings(tmp_path, how))
    log = logging.getLogger("muster.some")
    log.info("with %s", SECRET)
    log.info("git https://me:hunter22@git.example/x")
    log.info("the-token-of-the-home-1234567890")
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        log.exception("it failed")
    told = stream.getvalue()
    assert told.count("***") == 4
    for secret in (SECRET, "hunter22", "the-token-of-the-home"):
        assert secret not in told
    assert "git.example" in told


def test_a_json_line_is_one_document_whatever_is_said(tmp_path, root):
    stream = io.StringIO()
    log_to(stream, settings(tmp_path, "json"))
    log = logging.getLogger("muster.some")
    with about(task="MU-1", attempt=2):
        log.warning("two\nlines \x1b[31m and \udcff and %s", "“words”")
    try:
        raise ValueError("inside")
    except ValueError:
        log.exception("it failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["logger"]) == ("warning", "muster.some")
    assert (first["task"], first["attempt"]) == ("MU-1", 2)
    assert first["message"].startswith("two\nlines")
    assert first["time"].endswith("Z")
    assert "task" not in second
    assert "ValueError: inside" in second["exception"]


def test_nobody_can_forge_a_line_for_people_or_act_on_their_terminal(tmp_path, root):
    stream = io.StringIO()
    log_to(stream, settings(tmp_path, "text"))
    logging.getLogger("muster.some").warning("a \x1b[2Jbranch\r2026-11-22 INFO forged\nmore")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("WARNING muster.some a branch")
    assert rest == ["    2026-11-22 INFO forged", "    more"]


async def test_what_is_started_within_is_about_the_same(root):
    seen = []

    async def inner() -> None:
        also_about(agent="a")
        seen.append(dict(facts_at_hand()))

    with about(task="MU-1"):
        await asyncio.gather(inner(), asyncio.to_thread(lambda: seen.append(dict(facts_at_hand()))))
        assert dict(facts_at_hand()) == {"task": "MU-1"}
    assert {"task": "MU-1", "agent": "a"} in seen
    assert {"task": "MU-1"} in seen
    assert dict(facts_at_hand()) == {}


async def test_a_stage_that_fails_says_whose_it_was(tmp_path, root):
    stream = io.StringIO()
    async with town(tmp_path, {"good": shell("echo x > new.txt")}, test_command="true") as place:
        log_to(stream, Settings(home=place.home, log_format="json", environ={}))

        async def broken(task):
            raise RuntimeError("the stage is broken")

        place.house.daemon._durable._work["validating"] = broken
        place.house.daemon._durable._pause = 0
        task = await place.do("good", type="chore")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    failed = [line for line in told if "the stage is broken" in line["message"]]
    assert failed
    assert {(line["task"], line["attempt"], line["project"]) for line in failed} == {
        (task["label"], 1, task["project_id"])
    }


# --- rooms and levels -----------------------------------------------------------------------------


def loggers() -> list[tuple[str, str]]:
    """Each logger that a room of muster writes to, with the room that its file is in."""
    made = re.compile(r"^\s*log(?:ger)? = logging\.getLogger\((.*)\)$", re.MULTILINE)
    return [
        (path.relative_to(ROOT / "src" / "muster").parts[0].removesuffix(".py"), name)
        for path in under(ROOT, "src", ".py")
        for name in made.findall(text_of(path))
    ]


def test_each_room_logs_under_its_own_name_and_can_be_named():
    found = loggers()
    assert len(found) > 10
    assert [(room, name) for room, name in found if name != f'"muster.{room}"'] == []
    folders = {path.parent.name for path in (ROOT / "src" / "muster").glob("*/__init__.py")}
    (listed,) = re.findall(
        r"^Rooms are (.*?)\. Libraries", (ROOT / "docs/operations.md").read_text(), re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", listed)) | {"uvicorn"} == ROOMS
    assert folders - {"cli", "client", "domain"} | {room for room, _ in found} <= ROOMS


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("info", ["store info", "engine info", "other info", "uvicorn.error warning"]),
        ("warning", ["uvicorn.error warning"]),
        ("error, store=debug", ["store debug", "store info"]),
        ("debug, engine=error", ["store debug", "store info", "other info",
                                 "uvicorn.error warning"]),
        ("warning,uvicorn=debug", ["uvicorn.error info", "uvicorn.error warning"]),
    ],
)  # fmt: skip
def test_a_level_is_for_all_or_for_a_room(tmp_path, root, level, heard):
    stream = io.StringIO()
    log_to(stream, settings(tmp_path, "json", "debug"))
    log_to(stream, settings(tmp_path, "json", level))
    for name in ("muster.store", "muster.engine", "other", "uvicorn.error"):
        log = logging.getLogger(name)
        log.debug("debug")
        log.info("info")
        if name == "uvicorn.error":
            log.warning("warning")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = [f"{line['logger'].removeprefix('muster.')} {line['message']}" for line in told]
    assert names == heard


@pytest.mark.parametrize(
    "text", ["loud", "shop=info", "info,=debug", "info,debug", "store=", "a=b"]
)
def test_what_is_no_level_is_refused(text):
    with pytest.raises(Invalid, match="log_level"):
        levels_of(text)


def test_levels_are_read_with_what_is_usual_left_out():
    assert levels_of("store=debug") == {"": "info", "store": "debug"}
    assert levels_of(" warning , access = info ") == {"": "warning", "access": "info"}


# --- a whole server -------------------------------------------------------------------------------


def test_a_server_with_json_says_every_line_as_json_and_no_secret_of_a_request(tmp_path):
    level = "info,access=debug,uvicorn=debug"
    env = {"MUSTER_LOG_FORMAT": "json", "MUSTER_LOG_LEVEL": level, "MUSTER_HOME": str(tmp_path)}
    server = subprocess.Popen(
        [sys.executable, "-m", "muster", "up", "--port", "0"],
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
    )
    told, url = [], ""
    try:
        assert server.stderr is not None
        while not url:
            told.append(json.loads(server.stderr.readline()))
            url = told[-1]["message"].partition(" listens on ")[2]
        token = (tmp_path / "token").read_text().strip()
        bearer = {"Authorization": f"Bearer {token}", "X-Request-Id": "mine-12345"}
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            right = client.get(f"/api/tasks?token={token}&limit=1", headers=bearer)
            wrong = client.get("/api/tasks?token=hunter22hunter22", headers={"X-Request-Id": "x y"})
            client.get("/login%0Aforged?password=hunter22")
    finally:
        server.terminate()
        rest = server.communicate()[1]
    told += map(json.loads, rest.splitlines())
    asked = [line for line in told if line["logger"] == "muster.access"]
    assert [(a["method"], a["path"], a["status"]) for a in asked] == [
        ("GET", "/api/tasks", 200), ("GET", "/api/tasks", 401), ("GET", "/login%0Aforged", 401)
    ]  # fmt: skip
    assert all(a["milliseconds"] > 0 and a["level"] == "debug" for a in asked)
    assert right.headers["x-request-id"] == asked[0]["request"] == "mine-12345"
    assert wrong.headers["x-request-id"] == asked[1]["request"] != "x y"
    assert len({a["request"] for a in asked}) == 3
    for secret in (token, "hunter22"):
        assert secret not in json.dumps(told)
    assert {"muster.access", "uvicorn.error", "muster.wiring"} <= {line["logger"] for line in told}
