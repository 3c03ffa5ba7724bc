"""What one agent may see: an environment built from nothing, and the values never to store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
