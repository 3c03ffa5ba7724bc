"""What agents tell, made fit to keep: bounded, valid text without the server's secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.redact import Redactor
from muster.service.requests import text
from muster.vault import secrets_in

DEEPEST = 20


class Telling:
    """Takes words and JSON of agents in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Know what must not be kept: values of the server's environment with secret names."""
        self._redactor = Redactor(secrets_in(environ))

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
        _refuse_deep(value, name)
        size = len(json.dumps(value))
        if size > most:
            raise Invalid(
                f"'{name}' has {size} bytes, more than {most}", hint="put large material in files"
            )
        found: dict[str, Any] = self._clean(value)
        return found

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redacted(value)
        if isinstance(value, Mapping):
            return {self._redacted(str(k)): self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(v) for v in value]
        return value

    def _redacted(self, words: str) -> str:
        data = words.encode("utf-8", "replace")
        return self._redactor.whole(data).decode("utf-8", "replace").replace("\x00", "")


def _refuse_deep(value: Any, name: str) -> None:
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
