"""Names under which secrets are kept: of variables, as programs and people give them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from muster.domain.redact import SHORTEST

_WITHIN = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL")
_LAST = frozenset({"PASS", "PWD", "PAT", "DSN", "AUTH", "COOKIE", "COOKIES", "JWT", "HEADERS"})
"""Words that make a name a secret's where they end it: `DB_PASS`, and not `PASS_COUNT`."""
_WHOLE = frozenset({"DOCKER_AUTH_CONFIG"})
_ORDINARY = frozenset({"PWD", "OLDPWD"})
_WORDS = re.compile(r"[^A-Z0-9]+")


def names_secret(name: str) -> bool:
    """Whether what is kept under this name is a secret."""
    upper = name.upper()
    if upper in _ORDINARY:
        return False
    last = _WORDS.split(upper)[-1]
    return upper in _WHOLE or last in _LAST or any(word in upper for word in _WITHIN)


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of an environment that are secrets by their names, each once and sorted."""
    found = {v for name, v in environ.items() if len(v) >= SHORTEST and names_secret(name)}
    return tuple(sorted(found))
