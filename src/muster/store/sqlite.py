"""SQLite: one writer thread with group commit, a few readers, durable when a write returns.

Facts: WAL with synchronous=FULL, so that a commit is on the disk when it returns; many writers
starve each other for seconds, one writer that commits in groups does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from muster.domain.errors import NoRoom, Unavailable
from muster.failpoint import failpoint_after
from muster.store import events, migrate
from muster.store.base import Tx
from muster.store.feed import Feed
from muster.store.sqlite_library import library

P = ParamSpec("P")
T = TypeVar("T")

_GROUP = 64
_READERS = 3


@dataclass(slots=True)
class _Job:
    verb: Callable[[Tx], Any]
    done: Future[Any]


def _engine(path: Path, *, readers: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        module=library(),
        poolclass=QueuePool,
        pool_size=_READERS if readers else 1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": 30, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-4000")
        if readers:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if readers else "BEGIN IMMEDIATE")

    return engine


def _mended(error: BaseException) -> BaseException:
    """The error a person can act on; a full disk also breaks the savepoint it is met in."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause.orig) if isinstance(cause, DBAPIError) else ""
        if "full" in text or "disk I/O error" in text:
            return NoRoom(
                f"nothing was written: the disk says '{text}'",
                hint="free some space where MUSTER_HOME lies; then try again",
            )
        if "readonly" in text or "read-only" in text:
            return Unavailable(
                "nothing was written: the database is read-only",
                hint="make MUSTER_HOME writable for the user that runs muster",
            )
        cause = cause.__context__
    return error


class SqliteStore:
    """The store in one file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or create the database at `path`, bring its schema up to date and start writing.

        Raises:
            Unavailable: the file cannot be opened or is not a database of muster's.
        """
        self.feed = Feed()
        self._clock = clock
        self._path = path
        self._writer = _engine(path, readers=False)
        with _clear_open_errors(path):
            self._connection = self._writer.connect()
            migrate.upgrade(self._connection)
        self._readers = _engine(path, readers=True)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="store-write", daemon=True)
        with self._readers.connect() as connection, connection.begin():
            self.feed.advance(events.newest_rev(Tx(connection, self._now())))
        self._thread.start()

    def _now(self) -> int:
        return int(self._clock() * 1000)

    async def write(
        self, verb: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a verb in a transaction and return when it is durable."""
        done: Future[T] = Future()
        self._jobs.put(_Job(lambda tx: verb(tx, *args, **kwargs), done))
        return await asyncio.wrap_future(done)

    async def read(
        self, verb: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a verb that only reads, on a consistent snapshot."""

        def run() -> T:
            with self._readers.connect() as connection, connection.begin():
                return verb(Tx(connection, self._now()), *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def describe(self) -> dict[str, str]:
        """Backend, version and durability as the database itself says."""
        with self._readers.connect() as connection:
            journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
            version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        names = {0: "off", 1: "normal", 2: "full", 3: "extra"}
        return {
            "backend": "sqlite",
            "version": str(version),
            "schema": migrate.HEAD,
            "journal_mode": str(journal),
            "synchronous": names.get(int(level), str(level)),
        }

    async def close(self) -> None:
        """Finish what was accepted and close the database."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._pool.shutdown()
        self._readers.dispose()
        self._connection.close()
        self._writer.dispose()

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            ends = False
            while len(group) < _GROUP:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ends = True
                    break
                group.append(more)
            self._write_group(group)
            if ends:
                return

    def _write_group(self, group: list[_Job]) -> None:
        """Run each job in its own savepoint and commit once; then tell all of them."""
        now = self._now()
        done: list[tuple[Future[Any], Any]] = []
        written: list[Tx] = []
        if len(group) == 1:
            self._write_one(group[0], Tx(self._connection, now))
            return
        try:
            with self._connection.begin():
                for job in group:
                    if job.done.set_running_or_notify_cancel():
                        self._run(job, Tx(self._connection, now), done, written)
        except DBAPIError as error:
            for job in group:
                if not job.done.done():
                    job.done.set_exception(_mended(error))
            return
        if written:
            failpoint_after(event.type for tx in written for event in tx.written)
            told = [event for tx in written for event in tx.written]
            self.feed.advance(max(tx.rev for tx in written), max(tx.moved for tx in written), told)
        for future, answer in done:
            future.set_result(answer)

    def _write_one(self, job: _Job, tx: Tx) -> None:
        """Run a job that came alone in the transaction itself: a savepoint would save nothing."""
        if not job.done.set_running_or_notify_cancel():
            return
        try:
            with self._connection.begin():
                answer = job.verb(tx)
                tx.flush()
        except DBAPIError as error:
            job.done.set_exception(_mended(error))
        except Exception as error:  # noqa: BLE001  # a verb's own error belongs to its caller
            job.done.set_exception(error)
        else:
            failpoint_after(event.type for event in tx.written)
            self.feed.advance(tx.rev, tx.moved, tx.written)
            job.done.set_result(answer)

    def _run(
        self, job: _Job, tx: Tx, done: list[tuple[Future[Any], Any]], written: list[Tx]
    ) -> None:
        try:
            with self._connection.begin_nested():
                answer = job.verb(tx)
                tx.flush()
        except DBAPIError as error:
            job.done.set_exception(_mended(error))
            if not _in_transaction(self._connection):
                raise
        except Exception as error:  # noqa: BLE001  # a verb's own error belongs to its caller
            job.done.set_exception(error)
        else:
            done.append((job.done, answer))
            written.append(tx)


def _in_transaction(connection: Connection) -> bool:
    """Whether the database still holds the group's transaction; it ends it itself when full."""
    return bool(connection.connection.driver_connection.in_transaction)  # type: ignore[union-attr]


@contextlib.contextmanager
def _clear_open_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise Unavailable(
            f"the database {path} cannot be opened: {error.orig}",
            hint="make the folder writable, or name another one with --home",
        ) from error


def open_store(url: str, home: Path) -> SqliteStore:
    """The store for `database_url`; an empty one means the default file under the home."""
    path = Path(url.removeprefix("sqlite:///")) if url else home / "muster.db"
    return SqliteStore(path)
