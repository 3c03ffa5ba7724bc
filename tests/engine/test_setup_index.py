"""A setup command fetches packages from where a person lets it; what agents wrote does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.houses import shell, town
from hostile.sandboxed import served_page

pytestmark = pytest.mark.needs_bubblewrap

FETCH = """
import os, sys, urllib.request
os.environ.update(no_proxy="", NO_PROXY="")
print(urllib.request.urlopen(sys.argv[1], timeout=9).read().decode())
"""
DEPENDS = "requirements.txt"


@pytest.fixture
def index() -> Iterator[str]:
    """Something on this machine that hands out packages."""
    with served_page() as port:
        yield f"127.0.0.1:{port}"


def fetching(folder: Path, index: str) -> str:
    """A shell line that fetches from there, into what it says."""
    program = folder / "fetch.py"
    program.write_text(FETCH)
    return f"{sys.executable} {program} http://{index}/package"


async def test_setup_reaches_the_index_and_agents_and_checks_do_not(tmp_path, index):
    fetch = fetching(tmp_path, index)
    agents = {
        "tries": shell(f"{fetch} || echo kept out > new.txt"),
        "adds": shell(f"echo more > {DEPENDS}"),
    }
    async with town(
        tmp_path,
        agents,
        runtime="sandbox",
        readable=[str(tmp_path / "fetch.py"), sys.prefix],
        setup_command=f"{fetch} > made.txt",
        setup_network=[index],
        test_command=f"grep package made.txt && ! {fetch}",
        max_attempts=1,
    ) as place:
        task = await place.do("tries", type="chore")
        assert task["status"] == "completed", task["reason"]
        # What it depends on is what the agent said: that is fetched by nobody's leave.
        task = await place.do("adds", type="chore")
        assert task["status"] == "failed"
        assert f"its network refused {index}" in task["reason"]
        assert f"muster project set repo network {index}" in task["reason"]
        events = (await place.service.list_events(0, type="network.refused"))["items"]
        assert {f"{e['payload']['host']}:{e['payload']['port']}" for e in events} == {index}


async def test_a_setup_that_was_kept_out_names_the_setting_that_is_for_it_alone(tmp_path, index):
    fetch = fetching(tmp_path, index)
    async with town(
        tmp_path,
        {"works": shell("echo x > new.txt")},
        runtime="sandbox",
        readable=[str(tmp_path / "fetch.py"), sys.prefix],
        setup_command=f"{fetch} > made.txt",
        test_command="grep package made.txt",
        max_attempts=1,
    ) as place:
        task = await place.do("works", type="chore")
        assert task["status"] == "failed"
        line = f"muster project set repo setup_network {index}"
        assert line in task["reason"]
        key, value = line.split()[-2:]
        await place.service.change_project("repo", {"settings": {key: value}})
        assert (await place.do("works", type="chore"))["status"] == "completed"
