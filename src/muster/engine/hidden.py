"""What agents say, without what must not be kept: the values that this server knows as secrets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from muster.domain.ids import token_of
from muster.domain.redact import SHORTEST, Redactor
from muster.domain.secret_names import secrets_in
from muster.domain.secret_shapes import without_shapes
from muster.engine.tools import Tools


def without_secrets(tools: Tools, agent_id: str, words: str) -> str:
    """Words of an agent without the secrets that it could know."""
    hidden = _redactor(_known(tools)).whole(_data(words))
    token = token_of(tools.key, agent_id).encode()
    return hidden.replace(token, b"***").decode("utf-8", "replace")


def shows_secret(tools: Tools, agent_id: str, words: str) -> bool:
    """Whether words hold such a secret, or what looks like one."""
    data = _data(words)
    known = without_secrets(tools, agent_id, words) != data.decode("utf-8", "replace")
    return known or without_shapes(data) != data


def _known(tools: Tools) -> tuple[str, ...]:
    """The secrets of the server's environment, and of what its settings give their own agents."""
    given = [options.get("env") for options in tools.settings.agents.values()]
    told = [{str(k): str(v) for k, v in env.items()} for env in given if isinstance(env, Mapping)]
    found = {s for env in (tools.settings.environ, *told) for s in secrets_in(env)}
    return tuple(sorted(found))


def _data(words: str) -> bytes:
    return words.encode("utf-8", "replace")


@lru_cache(maxsize=4)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    """Made once: it costs more than to look through what an agent says."""
    return Redactor(secret for secret in secrets if len(secret.strip()) >= SHORTEST)
