"""What one agent may see, the values never to store, and which key opens which model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""Variables of the server's own environment that every run gets; everything else is left out."""

_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
_SHORTEST = 6


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


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Values that look secret by their names, so that no run's output can store them."""
    return tuple(
        sorted(
            {
                value
                for name, value in environ.items()
                if len(value) >= _SHORTEST and any(w in name.upper() for w in _SECRET_WORDS)
            }
        )
    )


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
