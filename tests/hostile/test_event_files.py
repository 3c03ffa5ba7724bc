"""Event files, with writers and servers that are killed: each file becomes one event, and goes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from house.databases import put_database
from house.patience import until

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
WRITERS = 8
EACH = 1250 if LONG else 250

WRITER = """
import os, signal, sys

folder, notes, me, many, dies = sys.argv[1:]
at, where = dies.split(":")


def die(number, place):
    if (str(number), place) == (at, where):
        os.kill(os.getpid(), signal.SIGKILL)


with open(f"{notes}/{me}", "a+") as begun:
    begun.seek(0)
    done = [int(line) for line in begun]
    if done and os.path.exists(f"{folder}/.{me}-{done[-1]}.part"):
        os.rename(f"{folder}/.{me}-{done[-1]}.part", f"{folder}/{me}-{done[-1]}.json")
    for number in range(len(done), int(many)):
        with open(f"{folder}/.{me}-{number}.part", "w") as draft:
            draft.write('{"type": "own.kind", ')
            draft.flush()
            die(number, "writing")
            draft.write('"payload": {"by": "%s", "number": %d}}' % (me, number))
        die(number, "written")
        begun.write(f"{number}\\n")
        begun.flush()
        die(number, "noted")
        os.rename(f"{folder}/.{me}-{number}.part", f"{folder}/{me}-{number}.json")
        die(number, "dropped")
"""
"""Drops each of its files once, however often it is killed: it notes a number, then renames."""

SERVER = """
import asyncio, sys
from pathlib import Path

from muster.engine.drop import Drop
from muster.engine.drop_folder import DropFolder
from muster.failpoint import arm
from muster.runtimes.hints import Hints
from muster.store.sqlite import SqliteStore


async def main(database, folder, dies):
    arm(dies)
    await Drop(DropFolder(Path(folder)), SqliteStore(Path(database)), Hints()).follow()


asyncio.run(main(*sys.argv[1:]))
"""

WRITERS_DIE = (("0:writing", "90:noted", ""), ("40:written", "150:dropped", ""))
DONE = [*[True] * WRITERS, False]
SERVERS_DIE = ("drop.claimed=2", "drop.kept=2", "drop.clearing=130", "")


class Mortals:
    """A program that is started again and again, to die where it is told, at last nowhere."""

    def __init__(self, deaths: tuple[str, ...], *argv: str) -> None:
        self._deaths, self._argv = list(deaths), argv
        self.died = 0
        self.now = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._argv, self._deaths.pop(0) or ":"])

    def ended(self) -> bool:
        """Whether the last of them is done; the next one is started where one was killed."""
        status = self.now.poll()
        if status == -signal.SIGKILL and self._deaths:
            self.died += 1
            self.now = self._start()
            return False
        assert status in {None, 0}, status
        return status == 0

    def end(self) -> None:
        self.now.kill()
        self.now.wait()


def kept(database: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT payload FROM events WHERE type = 'own.kind'").fetchall()
    connection.close()
    return [(said["by"], said["number"]) for said in (json.loads(row[0]) for row in rows)]


def how_many(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM events WHERE type = 'own.kind'").fetchone()
    connection.close()
    return int(found[0])


def reached(wanted: int, database: Path, programs: list[Mortals]) -> bool:
    """Whether so many are kept; programs that were killed are started again meanwhile."""
    for program in programs:
        program.ended()
    return how_many(database) >= wanted


def known(database: Path) -> int:
    """How many names of files the store still knows."""
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM drops").fetchone()
    connection.close()
    return int(found[0])


def left(folder: Path) -> list[Path]:
    """What lies there still, claimed or not."""
    own = {"taken", "rejected"}
    found = [path for path in folder.iterdir() if path.name not in own]
    return [*found, *(folder / "taken").glob("*")]


@pytest.mark.timeout(600)
async def test_each_file_of_many_writers_is_one_event_whoever_is_killed(tmp_path):
    await put_database(tmp_path)
    database, folder, notes = tmp_path / "muster.db", tmp_path / "events", tmp_path / "notes"
    folder.mkdir()
    notes.mkdir()
    alone = (sys.executable, "-I", "-S", "-c", WRITER, str(folder), str(notes))
    writers = [Mortals(WRITERS_DIE[n % 2], *alone, f"w{n}", str(EACH)) for n in range(WRITERS)]
    server = Mortals(SERVERS_DIE, sys.executable, "-c", SERVER, str(database), str(folder))
    try:
        # A tenth at a time: how long all of them take depends on the machine.
        for tenth in range(1, 11):
            wanted = WRITERS * EACH * tenth // 10
            await until(partial(reached, wanted, database, [*writers, server]))
        await until(lambda: [writer.ended() for writer in (*writers, server)] == DONE)
        await until(lambda: not server.ended() and left(folder) == [] and not known(database))
        assert server.died == 3
    finally:
        for program in (*writers, server):
            program.end()
    assert [writer.died for writer in writers] == [2] * WRITERS
    wanted = Counter((f"w{n}", number) for n in range(WRITERS) for number in range(EACH))
    assert Counter(kept(database)) == wanted
    assert list((folder / "rejected").iterdir()) == []
