"""The counter's part for debug bundles: all that is known of one task, for somebody elsewhere.

It is a copy without secrets; what is too much is cut at its beginning, and the manifest says so.
"""

from __future__ import annotations

import asyncio
import json
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module, metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from muster.agents.options import environments
from muster.domain.agent import Agent
from muster.domain.redact import Redactor
from muster.domain.secret_names import secrets_in
from muster.domain.task import Task
from muster.notify.base import OWN_OPTIONS
from muster.runtimes.rundir import RunDir
from muster.service import shapes
from muster.service.projects import Projects
from muster.service.queue import Queue
from muster.service.tasks import Tasks
from muster.service.watching import Watching
from muster.settings import Settings
from muster.store import agents, events, judgements, tasks
from muster.store.base import Tx
from muster.store.projects import ProjectRow
from muster.store.rows import decision_json
from muster.vault import secrets_of_person, secrets_of_url

if TYPE_CHECKING:
    from muster.service.tarball import Tarball

LOG_BYTES = 1_000_000
CHECK_BYTES = 200_000
SMALL_BYTES = 256_000
MOST_EVENTS = 20_000
MOST_AGENTS = 40
MOST_CHECKS = 40
_PAGE = 1000
_RECORDS = ("spec.json", "exit.json", "shim.json", "place.json", "refused")
_UNSAID = frozenset({"environ", "agents", "notify", "project_defaults", "project_environment"})
_SHOWN_VALUES = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "TERM", "SHELL", "PYTHONPATH"})


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store has of one task."""

    task: Task
    project: ProjectRow
    agents: Sequence[Agent]
    breakpoints: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    others: Sequence[str]
    own_agents: Mapping[str, Any]


class Bundles(Tasks, Projects, Queue, Watching):
    """Everything a door can ask about bundles."""

    async def debug_bundle(self, ref: str) -> tuple[str, IO[bytes]]:
        """A task's bundle: its name, and an open file that vanishes when it is closed.

        Raises:
            NotFound: there is no such task.
            NoRoom: the disk has none for it.
        """
        known = await self._store.read(self._known, ref)
        about = {
            "task.json": await self.get_task(known.task.id),
            "breakpoints.json": known.breakpoints,
            "decisions.json": known.decisions,
            "project.json": await self.get_project(known.project.id),
            "health.json": await self.health(),
            "queue.json": await self.get_queue(),
            "settings.json": _settings_shape(self._own.settings),
            "versions.json": await asyncio.to_thread(_versions, self._own.version),
            "doctor.json": await asyncio.to_thread(self._own.checkup),
        }
        name = f"muster-debug-{known.task.label}"
        cache = self._own.settings.home / "cache"
        file = tempfile.TemporaryFile(dir=cache)  # noqa: SIM115 (it is given out)
        try:
            redactor = await asyncio.to_thread(self._redactor, known)
            packing: Any = import_module("muster.service.tarball")  # few servers ever pack one
            bundle: Tarball = packing.Tarball(file, name, redactor, self._own.clock())
            for part, value in about.items():
                await asyncio.to_thread(bundle.document, part, value)
            await self._put_events(bundle, known.task)
            await asyncio.to_thread(self._put_files, bundle, known)
            said = {"task": known.task.id, "made_at": shapes.moment(self._now())}
            await asyncio.to_thread(bundle.close, said)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return f"{name}.tar.gz", file

    def _known(self, tx: Tx, ref: str) -> _Known:
        task = tasks.get_task(tx, ref)
        project = self._project(tx, task)
        asked = judgements.list_breakpoints(tx, task_id=task.id, open_only=False)
        live = agents.list_agents(tx, live_only=True, limit=200)
        return _Known(
            task,
            project,
            agents.list_agents(tx, task_id=task.id, limit=200),
            [shapes.breakpoint_shape(b, task, 0) for b in asked],
            [
                {"verdict": v.id, "attempt": v.attempt, **decision_json(v.decision)}
                for v in judgements.verdicts_of(tx, task.id)
            ],
            [agent.id for agent in live],
            project.file_settings.get("agents", {}),
        )

    def _redactor(self, known: _Known) -> Redactor:
        """What knows every secret that this server can know of."""
        own = self._own.settings
        found = set(secrets_of_person(own.environ)) | secrets_of_url(own.database_url)
        for given in environments((*own.agents.values(), *known.own_agents.values())):
            found |= {*secrets_in(given), *(s for v in given.values() for s in secrets_of_url(v))}
        for name in ("token", "agents.key"):
            path = own.home / name
            found |= {path.read_text("utf-8").strip()} if path.is_file() else set()
        addresses = (str(given.get("url", "")) for given in own.notify.values())
        found |= {urlsplit(address).path for address in addresses}
        ids = {agent.id for agent in known.agents} | set(known.others)
        found |= {self._own.agent_token(agent_id) for agent_id in ids}
        return Redactor.of(found)

    async def _put_events(self, bundle: Tarball, task: Task) -> None:
        """The events of a task, the newest where there are more than enough."""
        found = await self._store.read(events.newest, MOST_EVENTS, task.id)
        lines = (json.dumps(shapes.event_shape(e)) + "\n" for e in found)
        text = "".join(lines).encode()
        await asyncio.to_thread(
            bundle.end_of, "events.jsonl", len(text), lambda a, n: text[a : a + n], 8 * LOG_BYTES
        )

    def _put_files(self, bundle: Tarball, known: _Known) -> None:
        home = self._own.settings.home
        bundle.end_of_file("server.log", home / "server.log", LOG_BYTES)
        bundle.end_of_file("breakpoints.yaml", home / "breakpoints.yaml", SMALL_BYTES)
        for n, agent in enumerate(known.agents):
            if n >= MOST_AGENTS:
                bundle.leave_out(f"runs/{agent.id}", f"only the newest {MOST_AGENTS} are here")
                continue
            folder = self._own.settings.runs / agent.id
            _put_run(bundle, f"runs/{agent.id}", folder, LOG_BYTES)
            for name in ("prompt.md", "result.json"):
                bundle.end_of_file(f"runs/{agent.id}/{name}", folder / "agent" / name, SMALL_BYTES)
            for check in _checks(folder):
                _put_run(bundle, f"runs/{agent.id}/checks/{check.name}", check, CHECK_BYTES)


def _checks(folder: Path) -> list[Path]:
    """The run directories of an agent's checks, the newest first."""
    try:
        found = [path for path in (folder / "checks").iterdir() if (path / "spec.json").is_file()]
    except OSError:  # it has none
        return []
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_CHECKS]


