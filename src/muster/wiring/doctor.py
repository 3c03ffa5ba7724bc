"""What is here and what is missing: agents, models, tools, the home, the port."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from muster.agents.base import Driver, Found
from muster.agents.presets import NAMED, find_preset
from muster.domain.errors import MusterError
from muster.runtimes import cgroups
from muster.runtimes.base import Runtime
from muster.runtimes.choice import choose
from muster.settings import Settings, environment, load
from muster.store.sqlite_library import beside, library
from muster.wiring.home import prepare_home
from muster.wiring.models import looked_at
from muster.wiring.notices import made
from muster.wiring.plugins import KINDS, Plugin, find, why
from muster.wiring.view import why_not
from muster.workspace.base import Backend
from muster.workspace.choice import in_order
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
        _usual(home),
        _limits(),
        *_workspaces(settings),
        *_agents(settings, environ),
        *_models(settings),
        *_notifiers(settings),
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
        with beside(path) as connection:
            answer = connection.execute("PRAGMA quick_check").fetchone()[0]
    except library().Error as error:
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
    """What is found of each part of each plugin; the fault of a stranger's is one more finding.

    They are looked at side by side: some programs take seconds to tell their version.
    """
    kind = _NAMED.get(group, KINDS[group])

    def found(name: str, part: Any) -> Check:
        try:
            return look(name, part)
        except Exception as fault:  # noqa: BLE001 - a stranger's code; it is told
            return _check(f"{kind} {name}", "fail", why(fault))

    with ThreadPoolExecutor() as pool:
        looks = [
            (plugin, [pool.submit(found, *part) for part in sorted(plugin.parts.items())])
            for plugin in find(group, home)
        ]
    for plugin, looked in looks:
        if broken := _fault(plugin):
            yield broken
        yield from (one.result() for one in looked)


def _fault(plugin: Plugin) -> Check | None:
    """That a plugin gives nothing, and why."""
    if plugin.fault is None:
        return None
    kind = _NAMED.get(plugin.group, KINDS[plugin.group])
    fix = f"mend or remove {plugin.distribution}"
    return _check(f"{kind} {plugin.name}", "fail", plugin.error, fix)


def _place(name: str, place: Runtime) -> Check:
    why_not = place.available()
    text = why_not or f"can run agents here; {place.describe()}"
    return _check(f"runtime {name}", "warn" if why_not else "ok", text)


def _usual(home: Path) -> Check:
    """Where agents run of which nothing else is said."""
    places = {n: part for one in find("runtimes", home) for n, part in one.parts.items()}
    usual = choose(places)
    return _check("agents run", "warn" if usual.why else "ok", usual.told(), usual.mend)


def _limits() -> Check:
    """What keeps each run small in the places of this machine."""
    names = {"memory": "memory", "pids": "processes", "cpu": "processor time (cpus)"}
    can = cgroups.limited()
    lacking = ", ".join(name for key, name in names.items() if key not in can)
    disk = "what it writes into its own folders is counted now and then (disk_mb)"
    if lacking:
        text = f"{lacking} of a run not limited, as no cgroup for that may be written to; {disk}"
        fix = "run the server as root, or as a service with Delegate=yes"
        return _check("limits", "warn", text, fix)
    text = f"memory, processes and processor time of a run by cgroups; {disk}"
    return _check("limits", "ok", text)


def _workspaces(settings: Settings) -> Iterator[Check]:
    """Each way in the order in which they are tried; what is not needed is no reason to warn."""
    found = list(find("workspaces", settings.home))
    yield from filter(None, map(_fault, found))
    backends: dict[str, Backend] = {n: part for one in found for n, part in one.parts.items()}
    wanted, where = settings.workspace_backend, settings.workspaces
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        yield _check("workspaces", "fail", f"{where}: {error.strerror}", "name another folder")
        return
    taken = False
    for name in in_order(backends):
        try:
            reason = why_not(backends[name], where)
        except Exception as fault:  # noqa: BLE001 - a stranger's code; it is told
            yield _check(f"workspace {name}", "fail", why(fault))
            continue
        asked = not taken and wanted in {"auto", name}
        text = f"can make workspaces here{', and does' if asked else ''}"
        fix = 'set workspace_backend = "auto", or mend that' if asked and wanted == name else ""
        state = "ok" if not reason or not asked else "fail" if fix else "warn"
        shown = f"not here: {reason}" if reason else text
        yield _check(f"workspace {name}", state, shown, fix if reason else "")
        taken = taken or (asked and not reason)
    if wanted != "auto" and wanted not in backends:
        known = ", ".join(sorted(backends))
        yield _check(
            f"workspace {wanted}", "fail", "no such workspace backend", f"there are: {known}"
        )


def _driver(name: str, found: Found) -> Check:
    if found.path is None:
        return _check(f"agent {name}", "warn", "not found", found.hint)
    signed = {True: "signed in", False: "not signed in", None: ""}[found.signed_in]
    parts = [found.version, found.path, signed]
    old = found.too_old()
    state = "warn" if old or found.signed_in is False else "ok"
    fix = "; ".join(filter(None, (f"update it: {found.install}" if old else "", found.hint)))
    return _check(f"agent {name}", state, ", ".join(filter(None, [*parts, old])), fix)


def _agents(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    home, drivers = settings.home, dict[str, Driver]()

    def look(name: str, driver: Driver) -> Check:
        drivers[name] = driver
        return _driver(name, driver.find(environ))

    yield from _of("agents", home, look)
    named = [preset for name, preset in sorted(NAMED.items()) if name not in settings.agents]
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda preset: find_preset(preset, environ), named)
        yield from (_driver(p.name, one) for p, one in zip(named, found, strict=True))
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


def _notifiers(settings: Settings) -> Iterator[Check]:
    """Whether each notifier that is configured can be made; nobody is told anything."""
    yield from filter(None, map(_fault, find("notifiers", settings.home)))
    for name, one in made(settings):
        if isinstance(one, MusterError):
            yield _check(f"notifier {name}", "fail", one.detail, one.hint)
        else:
            text = f"is told of {', '.join(sorted(one.kinds))}"
            yield _check(f"notifier {name}", "ok", text)


def _models(settings: Settings) -> Iterator[Check]:
    """The models that are configured; none is needed, so that what is here is only told of."""
    for plugin in find("models", settings.home):
        if broken := _fault(plugin):
            yield broken
    found = looked_at(settings)
    for name, health in found:
        state = "ok" if health.ok else "warn"
        yield _check(f"model {name}", state, health.text, health.fix)
    if not found:
        text = "none is configured and none was found here; muster works by its rules alone"
        yield _check("models", "ok", text)
