"""A provider whose libraries are an extra: imported when it is first asked, named when missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, cast

from muster.domain.errors import NoAnswer, Silence
from muster.llm.base import Asked, Named, Piece, Provider, Reply, Vectors

INSTALL = "pip install 'passmuster[models]'"


class Extra:
    """Hands everything but `health` on to the class `Wire` of a module that is loaded then.

    It is loaded beside the loop: that takes seconds.
    """

    wire: ClassVar[str]
    needs: ClassVar[str]

    def __init__(self, named: Named) -> None:
        self.named = named
        self._made: Provider | None = None
        self._making = asyncio.Lock()

    async def reply(self, asked: Asked) -> Reply:
        """One answer."""
        return await (await self._loaded()).reply(asked)

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The answer as it comes."""
        async for piece in (await self._loaded()).stream(asked):
            yield piece

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text."""
        return await (await self._loaded()).embed(texts)

    async def close(self) -> None:
        """Let go of connections, where there are any."""
        if self._made:
            await self._made.close()
            self._made = None

    def missing(self) -> str:
        """What has to be installed before it can be asked; empty when nothing has."""
        return "" if find_spec(self.needs) else INSTALL

    async def _loaded(self) -> Provider:
        async with self._making:
            if self._made is None:
                if fix := self.missing():
                    said = f"{self.named.kind} needs {self.needs}, which is not installed"
                    raise NoAnswer(said, why=Silence.REFUSED, hint=fix)
                module: Any = await asyncio.to_thread(import_module, self.wire)
                self._made = cast("Provider", module.Wire(self.named))
            return self._made
