"""A plain way to speak with a two-way program: no runtime, one process, one session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.jobs import environment_of
from muster.agents.base import Answer, Driver, Ending, Fact, Job, Session

SECONDS = 240.0
LAST_SECONDS = 30.0
"""How long a program may take to end once its input is closed."""


def allow(_: Mapping[str, Any]) -> Answer:
    """Allow whatever is asked for."""
    return Answer(allow=True)


@dataclass
class Talk:
    """A conversation as it goes, and all of it once it is over."""

    session: Session
    written: bytes = b""
    out: bytes = b""
    err: bytes = b""
    code: int | None = None
    facts: list[Fact] = field(default_factory=list)
    ending: Ending | None = None
    say: Callable[[bytes], None] = lambda _: None
    record: list[tuple[str, bytes]] = field(default_factory=list)

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """What the facts of one kind say."""
        return [fact.data for fact in self.facts if fact.kind == kind]


Hook = Callable[[Talk, Fact], None]


async def talk(
    driver: Driver,
    job: Job,
    rule: Callable[[Mapping[str, Any]], Answer | None] = allow,
    *,
    on_fact: Hook | None = None,
    more: Sequence[str] = (),
    restarts: bool = False,
) -> Talk:
    """Start a job's program, and speak with it until its turns and those of `more` are over.

    `rule` answers requests for permission; with None they wait. `on_fact` hears each fact and may
    write. With `restarts` the session is made anew from the record after every piece of output.
    """
    launch = driver.launch(job)
    for path, text in launch.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    session = driver.reader(job)
    assert isinstance(session, Session)
    assert launch.interactive
    assert launch.stdin == session.opening()
    process = await asyncio.create_subprocess_exec(
        *launch.argv,
        cwd=job.workspace,
        env=dict(environment_of(job, launch)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    done = Talk(session)

    def write(data: bytes) -> None:
        if data:
            done.written += data
            done.record.append(("in", data))
            process.stdin.write(data)

    done.say = write
    write(launch.stdin)
    errors = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(SECONDS):
            await _pump(driver, job, process, done, write, (rule, on_fact, list(more), restarts))
            with contextlib.suppress(ConnectionError):
                process.stdin.close()
        async with asyncio.timeout(LAST_SECONDS):
            rest = await process.stdout.read()
            done.out += rest
            done.record.append(("out", rest))
            done.facts += done.session.feed(rest)
            done.code = await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        done.err = await errors
    closed = done.code is None and done.session.finished
    done.ending = done.session.end(done.code, "closed" if closed else "exit")
    return done


async def _pump(
    driver: Driver,
    job: Job,
    process: asyncio.subprocess.Process,
    done: Talk,
    write: Callable[[bytes], None],
    how: tuple[Callable[..., Answer | None], Hook | None, list[str], bool],
) -> None:
    rule, on_fact, more, restarts = how
    while data := await process.stdout.read(65536):
        done.out += data
        done.record.append(("out", data))
        facts = list(done.session.feed(data))
        if restarts:
            fresh = driver.reader(job)
            assert list(fresh.feed(done.out))[-len(facts) or None :][: len(facts)] == facts
            fresh.sent(done.written)
            assert list(fresh.waiting) == list(done.session.waiting)
            assert fresh.finished == done.session.finished
            done.session = fresh
        write(done.session.replies())
        for fact in facts:
            done.facts.append(fact)
            if fact.kind == "permission" and fact.data["id"] in done.session.waiting:
                answer = rule(fact.data)
                if answer is not None:
                    write(done.session.answer(fact.data["id"], answer))
            if on_fact:
                on_fact(done, fact)
        if done.session.finished:
            if not more:
                return
            write(done.session.say(more.pop(0)))
