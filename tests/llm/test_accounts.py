"""The limit of requests to models in an hour: it holds over restarts, kills and clocks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from house.patience import PATIENCE
from muster.domain.errors import NoAnswer, Silence
from muster.llm.accounts import HOUR, Hourly
from muster.llm.ledger import Ledger

MOST = 40
TAKES = f"""
import asyncio, os, pathlib, sys
from muster.domain.errors import NoAnswer
from muster.llm.accounts import HOUR, Hourly
from muster.llm.ledger import Ledger

async def main():
    account = Hourly(lambda _project: {MOST}, ledger=Ledger(pathlib.Path(sys.argv[1]), HOUR))
    try:
        while True:
            await account.take("a")
            os.write(1, b"asked\\n")
    except NoAnswer:
        os.write(1, b"refused\\n")

asyncio.run(main())
"""


def test_it_holds_over_servers_that_are_killed_in_the_middle_of_a_request(tmp_path: Path):
    asked = kills = 0
    refused = False
    while not refused:
        with subprocess.Popen(
            [sys.executable, "-c", TAKES, str(tmp_path / "calls")], stdout=subprocess.PIPE
        ) as server:
            assert server.stdout is not None
            first = server.stdout.readline()
            server.kill()
            said = [first, *server.stdout.readlines()]  # what it asked before it was dead
        assert kills <= MOST + 1
        kills += b"refused\n" not in said
        asked += said.count(b"asked\n")
        refused = b"refused\n" in said
    # Who dies between the note and the request has lost one; nobody has won one.
    assert kills
    assert MOST - kills <= asked <= MOST


async def test_the_hour_goes_on_while_no_server_runs(tmp_path: Path):
    wall = [1_000_000.0]

    def anew() -> Hourly:
        ledger = Ledger(tmp_path / "calls", HOUR, lambda: wall[0])
        return Hourly(lambda _project: 2, ledger=ledger)

    account = anew()
    await account.take("a")
    wall[0] += 1000
    await account.take("a")
    with (tmp_path / "calls").open("ab") as file:
        file.write(b'no line of ours\n["a", 10009')  # cut off in the middle
    wall[0] += 1000
    with pytest.raises(NoAnswer) as told:
        await anew().take("a")
    assert told.value.after == pytest.approx(1600, abs=PATIENCE)
    await anew().take("b")
    wall[0] += 1600
    again = anew()
    await again.take("a")
    with pytest.raises(NoAnswer):
        await again.take("a")
    kept = (tmp_path / "calls").read_bytes().splitlines()
    assert [line[:4] for line in kept] == [b'["a"', b'["b"', b'["a"']
    # A clock that was put back gives nothing away.
    wall[0] -= 500_000
    with pytest.raises(NoAnswer):
        await anew().take("a")


async def test_what_cannot_be_counted_is_not_asked(tmp_path: Path):
    (tmp_path / "calls").mkdir()
    account = Hourly(lambda _project: 2, ledger=Ledger(tmp_path / "calls", HOUR))
    with pytest.raises(NoAnswer, match="cannot be counted") as told:
        await account.take("a")
    assert (told.value.why, told.value.after) == (Silence.CALLS, None)
    (tmp_path / "calls").rmdir()
    await account.take("a")


def test_a_line_that_the_disk_had_no_room_for_spoils_none_after_it(tmp_path: Path):
    path = tmp_path / "calls"
    code = (
        "import pathlib, resource, signal, sys\n"
        "from muster.llm.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]), 3600)\n"
        "ledger.begin()\n"
        "ledger.note('a')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "size = pathlib.Path(sys.argv[1]).stat().st_size\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))\n"
        "try:\n    ledger.note('lost')\n"
        "except OSError:\n    print('no room')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "ledger.note('b')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "no room\n"
    assert [project for project, _ in Ledger(path, HOUR).begin()] == ["a", "b"]


def test_a_ledger_that_has_grown_long_is_written_anew_with_what_counts(tmp_path: Path):
    wall = [0.0]
    path = tmp_path / "calls"
    ledger = Ledger(path, HOUR, lambda: wall[0], most_lines=20)
    assert ledger.begin() == []
    for _ in range(100):
        ledger.note("a")
        wall[0] += HOUR / 4
    assert len(path.read_bytes().splitlines()) <= 24
    assert [age for _, age in Ledger(path, HOUR, lambda: wall[0]).begin()] == [2700, 1800, 900]
