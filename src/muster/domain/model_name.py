"""How a model is written in the settings: `KIND`, `KIND:MODEL` or `KIND:MODEL@URL`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from muster.domain.errors import Invalid

_LONGEST = 500
_WRITTEN = re.compile(
    r"(?P<kind>[a-z][a-z0-9_-]{0,40})(?::(?P<model>[^@]+))?(?:@(?P<url>https?://\S+))?"
)
_EXAMPLES = "ollama:qwen3:8b, openai:NAME@http://127.0.0.1:8080/v1, anthropic:NAME"


def split_model(text: str) -> tuple[str, str, str]:
    """Its kind, model and address, each as written; what is left out is empty.

    Raises:
        Invalid: it names no model, or an address that cannot be one or that holds a key.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or len(text) > _LONGEST or not text.isprintable():
        raise Invalid(f"{text[:80]!r} names no model", hint=f"for example {_EXAMPLES}")
    kind, model, url = found["kind"], (found["model"] or "").strip(), found["url"] or ""
    if url and not _is_address(url):
        raise Invalid(
            f"the address of {kind}:{model} cannot be one",
            hint="http://HOST:PORT or https://HOST, without user, key or question mark",
        )
    return kind, model, url.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and not (parts.username or parts.password or parts.query or parts.fragment)
