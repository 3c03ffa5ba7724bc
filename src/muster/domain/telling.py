"""What agents tell, made fit to keep: bounded, valid text without the server's secrets.

The same for each way in which an agent can tell something, its tools and its files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.event import KINDS
from muster.domain.redact import Redactor

DEEPEST = 20
PROGRESS_BYTES = 4_000
SUMMARY_BYTES = 8_000
RESULT_BYTES = 256_000
EVENT_BYTES = 64_000
RESULTS = ("completed", "failed", "blocked")
_OF_MUSTER = frozenset(kind.split(".")[0] for kind in KINDS)


def text(body: Mapping[str, Any], name: str, most_bytes: int) -> str:
    """A text that must be there, is not blank and holds what UTF-8 can carry.

    Raises:
        Invalid: it is missing, blank, too long or no valid text.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"'{name}' is missing or empty", hint=f"send a text as '{name}'")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise Invalid(f"'{name}' is not valid Unicode", hint="send it as UTF-8") from error
    if size > most_bytes:
        raise Invalid(
            f"'{name}' has {size} bytes, more than {most_bytes}", hint="put large material in files"
        )
    if "\x00" in value:
        raise Invalid(f"'{name}' holds a NUL character", hint="leave it out")
    return value


class Telling:
    """Takes words and JSON of agents in."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Know what must not be kept."""
        self._redactor = Redactor(tuple(secrets))

    def words(self, body: Mapping[str, Any], name: str, most: int) -> str:
        """The text called `name`, of at most `most` bytes, redacted.

        Raises:
            Invalid: it is missing, blank, too long or no valid text.
        """
        return self._redacted(text(body, name, most).strip())

    def document(self, value: Any, name: str, most: int) -> dict[str, Any]:
        """A JSON object of at most `most` bytes, with every text in it redacted.

        Raises:
            Invalid: it is no object, too large or nested too deeply.
        """
        if not isinstance(value, Mapping):
            raise Invalid(f"'{name}' must be an object", hint=f'for example "{name}": {{}}')
        # First, because what follows walks it by recursion.
        refuse_deep(value, name)
        size = len(json.dumps(value))
        if size > most:
            raise Invalid(
                f"'{name}' has {size} bytes, more than {most}", hint="put large material in files"
            )
        found: dict[str, Any] = self._clean(value)
        return found

    def result(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome in an agent's own words: `status`, `summary`, `data`.

        Raises:
            Invalid: a part of it cannot be.
        """
        status = body.get("status")
        if status not in RESULTS:
            raise Invalid(f"status {status!r} is not known", hint=f"one of {', '.join(RESULTS)}")
        return {
            "status": status,
            "summary": self.words(body, "summary", SUMMARY_BYTES),
            "data": self.document(body.get("data") or {}, "data", RESULT_BYTES),
        }

    def own_event(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Type and payload of a fact of the agent's own kind.

        Raises:
            Invalid: the type is one of muster's own, which only muster may say.
        """
        kind = self.words(body, "type", 200)
        if kind.split(".")[0] in _OF_MUSTER or "." not in kind or not kind.isascii():
            raise Invalid(
                f"an agent cannot say '{kind}'", hint="use a type of your own, as build.finished"
            )
        return kind, self.document(body.get("payload") or {}, "payload", EVENT_BYTES)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redacted(value)
        if isinstance(value, Mapping):
            return {self._redacted(str(k)): self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(v) for v in value]
        if isinstance(value, float) and not math.isfinite(value):
            raise Invalid("a number in it is not finite", hint="JSON has no such numbers")
        return value

    def _redacted(self, words: str) -> str:
        data = words.encode("utf-8", "replace")
        return self._redactor.whole(data).decode("utf-8", "replace").replace("\x00", "")


def refuse_deep(value: Any, name: str) -> None:
    """Look how deeply a document is nested, without recursion.

    Raises:
        Invalid: more than 20 levels.
    """
    level = [value]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(item.values())
            elif isinstance(item, list | tuple):
                inner.extend(item)
        if not inner:
            return
        level = inner
    raise Invalid(f"'{name}' is nested more than {DEEPEST} deep", hint="send it flatter")
