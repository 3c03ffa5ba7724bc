"""The lists that scripts and status lines ask for all the time, without reading a command line.

`muster task list --json` and `muster agent list --json`, with `--home` at most, are answered with
what the server says over one plain connection. Whatever is not as plain as that (another option, a
server elsewhere, an answer that is no list) goes the long way, which also says what is wrong.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping

_LISTS = {"task list": "/api/tasks?", "agent list": "/api/agents?"}
_ELSEWHERE = ("MUSTER_URL", "MUSTER_TOKEN")
_SAFE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~"
_SECONDS = 10.0
_LARGEST = 64_000_000


def answer(given: list[str], environ: Mapping[str, str]) -> str | None:
    """What to print, or None when the long way has to be gone."""
    home, words = _read(given, environ)
    route = _LISTS.get(" ".join(words))
    if not home or not route or any(environ.get(name) for name in _ELSEWHERE):
        return None
    try:
        with open(f"{home}/server.json", "rb") as file:  # noqa: PTH123 - pathlib takes as long
            port = _port(json.load(file)["url"])
        with open(f"{home}/token", encoding="ascii") as file:  # noqa: PTH123
            token = file.read().strip()
        with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as line:
            if words[0] == "task":
                where = _quoted(os.getcwd())  # noqa: PTH109 - as above
                here = _get(line, token, f"/api/projects?path={where}")["items"]
                route += f"project={_quoted(here[0]['id'])}&" if here else ""
            page = _get(line, token, f"{route}limit=100")
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return json.dumps(page, indent=2 if sys.stdout.isatty() else None) + "\n"


def _read(given: list[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The state folder and the other words; no words when there is more than is known here."""
    home, words, rest = environ.get("MUSTER_HOME") or _usual(environ), list[str](), iter(given)
    for word in rest:
        if word == "--home":
            home = next(rest, "")
        elif word != "--json":
            words.append(word)
    return home, words if "--json" in given else []


def _usual(environ: Mapping[str, str]) -> str:
    """The state folder of a user who named none, where that is told by two variables."""
    if sys.platform != "linux" or not environ.get("HOME"):
        return ""
    data = environ.get("XDG_DATA_HOME", "").strip() or f"{environ['HOME']}/.local/share"
    return f"{data}/muster"


def _port(url: str) -> int:
    """The port of a server of this machine."""
    host, _, port = url.removeprefix("http://").partition(":")
    if host not in {"127.0.0.1", "0.0.0.0"}:  # noqa: S104 - compared with
        raise ValueError(url)
    return int(port)


def _quoted(text: str) -> str:
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in os.fsencode(text))


def _get(line: socket.socket, token: str, path: str) -> dict[str, list[dict[str, str]]]:
    """One answer, which must be a page of things."""
    line.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{line.getpeername()[1]}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode("ascii")
    )
    head, body = b"", b""
    while b"\r\n\r\n" not in head and len(head) < _LARGEST:
        head += _more(line)
    head, _, body = head.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").lower().split("\r\n")
    lengths = (int(f.partition(":")[2]) for f in fields if f.startswith("content-length:"))
    length = next(lengths, 0)
    if first.split(" ")[1] != "200" or length > _LARGEST:
        raise ValueError(first)
    while len(body) < length:
        body += _more(line)
    page = json.loads(body)
    if not isinstance(page["items"], list):
        raise TypeError(path)
    found: dict[str, list[dict[str, str]]] = page
    return found


def _more(line: socket.socket) -> bytes:
    data = line.recv(1 << 16)
    if not data:
        raise ConnectionError("the answer is cut off")
    return data
