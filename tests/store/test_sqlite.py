"""The SQLite store: the contract, and what only it must do."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from contracts.store import StoreContract, add_project, add_task
from house.databases import put_database
from house.trees import ROOT
from muster.domain.agent import Role
from muster.domain.errors import Unavailable
from muster.domain.task import PLAN, Stage
from muster.store import admission, agent_tokens, agents, events, migrate, tasks
from muster.store.admission import Limits
from muster.store.agents import NewAgent
from muster.store.migrations import run
from muster.store.schema import metadata
from muster.store.sqlite import SqliteStore
from muster.wiring.doctor import diagnose

ALONE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
"""
"""Succeeds where nobody says that the shared memory of the log is in use (sqlite's os_unix.c)."""

WRITER = """
import asyncio, sys
from pathlib import Path
from contracts.store import add_project, add_task
from muster.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    project = await add_project(store)
    while True:
        task = await add_task(store, project)
        print(task.id, flush=True)

asyncio.run(main())
"""


class TestSqlite(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path):
        await put_database(tmp_path)
        store = SqliteStore(tmp_path / "muster.db")
        yield store
        await store.close()


async def test_what_is_acknowledged_is_on_the_disk_in_wal_with_full_durability(tmp_path):
    store = SqliteStore(tmp_path / "muster.db")
    told = store.describe()
    await store.close()
    assert (told["journal_mode"], told["synchronous"]) == ("wal", "full")


async def test_the_linked_library_has_the_wal_reset_repair(tmp_path):
    store = SqliteStore(tmp_path / "muster.db")
    version = tuple(map(int, store.describe()["version"].split(".")))
    await store.close()
    assert version >= (3, 51, 3)


async def test_a_copy_that_is_made_while_it_is_written_is_whole_and_has_what_was_there(tmp_path):
    """By the line that the page of operations gives."""
    page = (ROOT / "docs" / "operations.md").read_text()
    (line,) = re.findall(r"^python3 (-c .*) /var/lib/muster/muster.db /backup/", page, re.MULTILINE)
    path, copy = tmp_path / "muster.db", tmp_path / "copy.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as writer:
        assert writer.stdout is not None
        before = [writer.stdout.readline().strip() for _ in range(3)]
        subprocess.run([sys.executable, *shlex.split(line), path, copy], check=True)
        assert writer.poll() is None
        writer.kill()
    store = SqliteStore(copy)
    for task in before:
        assert (await store.read(tasks.get_task, task)).stage is Stage.QUEUED
    await store.close()


async def test_kill_9_loses_no_acknowledged_task_and_leaves_no_gap(tmp_path):
    path = tmp_path / "muster.db"
    acknowledged: list[str] = []
    for wanted in (1, 7, 23):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            acknowledged += [writer.stdout.readline().strip() for _ in range(wanted)]
            writer.send_signal(signal.SIGKILL)
    store = SqliteStore(path)
    kept = {t.id for t in await store.read(tasks.list_tasks, limit=1000)}
    found = await store.read(events.events_after, 0, limit=5000)
    await store.close()
    assert set(acknowledged) <= kept
    assert [e.rev for e in found] == list(range(1, len(found) + 1))


async def test_a_full_disk_is_said_and_nothing_acknowledged_is_lost(tmp_path):
    store = SqliteStore(tmp_path / "muster.db")
    project = await add_project(store)
    kept = await add_task(store, project)

    def shrink(tx):
        pages = tx.conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await store.write(shrink)
    outcomes = await asyncio.gather(
        *(add_task(store, project, "x" * 20_000) for _ in range(5)), return_exceptions=True
    )
    refused = [o for o in outcomes if isinstance(o, Exception)]
    assert refused
    assert {getattr(o, "status", None) for o in refused} == {507}
    await store.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA max_page_count=1000000") and None)
    again = await add_task(store, project, "x" * 20_000)
    assert {t.id for t in await store.read(tasks.list_tasks)} >= {kept.id, again.id}
    await store.close()


async def test_a_database_of_a_newer_muster_is_refused_untouched(tmp_path):
    path = tmp_path / "muster.db"
    await SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num='9999'")
    connection.close()
    with pytest.raises(Unavailable, match="9999"):
        SqliteStore(path)


async def test_a_look_at_the_database_beside_the_store_drops_none_of_its_locks(tmp_path):
    store = SqliteStore(tmp_path / "muster.db")
    task = await add_task(store, await add_project(store))
    alone = [sys.executable, "-c", ALONE, str(tmp_path / "muster.db-shm")]
    assert subprocess.run(alone, capture_output=True).returncode
    found = {check["name"]: check["state"] for check in await asyncio.to_thread(diagnose, tmp_path)}
    assert found["database"] == "ok"
    assert subprocess.run(alone, capture_output=True).returncode
    assert await store.read(tasks.get_task, task.id) == task
    await store.close()


async def test_a_file_that_is_no_database_is_refused_with_a_next_step(tmp_path):
    path = tmp_path / "muster.db"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(Unavailable) as refused:
        SqliteStore(path)
    assert refused.value.hint
    assert path.read_bytes().startswith(b"this is a letter")


async def test_opening_again_gives_back_everything(tmp_path):
    path = tmp_path / "muster.db"
    store = SqliteStore(path)
    task = await add_task(store, await add_project(store))
    await store.close()
    store = SqliteStore(path)
    assert await store.read(tasks.get_task, task.id) == task
    assert store.feed.rev == task.rev
    await store.close()


async def test_a_fresh_schema_equals_all_migrations(tmp_path):
    path = tmp_path / "muster.db"
    await SqliteStore(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert difference == []


async def test_an_older_database_takes_tasks_that_are_being_planned(tmp_path):
    path = tmp_path / "muster.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        run.upgrade(connection, "0005")
    engine.dispose()
    store = SqliteStore(path)
    await add_task(store, await add_project(store), playbook=PLAN)
    (claimed,) = await store.write(admission.admit, Limits(1, {}, 1))
    assert claimed.stage is Stage.PLANNING
    await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("UPDATE tasks SET stage = 'dreaming'")
    connection.close()


async def test_a_database_of_the_first_schema_opens_with_what_it_held(tmp_path):
    path = tmp_path / "muster.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        run.upgrade(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO projects VALUES ('prj_1','shop','/repo',NULL,'main','{}','{}','','',0,0,0)"
        )
        connection.commit()
    engine.dispose()
    store = SqliteStore(path)
    assert store.describe()["schema"] == migrate.HEAD
    task = await add_task(store, "prj_1")
    claimed = (await store.write(admission.admit, Limits(1, {}, 1)))[0]
    new = NewAgent("coding-00000001", Role.CODING, "command", "process")
    agent = await store.write(agents.start_agent, claimed, new)
    assert (agent.task_id, agent.result) == (task.id, None)
    token = "a fresh token"
    await store.write(agent_tokens.admit, claimed, agent.id, token)
    assert await store.read(agent_tokens.agent_of_token, token) == agent.id
    await store.close()
