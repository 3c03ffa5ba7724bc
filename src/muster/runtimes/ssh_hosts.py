"""The machines that a person added to be reached by SSH, each with the host key it showed then."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from muster.domain.errors import Invalid, NotFound
from muster.runtimes.layout import write_at_once

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ADDRESS = re.compile(r"(?:(?P<user>[A-Za-z0-9_.-]+)@)?(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+)"
                      r"(?::(?P<port>\d{1,5}))?")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. `host_key` is its public key as a line of OpenSSH; `key` our private key's file.

    Without `key` the person's own SSH agent and default keys are used. What is `contained` runs in
    a sandbox there, where that machine can make one.
    """

    name: str
    address: str
    port: int = 22
    user: str = ""
    host_key: str = ""
    key: str = ""
    contained: bool = True


def parse_address(name: str, text: str, key: str = "") -> Host:
    """A host from `USER@ADDRESS:PORT`.

    Raises:
        Invalid: the name or the address cannot be one; the hint says what they look like.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} cannot name a host", hint="use small letters, digits and -, as big-box"
        )
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 22) < 65536 or found["host"][0] == "-":
        raise Invalid(f"{text[:200]!r} is no address", hint="it reads USER@HOST or USER@HOST:PORT")
    if key and not Path(key).is_file():
        raise Invalid(f"there is no private key at {key}", hint="make one: ssh-keygen -t ed25519")
    return Host(
        name, found["host"].strip("[]"), int(found["port"] or 22), found["user"] or "", key=key
    )


def folder_of(home: Path) -> Path:
    """Where a home keeps its hosts."""
    return home / "ssh"


def hosts(home: Path) -> dict[str, Host]:
    """All hosts of a home, by name.

    Raises:
        Invalid: a file there is no host.
    """
    folder = folder_of(home)
    if not folder.is_dir():
        return {}
    return {path.stem: load(path) for path in sorted(folder.glob("*.json"))}


def load(path: Path) -> Host:
    """One host from its file.

    Raises:
        Invalid: the file is none of ours.
    """
    try:
        said = json.loads(path.read_bytes())
        # Hosts of older versions do not say it.
        said = {"contained": True, **said}
        return Host(**{field.name: said[field.name] for field in fields(Host)})
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Invalid(
            f"{path} does not hold a host", hint="remove it and add the host again"
        ) from error


def keep(home: Path, host: Host) -> Path:
    """Trust a host from now on with the key that it has; the file that says so."""
    folder = folder_of(home)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_at_once(str(folder), f"{host.name}.json", json.dumps(asdict(host), indent=1).encode())
    return folder / f"{host.name}.json"


def forget(home: Path, name: str) -> None:
    """Trust a host no longer.

    Raises:
        NotFound: there is none of that name.
    """
    if not NAME.fullmatch(name) or name not in hosts(home):
        known = ", ".join(hosts(home)) or "none"
        raise NotFound(f"there is no host '{name[:80]}'", hint=f"hosts: {known}")
    (folder_of(home) / f"{name}.json").unlink()
