"""What agents say, without what must not be kept: the values that this server knows as secrets."""

from __future__ import annotations

from functools import lru_cache

from muster.domain.ids import token_of
from muster.domain.redact import SHORTEST, Redactor
from muster.domain.secret_names import secrets_in
from muster.domain.secret_shapes import without_shapes
from muster.engine.tools import Tools


def without_secrets(tools: Tools, agent_id: str, words: str) -> str:
    """Words of an agent without the secrets that it could know."""
    hidden = _redactor(secrets_in(tools.settings.environ)).whole(_data(words))
    token = token_of(tools.key, agent_id).encode()
    return hidden.replace(token, b"***").decode("utf-8", "replace")


def shows_secret(tools: Tools, agent_id: str, words: str) -> bool:
    """Whether words hold such a secret, or what looks like one."""
    data = _data(words)
    known = without_secrets(tools, agent_id, words) != data.decode("utf-8", "replace")
    return known or without_shapes(data) != data


def _data(words: str) -> bytes:
    return words.encode("utf-8", "replace")


@lru_cache(maxsize=4)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    """Made once: it costs more than to look through what an agent says."""
    return Redactor(secret for secret in secrets if len(secret.strip()) >= SHORTEST)