def _put_run(bundle: Tarball, name: str, folder: Path, most: int) -> None:
    for record in _RECORDS:
        bundle.end_of_file(f"{name}/{record}", folder / record, SMALL_BYTES)
    run = RunDir(folder)
    for stream in ("out", "err"):
        size = run.size(stream)
        if size:
            bundle.end_of(f"{name}/{stream}", size, _reader(run, stream), most)


def _reader(run: RunDir, stream: str) -> Callable[[int, int], bytes]:
    """All that is kept of a stream in a stretch of it; what was dropped is marked."""

    def pieces(offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            piece = run.read(stream, offset, end - offset)
            if not piece.data:
                return
            if piece.offset > offset:
                yield b"\n[%d bytes were not kept]\n" % (piece.offset - offset)
            yield piece.data
            offset = piece.offset + len(piece.data)

    return lambda offset, length: b"".join(pieces(offset, length))


def _settings_shape(own: Settings) -> dict[str, Any]:
    """The server's settings; of the environment only the names, but for a few plain values."""
    plain = {f.name: getattr(own, f.name) for f in fields(own) if f.name not in _UNSAID}
    return {
        **{name: str(v) if isinstance(v, Path) else v for name, v in plain.items()},
        "project_defaults": dict(own.project_defaults),
        "project_environment": dict(own.project_environment),
        "agents": {name: _without_values(options) for name, options in own.agents.items()},
        "notify": {name: _of_notifier(options) for name, options in own.notify.items()},
        "environment": {
            name: value if name in _SHOWN_VALUES else "***"
            for name, value in sorted(own.environ.items())
        },
    }


def _without_values(options: Mapping[str, Any]) -> dict[str, Any]:
    env = options.get("env")
    hidden = {"env": dict.fromkeys(map(str, env), "***")} if isinstance(env, Mapping) else {}
    return {**options, **hidden}


def _of_notifier(options: Mapping[str, Any]) -> dict[str, Any]:
    """Its options without what they say, which is a plugin's: the path of an address is a key."""
    return {name: value if name in OWN_OPTIONS else "***" for name, value in options.items()}


def _versions(own: str) -> dict[str, Any]:
    required = metadata.requires("passmuster") or []
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in required}
    found: dict[str, str] = {}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {
        "muster": own,
        "python": sys.version,
        "system": platform.platform(),
        "packages": found,
    }
