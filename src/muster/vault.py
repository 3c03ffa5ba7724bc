"""What one agent may see, the values never to store, and which key opens which model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from muster.domain.redact import SHORTEST
from muster.domain.secret_names import names_secret, secrets_in

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""Variables of the server's own environment that every run gets; everything else is left out."""

_LOGINS = (
    *("~/.claude/.credentials.json", "~/.codex/auth.json", "~/.qwen/oauth_creds.json"),
    *("~/.gemini/oauth_creds.json", "~/.gemini/google_accounts.json"),
    *("~/.local/share/opencode/auth.json", "~/.config/gh/hosts.yml"),
    *("~/.netrc", "~/.git-credentials"),
)
"""Files in a person's home that sign them in somewhere."""
_LOGIN_WORDS = ("ACCESS", "REFRESH")
_LARGEST_LOGIN = 256 * 1024
_SHORTEST_LOGIN = 12  # `token_type` is no secret
_SAID = re.compile(r"(?:password|token|secret)[\"']?\s*[:=]?\s*[\"']?([^\s\"']{6,})")


def environment(
    environ: Mapping[str, str], home: Path, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of one run, with a home and a temporary folder of its own."""
    kept = {name: environ[name] for name in PASSED_ON if name in environ}
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "USER": "muster",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(extra or {}),
    }


def secrets_of_person(environ: Mapping[str, str]) -> frozenset[str]:
    """All that the server could know by heart: in its environment, in URLs there, in logins."""
    found = set(secrets_in(environ))
    for value in environ.values():
        found |= secrets_of_url(value)
    for path in login_files(environ):
        try:
            text = path.read_bytes()[:_LARGEST_LOGIN].decode("utf-8", "replace")
        except OSError:  # it is not there, or not ours to read: then no agent was lent it either
            continue
        found |= set(_of_login(text))
    return frozenset(value for value in found if len(value.strip()) >= SHORTEST)


def login_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the person's logins lie, of the programs that muster knows and of git."""
    folders = {"~/.claude": "CLAUDE_CONFIG_DIR", "~/.codex": "CODEX_HOME"}
    places = []
    for name in _LOGINS:
        folder, _, file = name.rpartition("/")
        if given := environ.get(folders.get(folder, "")):
            places.append(Path(given, file))
        elif home := environ.get("HOME"):
            places.append(Path(home, name.removeprefix("~/")))
    return tuple(places)


def secrets_of_url(text: str) -> frozenset[str]:
    """What stands before the `@` of a URL: its password, and its user where that is all."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return frozenset()
    given = parts.password or parts.username
    if "://" not in text or not given or len(given) < SHORTEST:
        return frozenset()
    return frozenset({given, unquote(given)})


def _of_login(text: str) -> Iterator[str]:
    try:
        yield from _told(json.loads(text), "")
    except (ValueError, RecursionError):
        yield from _SAID.findall(text)
        for word in text.split():
            yield from secrets_of_url(word)


def _told(said: Any, name: str) -> Iterator[str]:
    if isinstance(said, dict):
        for key, value in said.items():
            yield from _told(value, key)
    elif isinstance(said, str) and _names_login(name):
        yield from [said] if len(said.strip()) >= _SHORTEST_LOGIN else []


def _names_login(name: str) -> bool:
    return names_secret(name) or any(word in name.upper() for word in _LOGIN_WORDS)


def model_key(environ: Mapping[str, str], kind: str, url: str, own: str) -> str:
    """The key for a model's service, or nothing.

    The well-known variable of a kind (`ANTHROPIC_API_KEY`) goes to the kind's own service alone;
    any other address has a variable of its own, so that a key never goes where a setting points.
    """
    name = f"{_as_variable(kind)}_API_KEY" if own and url == own else key_variable(url)
    return environ.get(name, "").strip()


def key_variable(url: str) -> str:
    """The variable with the key for an address: `MUSTER_KEY_HOST` or `MUSTER_KEY_HOST_PORT`."""
    return f"MUSTER_KEY_{_as_variable(urlsplit(url).netloc)}"


def _as_variable(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
