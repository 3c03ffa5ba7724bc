"""A model behind the plainest of services: POST {"system", "prompt"}, and {"text"} comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from muster.domain.errors import NoAnswer, Silence
from muster.llm.base import Asked, Health, Named, Piece, Reply, Vectors, by_status
from muster.llm.probe import Unanswered, look


class PlainProvider:
    """One such service; `plain:NAME@URL` names it."""

    def __init__(self, named: Named) -> None:
        self._named = named

    async def reply(self, asked: Asked) -> Reply:
        """One request; a fault is told with whether asking again can help."""
        body = {"system": asked.system, "prompt": asked.prompt}
        try:
            status, told = await asyncio.to_thread(look, self._named.url, None, body)
        except Unanswered as error:
            said = f"{self._named} does not answer: {error}"
            raise NoAnswer(said, why=Silence.AWAY, hint="start the service") from error
        if status != 200:
            raise by_status(status, "", None, self._named)
        if not isinstance(told, dict) or not isinstance(told.get("text"), str):
            said = f"{self._named} answered without a text"
            raise NoAnswer(said, why=Silence.UNUSABLE, hint="see whether its address is right")
        return Reply(told["text"])

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """All at once: such a service has no streams."""
        yield Piece((await self.reply(asked)).text, last=True)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """None."""
        raise NoAnswer("it has no embeddings", why=Silence.REFUSED, hint="name another model")

    async def health(self) -> Health:
        """Whether somebody answers there."""
        try:
            await asyncio.to_thread(look, self._named.url)
        except Unanswered as error:
            return Health(False, f"nobody answers: {error}", "start the service", reached=False)
        return Health(True, f"answers at {self._named.url}")

    async def close(self) -> None:
        """Nothing is held."""
