"""What DBOS Transact costs for one short stage, idle and busy; see `docs/decisions/0001`.

Needs `pip install 'dbos==3.4.*' sqlalchemy`; it is no dependency of muster's.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

IDLE_SECONDS = 30


def configure(path: Path) -> None:
    """DBOS with the settings of the design: WAL, FULL, one connection, JSON."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "isolation_level": "IMMEDIATE", "timeout": 30},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection, _record):
        for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on"):
            connection.execute(f"pragma {pragma}")

    DBOS(
        config={
            "name": "measured",
            "system_database_engine": engine,
            "system_database_url": f"sqlite:///{path}",
            "executor_id": f"executor-{os.getpid()}",
            "application_version": "stages-1",
            "notification_listener_polling_interval_sec": 5.0,
            "serializer": DBOSPortableJSONSerializer(),
        }
    )


async def measure() -> None:
    """Print wall and CPU per stage, idle CPU, threads and memory."""

    @DBOS.step()
    async def do(name: str) -> str:
        return name

    @DBOS.step()
    async def commit(name: str) -> str:
        return name

    @DBOS.workflow()
    async def stage(name: str) -> str:
        return await commit(await do(name))

    DBOS.launch()

    async def one(number: int) -> None:
        with SetWorkflowID(f"w{number}"):
            handle = await DBOS.start_workflow_async(stage, str(number))
        await handle.get_result()

    await one(0)
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(1, 201):
        await one(number)
    print(f"a stage: {(time.perf_counter() - wall) * 5:.1f} ms wall, "
          f"{(time.process_time() - cpu) * 5:.1f} ms CPU")  # fmt: skip
    cpu = time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    print(f"idle: {(time.process_time() - cpu) / IDLE_SECONDS * 100:.2f} % of a core")
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{threading.active_count()} threads, {rss} MB")


if __name__ == "__main__":
    configure(Path(tempfile.mkdtemp()) / "dbos.sqlite")
    asyncio.run(measure())
    sys.stdout.flush()
    os._exit(0)
