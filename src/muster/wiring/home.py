"""The home folder: made private, held by one server at a time, with its token."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from muster.domain.errors import Unavailable
from muster.whole_file import write_whole

_KEY_CHARACTERS = 43


def prepare_home(home: Path) -> None:
    """Make the home, for this user alone.

    Raises:
        Unavailable: it cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".probe-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise Unavailable(
            f"the home {home} cannot be written: {error.strerror}",
            hint="make it writable, or name another folder with --home or MUSTER_HOME",
        ) from error
    for name in ("runs", "cache"):
        (home / name).mkdir(exist_ok=True, mode=0o700)


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock for as long as the server lives.

    Raises:
        Unavailable: another server holds it.
    """
    descriptor = os.open(home / "server.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another muster runs on the home {home}{_who(home)}",
                hint="use it, stop it with 'muster down', or name another home with --home",
            ) from error
        yield
    finally:
        os.close(descriptor)


def _who(home: Path) -> str:
    try:
        found = json.loads((home / "server.json").read_text())
        return f" (process {found['pid']}, {found['url']})"
    except (OSError, ValueError, KeyError):
        return ""


def token_of(home: Path) -> str:
    """The first user's token; made at the first start, whole or not at all."""
    path = home / "token"
    if path.exists() and (found := path.read_text().strip()):
        return found
    token = secrets.token_urlsafe(32)
    write_whole(path, f"{token}\n".encode())
    return token


def key_of(home: Path) -> bytes:
    """The secret of which the tokens of agents are made; made at the first start."""
    path = home / "agents.key"
    if path.exists() and len(found := path.read_text().strip()) >= _KEY_CHARACTERS:
        return found.encode()
    write_whole(path, f"{secrets.token_urlsafe(32)}\n".encode())
    return key_of(home)


def port_before(home: Path) -> int:
    """The free port that the last server of this home took, 0 for none."""
    try:
        port = int((home / "port").read_text())
    except (OSError, ValueError):
        return 0
    return port if 1024 <= port < 65536 else 0
