"""The server's log: each line one document that says what it is about, and no secret in any."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine.houses import shell, town
from muster.domain.about import about, also_about, facts_at_hand
from muster.settings import Settings
from muster.wiring.logs import log_to

SECRET = "env-5Kf8nB2qZ-value"


@pytest.fixture
def root() -> Iterator[None]:
    """The root logger as it was before."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield
    logging.captureWarnings(capture=False)
    logger.handlers, logger.level = handlers, level


def settings(tmp_path, how: str) -> Settings:
    (tmp_path / "token").write_text("the-token-of-the-home-1234567890")
    return Settings(home=tmp_path, log_format=how, environ={"MY_API_KEY": SECRET})


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


def test_a_server_with_json_says_every_line_as_json(tmp_path):
    env = {**os.environ, "MUSTER_LOG_FORMAT": "json", "MUSTER_HOME": str(tmp_path / "home")}
    server = subprocess.Popen(
        [sys.executable, "-m", "muster", "up", "--port", "0"], stderr=subprocess.PIPE, env=env
    )
    try:
        assert server.stderr is not None
        for line in server.stderr:
            told = json.loads(line)
            if "listens on http://127.0.0.1" in told["message"]:
                break
        else:
            raise AssertionError("it never listened")
    finally:
        server.terminate()
        rest, _ = server.communicate()[1], None
    assert all(json.loads(line) for line in rest.splitlines())
