"""What is here and what is missing: agents, tools, the home, the port."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from muster.agents.base import Driver, Found
from muster.domain.errors import MusterError
from muster.runtimes.base import Runtime
from muster.settings import Settings, environment, load
from muster.wiring.home import prepare_home
from muster.wiring.plugins import KINDS, find, why
from muster.workspace.base import Backend
from muster.workspace.git import Git

Check = dict[str, str]
_OLDEST_GIT = (2, 38)


_NAMED = {"agents": "agent"}
"""How a check of a plugin begins, where that is not its kind."""


def diagnose(home: Path) -> list[Check]:
    """Every check as `{name, state: ok | warn | fail, text, fix}`; nothing is changed."""
    environ = environment()
    checks = [_python(), _git(), *_home(home)]
    try:
        settings = load(home, environ)
    except MusterError as error:
        return [*checks, _check("settings", "fail", error.detail, error.hint)]
    return [
        *checks,
        _port(settings),
        *_of("runtimes", home, _place),
        *_of("workspaces", home, lambda name, backend: _workspace(name, backend, home)),
        *_agents(settings, environ),
    ]


def _check(name: str, state: str, text: str, fix: str = "") -> Check:
    return {"name": name, "state": state, "text": text, "fix": fix}


def _python() -> Check:
    return _check("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _git() -> Check:
    fix = "install git 2.38 or newer"
    try:
        version = Git().version()
    except MusterError as error:
        return _check("git", "fail", error.detail, fix)
    shown = ".".join(map(str, version))
    good = tuple(version[:2]) >= _OLDEST_GIT
    return _check("git", "ok" if good else "fail", f"version {shown}", "" if good else fix)


def _home(home: Path) -> Iterator[Check]:
    try:
        prepare_home(home)
    except MusterError as error:
        yield _check("home", "fail", error.detail, error.hint)
        return
    free = shutil.disk_usage(home).free / 1e9
    yield _check(
        "home",
        "ok" if free > 1 else "warn",
        f"{home} is writable, {free:.1f} GB free",
        "" if free > 1 else "free some space: below 1 GB no new work is started",
    )
    database = home / "muster.db"
    if database.exists():
        yield _database(database)


def _database(path: Path) -> Check:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            answer = connection.execute("PRAGMA quick_check").fetchone()[0]
        connection.close()
    except sqlite3.Error as error:
        answer = str(error)
    if answer == "ok":
        return _check("database", "ok", f"{path.name} is whole")
    return _check("database", "fail", f"{path}: {answer}", "stop muster and restore a backup")


def _port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    if (settings.home / "server.json").exists():
        return _check("server", "ok", f"{settings.home / 'server.json'} names a running server")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return _check(
                "port", "warn", f"{where}: {error.strerror}", "muster up --port 0 takes a free one"
            )
    return _check("port", "ok", f"{where} is free")


def _of(group: str, home: Path, look: Callable[[str, Any], Check]) -> Iterator[Check]:
    """What is found of each part of each plugin; the fault of a stranger's is one more finding."""
    kind = _NAMED.get(group, KINDS[group])
    for plugin in find(group, home):
        if plugin.fault is not None:
            fix = f"mend or remove {plugin.distribution}"
            yield _check(f"{kind} {plugin.name}", "fail", plugin.error, fix)
        for name, part in sorted(plugin.parts.items()):
            try:
                yield look(name, part)
            except Exception as fault:  # noqa: BLE001 - a stranger's code; it is told
                yield _check(f"{kind} {name}", "fail", why(fault))


def _place(name: str, place: Runtime) -> Check:
    why_not = place.available()
    text = why_not or f"can run agents here; {place.describe()}"
    return _check(f"runtime {name}", "warn" if why_not else "ok", text)


def _workspace(name: str, backend: Backend, home: Path) -> Check:
    why_not = backend.available(home)
    text = why_not or "can make workspaces here"
    return _check(f"workspace {name}", "warn" if why_not else "ok", text)


def _driver(name: str, found: Found) -> Check:
    if found.path is None:
        return _check(f"agent {name}", "warn", "not found", found.hint)
    signed = {True: "signed in", False: "not signed in", None: ""}[found.signed_in]
    parts = [found.version, found.path, signed]
    state = "warn" if found.signed_in is False else "ok"
    return _check(f"agent {name}", state, ", ".join(filter(None, parts)), found.hint)


def _agents(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    home, drivers = settings.home, dict[str, Driver]()

    def look(name: str, driver: Driver) -> Check:
        drivers[name] = driver
        return _driver(name, driver.find(environ))

    yield from _of("agents", home, look)
    for name, options in sorted(settings.agents.items()):
        yield _own_agent(name, options, drivers, environ)


def _own_agent(
    name: str, options: Mapping[str, Any], drivers: Mapping[str, Driver], environ: Mapping[str, str]
) -> Check:
    driver = str(options.get("driver", "command"))
    if driver not in drivers:
        known = ", ".join(sorted(drivers))
        return _check(f"agent {name}", "fail", f"no driver '{driver}'", f"drivers: {known}")
    command = options.get("command")
    program = command[0] if isinstance(command, list) and command else None
    if program and shutil.which(str(program), path=environ.get("PATH", os.defpath)) is None:
        return _check(f"agent {name}", "fail", f"'{program}' is not found", "correct its command")
    return _check(f"agent {name}", "ok", f"own agent on {driver}")
