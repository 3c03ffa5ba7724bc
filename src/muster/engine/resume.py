"""An attempt that goes on where the one before it was stopped: with its session, in its home.

A program that was killed or met a limit in the middle knows more than its work shows. Where its
driver can resume, the next attempt is told its session and works in its home, and in the same
place of the disk, because programs look for a session by the folder that it was begun in, and speak
of whole paths in it; its work is there anyway. What lies in that home is a stranger's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from muster.agents.base import Driver
from muster.domain.agent import Agent, Outcome, Role
from muster.domain.errors import MusterError
from muster.domain.task import Task
from muster.domain.verdict import Checkpoint
from muster.engine.closing import close
from muster.engine.tools import Tools, in_thread
from muster.runtimes.base import Carries, Runtime
from muster.runtimes.rundir import RunDir
from muster.store import agents
from muster.store.base import Tx
from muster.store.checkpoints import get_checkpoint
from muster.store.tasks import get_task
from muster.workspace.base import Workspace

log = logging.getLogger("muster.engine")


@dataclass(frozen=True, slots=True)
class Past:
    """The agent whose session an attempt goes on with.

    As a fork the attempt works with a copy of that agent's home, and leaves the session as it was.
    """

    agent: Agent
    fork: bool = False

    @property
    def home(self) -> str | None:
        """The agent in whose home the attempt works; None for one of its own."""
        return None if self.fork else self.agent.id


_AT_WORK = frozenset({Role.CODING, Role.MANAGER})
_STOPPED = frozenset({Outcome.CRASHED, Outcome.RATE_LIMITED, Outcome.UNAVAILABLE, Outcome.HELD})


async def gone_before(tools: Tools, task: Task, driver: Driver, runtime: str) -> Past | None:
    """The agent whose session this attempt goes on with; the same one whenever it is asked."""
    if task.fork_of and task.attempt == 1:
        return await _forked(tools, task, driver, runtime)
    last = await _stopped(tools, task, driver, runtime)
    return Past(last) if last else None


async def _forked(tools: Tools, task: Task, driver: Driver, runtime: str) -> Past | None:
    """The agent at whose end the checkpoint was taken that this task began as.

    Of a checkpoint in the middle only the files are known: the session went on.
    """
    if not driver.capabilities.fork:
        return None

    def read(tx: Tx) -> tuple[Checkpoint, Agent | None]:
        point = get_checkpoint(tx, get_task(tx, str(task.fork_of)), int(task.fork_point or 0))
        return point, agents.get_agent(tx, point.agent_id) if point.agent_id else None

    point, agent = await tools.store.read(read)
    if agent is None or not point.session_id or point.session_id != agent.session_id:
        return None
    if (agent.driver, agent.runtime) != (driver.name, runtime) or agent.ended_at is None:
        return None
    printed = await in_thread(RunDir(tools.run_dir(agent.id)).log_size)
    return Past(agent, fork=True) if printed == point.log_offset else None


async def _stopped(tools: Tools, task: Task, driver: Driver, runtime: str) -> Agent | None:
    """The agent of the attempt before, if it was stopped by no fault of its work, which was kept.

    One that had itself gone on with that session is left alone: the session may be at fault.
    """
    kept = task.result_commit or task.manages  # whose work is its workers
    if task.attempt < 2 or not driver.capabilities.resume or not kept:
        return None
    found = await tools.store.read(agents.list_agents, task_id=task.id)
    by_attempt = {agent.attempt: agent for agent in found if agent.role in _AT_WORK}
    last, before = (by_attempt.get(task.attempt - n) for n in (1, 2))
    if last is None or last.outcome not in _STOPPED or not last.session_id:
        return None
    if await tools.store.read(agents.is_of_another_task, task.id, last.session_id):
        return None  # A program says its session itself: it may name one that it saw elsewhere.
    if (last.driver, last.runtime) != (driver.name, runtime):
        return None
    again = before is not None and before.session_id == last.session_id
    return None if again else last


def moved(tools: Tools, past: Past, workspace: Workspace) -> tuple[str, ...]:
    """What a session that goes on here finds at another path than where it was begun."""
    runtime = tools.runtime(past.agent.runtime)
    carried = isinstance(runtime, Carries) and not runtime.stays(tools.run_dir(past.agent.id))
    if past.fork or carried:
        return ("workspace", "home")
    return () if str(workspace.tree) == past.agent.workspace else ("workspace",)


async def make_way(tools: Tools, task: Task, past: Past | None) -> str | None:
    """The workspace in whose folder this attempt can be, now closed; None when it cannot be."""
    if past is None or past.fork:
        return None
    try:
        await close(tools, past.agent.id, task.project_id, task.id)
    except (MusterError, OSError) as error:
        log.warning("workspace %s stays, so that a session begins anew: %s", past.agent.id, error)
        return None
    return past.agent.id


async def catch_up(runtime: Runtime, run_dir: Path, wish: asyncio.Event) -> None:
    """Before a run that goes on is followed again: know all that it was told, to tell it once.

    Who wishes it to end does not wait for a place that is away.
    """
    if not isinstance(runtime, Carries):
        return
    knows = asyncio.ensure_future(runtime.catch_up(run_dir))
    wished = asyncio.ensure_future(wish.wait())
    try:
        await asyncio.wait((knows, wished), return_when=asyncio.FIRST_COMPLETED)
        if knows.done():
            knows.result()
    finally:
        knows.cancel()
        wished.cancel()


def copy_home(past: Path, home: Path) -> None:
    """Have a home begin as a copy of another's, once; links stay links, and are not followed."""
    if home.exists() or not past.is_dir():
        return
    draft = home.with_name(f"{home.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(past, draft, symlinks=True, ignore=_only_files)
    draft.rename(home)


def _only_files(folder: str, names: list[str]) -> set[str]:
    """What is no file, folder or link stays where it is: a pipe would be waited for."""
    modes = {name: (Path(folder) / name).lstat().st_mode for name in names}
    kept = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return {name for name, mode in modes.items() if not any(is_(mode) for is_ in kept)}


def make_home(home: Path) -> None:
    """A home with its folder for temporary files; a link in that one's place is replaced."""
    temporary = home / "tmp"
    if temporary.is_symlink() or not temporary.is_dir():
        temporary.unlink(missing_ok=True)
    temporary.mkdir(parents=True, exist_ok=True, mode=0o700)


def put(folder: Path, path: Path, text: str) -> None:
    """Write a file of ours below an agent's folder; what stands in its way there is replaced."""
    make_room(folder, path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def make_room(folder: Path, path: Path) -> None:
    """Have nothing at a path below an agent's folder, and real folders above it.

    No link is followed: an agent may have put one where its successor's configuration goes.
    """
    inside = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    here = folder
    for part in inside:
        here /= part
        if here.is_symlink() or not here.is_dir():
            here.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
