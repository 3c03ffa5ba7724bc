"""Hosts for agents over SSH, as a person manages them: look, trust, list, forget."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from muster.domain.errors import Unavailable
from muster.runtimes.ssh_hosts import Host, forget, hosts, keep, parse_address
from muster.wiring.home import prepare_home

__all__ = ["forget", "known", "look", "trust"]


def _wire() -> Any:
    if importlib.util.find_spec("asyncssh") is None:
        raise Unavailable("asyncssh is not installed", hint="pip install 'passmuster[ssh]'")
    return importlib.import_module("muster.runtimes.ssh_wire")


def look(name: str, address: str, key: str) -> tuple[Host, str]:
    """The host with the key that it shows now, and that key's fingerprint; nothing is kept.

    Raises:
        Invalid: the name or address cannot be one.
        Unreachable: nobody answers there.
    """
    wire = _wire()
    host = parse_address(name, address, str(Path(key).expanduser().absolute()) if key else "")
    shown = asyncio.run(wire.show_key(host))
    return replace(host, host_key=shown), wire.fingerprint(shown)


def trust(home: Path, host: Host) -> dict[str, Any]:
    """Keep a host once its helper has answered there; what it said.

    Raises:
        Refused: it does not let us in, or cannot run agents; the message says why.
    """
    told: dict[str, Any] = asyncio.run(_hello(host))
    prepare_home(home)
    keep(home, host)
    shown = ("python", "git", "root", "place", "how")
    return {"name": host.name, **{key: told[key] for key in shown}}


async def _hello(host: Host) -> dict[str, Any]:
    wire = _wire().Wire(host)
    try:
        await wire.open()
        hello: dict[str, Any] = wire.hello
        return hello
    finally:
        await wire.close()


def known(home: Path) -> list[dict[str, Any]]:
    """Every host of a home."""
    return [
        {
            "name": host.name,
            "where": f"{host.user}@{host.address}:{host.port}".removeprefix("@"),
            "fingerprint": _wire().fingerprint(host.host_key),
        }
        for host in hosts(home).values()
    ]
