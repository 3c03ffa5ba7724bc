"""What agents say, without what must not be kept: the values that this server knows as secrets."""

from __future__ import annotations

from functools import lru_cache

from muster.agents.options import environments
from muster.domain.ids import token_of
from muster.domain.redact import MASK, Redactor
from muster.domain.secret_names import secrets_in
from muster.domain.secret_shapes import without_shapes
from muster.engine.tools import Tools


def without_secrets(tools: Tools, agent_id: str, words: str) -> str:
    """Words of an agent without the secrets that it could know."""
    hidden = _redactor(_known(tools)).whole(_data(words))
    token = token_of(tools.key, agent_id).encode()
    return hidden.replace(token, MASK).decode("utf-8", "replace")


def shows_secret(tools: Tools, agent_id: str, words: str) -> bool:
    """Whether words hold such a secret, or what looks like one."""
    data = _data(words)
    known = without_secrets(tools, agent_id, words) != data.decode("utf-8", "replace")
    return known or without_shapes(data) != data


def _known(tools: Tools) -> tuple[str, ...]:
    """The secrets of the server's environment, and of what its settings give their own agents."""
    given = environments(tools.settings.agents.values())
    found = {s for env in (tools.settings.environ, *given) for s in secrets_in(env)}
    return tuple(sorted(found))


def _data(words: str) -> bytes:
    return words.encode("utf-8", "replace")


@lru_cache(maxsize=4)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    """Made once: it costs more than to look through what an agent says."""
    return Redactor.of(secrets)
