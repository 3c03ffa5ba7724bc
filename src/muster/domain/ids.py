"""Names for new things, sortable by nothing and guessable by nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A fresh id such as `tsk_7m2c…`: 80 random bits in Crockford's base 32."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(16))}"


def new_agent_id(role: str) -> str:
    """A fresh agent id, `<role>-<8 hex>`."""
    return f"{role}-{secrets.token_hex(4)}"


def new_token() -> str:
    """A fresh fencing or access token of 256 bits."""
    return secrets.token_urlsafe(32)


def token_of(key: bytes, name: str) -> str:
    """The token that belongs to a name under a secret key; it tells nothing of the key."""
    digest = hmac.new(key, name.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


NUMBER = re.compile(r"^(?:MU-)?(\d{1,9})$", re.IGNORECASE)


def task_number(text: str) -> int | None:
    """The number in `MU-12` or `12`, or None when the text is something else."""
    found = NUMBER.match(text.strip())
    return int(found.group(1)) if found else None
