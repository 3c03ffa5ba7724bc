"""Where a setup command fetches packages from: its own words, else what its manager asks.

The package managers of this machine are asked themselves, without what their person configured:
a contained run does not see that either.
"""

from __future__ import annotations

import re
import shlex
import subprocess  # noqa: TID251 - a package manager of the person is asked, before there is any run
from collections.abc import Iterator
from urllib.parse import urlsplit

from muster.client.shapes import Project
from muster.settings import environment

_PIP = "from pip._internal.models.index import PyPI as p; print(p.netloc, p.file_storage_domain)"
_MANAGERS = (
    (r"pip3?|pipx|pipenv|uvx?|poetry|pdm|hatch|tox|nox", ("python3", "-I", "-c", _PIP)),
    (r"npm|npx|pnpm|yarn|bunx?", ("npm", "config", "get", "registry", "--userconfig", "/dev/null")),
    (r"go (?:mod|get|install|build|test|run|generate)", ("go", "env", "GOPROXY", "GOSUMDB")),
)
"""The words of a command that stand for a package manager, and what tells its usual hosts."""
_WORD = r"(?<![\w.\-]){}(?![\w.\-])"
_ANOTHER = re.compile(r"--index-url|--default-index|--registry|(?<!\S)-i[ =]|INDEX_URL=|REGISTRY=")
"""What says that another index stands in place of the usual one."""
_ADDRESS = re.compile(r"https?://[^\s'\"]+")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_USUAL = {"http": 80, "https": 443}
_UNCONTAINED = ("process", "tmux")
_PATIENCE = 20.0


def indexes_of(command: str) -> list[str]:
    """The hosts that a setup command most likely asks for packages, as rules of a network."""
    named = [place for text in _ADDRESS.findall(command) if (place := _place(text))]
    usual: list[str] = []
    if not (named and _ANOTHER.search(command)):
        for words, asks in _MANAGERS:
            if re.search(_WORD.format(f"(?:{words})"), command):
                usual += _usual_of(asks)
    return list(dict.fromkeys((*usual, *named)))


def line_to_open(project: Project) -> str:
    """What to say of a setup command whose package index cannot be reached; else nothing."""
    settings = project["settings"]
    command = settings.get("setup_command")
    is_open = settings.get("network") or settings.get("setup_network")
    if not command or is_open or settings.get("runtime") in _UNCONTAINED:
        return ""
    wanted = indexes_of(command)
    if not wanted:
        return ""
    return (
        f"Its setup command seems to fetch from {', '.join(wanted)}, which no contained run "
        f"reaches. To let it: muster project set {shlex.quote(project['name'])} "
        f"setup_network {','.join(wanted)}"
    )


def _usual_of(asks: tuple[str, ...]) -> Iterator[str]:
    """What a package manager says of its hosts; nothing where it is not here or says none."""
    env = {"PATH": environment().get("PATH", ""), "HOME": "/nonexistent", "GOENV": "off"}
    try:
        done = subprocess.run(
            asks, cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return
    words = re.split(r"[\s,|]+", done.stdout if done.returncode == 0 else "")
    places = (_place(word) if "://" in word else word for word in words)
    yield from (place for place in places if _HOST.fullmatch(place.partition(":")[0]))


def _place(address: str) -> str:
    """The rule that lets through to an address; empty where it has no host."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    text = f"[{host}]" if ":" in host else host
    return text if port in (None, _USUAL.get(parts.scheme)) else f"{text}:{port}"
