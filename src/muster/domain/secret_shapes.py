"""Secrets known by their looks alone: the net beneath `redact`, which knows values.

For texts that leave this machine or are kept for long, a bundle for somebody else or a log. What
stands where a secret usually stands is hidden, so that it hides too much rather than too little.
"""

from __future__ import annotations

import re

_MASK = b"***"
_IN_URL = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]{0,20}:(?:\\*/){2})[^\s/@\\\"'<>]{1,512}@")
_HEADER = re.compile(
    rb"\b(bearer|basic|token)(\s+)(?=\S*[0-9])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE
)
_JWT = re.compile(rb"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_PEM = re.compile(
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^\"'<>{}]*?"
    rb"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|(?=[\"'<>{}])|\Z)"
)
_NAMED = re.compile(
    rb"((?:key|token|secret|passw(?:or)?d|passphrase|credential|cookie|_session|authorization)"
    rb"[A-Za-z0-9_.-]{0,40}\\*[\"']?\s{0,4}(?:=>?|:)\s{0,4}(\\*[\"'])?)"
    rb"([^\s\"'\\,;&}\])]{6,})",
    re.IGNORECASE,
)
_NUMBER = re.compile(rb"-?[\d.]+")


def without_shapes(data: bytes) -> bytes:
    """`data` without what looks like a secret: in a URL, a header, after a telling name, a key.

    A number that no quotes enclose stays, as `input_tokens: 123456` is none.
    """
    data = _PEM.sub(_MASK, data)
    data = _IN_URL.sub(rb"\1" + _MASK + b"@", data)
    data = _JWT.sub(_MASK, data)
    data = _HEADER.sub(rb"\1\2" + _MASK, data)
    return _NAMED.sub(_named, data)


def _named(found: re.Match[bytes]) -> bytes:
    if found[2] is None and _NUMBER.fullmatch(found[3]):
        return found[0]
    return found[1] + _MASK
