"""Asking an address over HTTP that a person named, and nobody else who it might name."""

from __future__ import annotations

import urllib.request
from typing import Any

from typing_extensions import override

from muster.domain.plain import plain_line


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: a key, or what is signed, is for this address alone."""

    @override
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def why_silent(error: OSError | ValueError) -> str:
    """Why there is no answer, in a line."""
    reason = getattr(error, "reason", error)
    return plain_line(getattr(reason, "strerror", None) or str(reason))
