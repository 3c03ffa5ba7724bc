"""A model whose answers stand in a file: for tests, and to try muster's planning without a model.

Facts: the file is TOML with tables `[[answer]]`: `when` is a text that the question must hold (the
first that fits answers), `text` is what is said, or `json` a structured answer; `fault` is a kind
of silence (`away`, `busy`, …) instead. Where none fits there is no answer. Embeddings are counts of
letters, so that like texts lie near each other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid, NoAnswer, Silence
from muster.llm.base import Asked, Health, Named, Piece, Reply, Usage, Vectors
from muster.settings import read_toml

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEYS = frozenset({"when", "text", "json", "fault"})


class ScriptedProvider:
    """Says what its file says; `scripted:FILE` names it."""

    def __init__(self, named: Named) -> None:
        self._named = named

    async def reply(self, asked: Asked) -> Reply:
        """The first answer that fits the question."""
        for one in await asyncio.to_thread(self._answers):
            if str(one.get("when", "")) in asked.prompt:
                return self._said(one, asked)
        raise NoAnswer(
            f"{self._named} has no answer to this question",
            why=Silence.REFUSED,
            hint="add an [[answer]] whose `when` is in the question",
        )

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The same answer, word by word."""
        said = await self.reply(asked)
        for word in said.text.splitlines(keepends=True):
            yield Piece(word)
        yield Piece("", True, said.usage)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """The counts of the letters of each text, and one more so that none is zero."""
        lower = [text.lower() for text in texts]
        return Vectors([[1.0, *(float(text.count(x)) for x in _LETTERS)] for text in lower])

    async def health(self) -> Health:
        """Whether the file is there and can be read."""
        try:
            found = await asyncio.to_thread(self._answers)
        except (Invalid, NoAnswer) as error:
            return Health(False, error.detail, error.hint)
        return Health(True, f"answers {len(found)} questions")

    async def close(self) -> None:
        """Nothing is held."""

    def _answers(self) -> Sequence[Mapping[str, Any]]:
        path = Path(self._named.model).expanduser()
        found = read_toml(path).get("answer")
        if not isinstance(found, list) or not all(_is_answer(one) for one in found):
            raise NoAnswer(
                f"{path} holds no answers",
                why=Silence.REFUSED,
                hint="write tables [[answer]] with when, and text, json or fault",
            )
        return found

    def _said(self, one: Mapping[str, Any], asked: Asked) -> Reply:
        if fault := one.get("fault"):
            said = f"{self._named} is scripted to be {fault}"
            raise NoAnswer(said, why=Silence(fault), hint="change its file")
        text = json.dumps(one["json"]) if "json" in one else str(one["text"])
        return Reply(text, Usage(len(asked.prompt) // 4, len(text) // 4))


def _is_answer(one: Any) -> bool:
    """Whether it says one thing, in the words there are."""
    if not isinstance(one, dict) or not set(one) <= _KEYS:
        return False
    return len(set(one) - {"when"}) == 1 and one.get("fault", "away") in list(Silence)
