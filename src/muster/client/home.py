"""Where the server of a home answers: its `server.json` and its `token`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from muster.domain.errors import NotSignedIn, Unreachable


class Running(NamedTuple):
    """What a running server wrote into its home."""

    url: str
    pid: int


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine; one only not yet buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
    return told.rpartition(")")[2].split()[0] not in {"Z", "X"}


def running_server(home: Path) -> Running | None:
    """The server that runs on this home, or None; a file left by a killed one does not count."""
    try:
        document = json.loads((home / "server.json").read_bytes())
        found = Running(_reachable(str(document["url"])), int(document["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.pid > 0 and is_alive(found.pid) else None


def _reachable(url: str) -> str:
    """The address to call: a server that listens on every address is called on the loopback one."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def find_server(home: Path) -> Running:
    """The server that runs on this home.

    Raises:
        Unreachable: none does.
    """
    found = running_server(home)
    if found is None:
        raise Unreachable(
            f"no server runs for the home {home}", hint=f"start it: muster --home {home} up"
        )
    return found


def read_token(home: Path) -> str:
    """The token of this home's first user.

    Raises:
        NotSignedIn: there is none, or this user may not read it.
    """
    try:
        token = (home / "token").read_text().strip()
    except OSError as error:
        raise NotSignedIn(
            f"the token in {home} cannot be read: {error.strerror}",
            hint="give a token in MUSTER_TOKEN",
        ) from error
    if not token:
        raise NotSignedIn(f"the token in {home} is empty", hint="start the server again")
    return token
