"""A model as the rest of muster asks it: checked, repaired, retried, within limits, or no answer.

What comes back was said by the model and keeps the shape that was asked for, or `NoAnswer` is
raised: nothing is ever made up here. The caller turns that into a question for a person.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from muster.domain.errors import NoAnswer, Silence
from muster.domain.plain import Cleaner
from muster.llm.accounts import Account, Hourly
from muster.llm.base import Asked, Health, Named, Piece, Provider, Reply, Usage, Vectors
from muster.llm.estimate import Estimate
from muster.llm.kept import Keeping, key_of
from muster.llm.structured import (
    LARGEST,
    Shape,
    Unusable,
    corrected,
    form_of,
    read_answer,
    with_form,
)

Made = TypeVar("Made")

REPAIRS = 2
"""How often a model is told what is wrong with its answer."""
_PASSING = frozenset({Silence.AWAY, Silence.BUSY, Silence.SLOW})
_DEGRADED = _PASSING | {Silence.CALLS}
"""When an answer that was kept may stand in: the model cannot be asked now."""
_MOST_TEXTS = 2048
_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often; seconds. A wait that a service asks for beyond `longest` is not made.

    `answer` bounds one request, and in a stream the wait for each piece; `stream` all of one.
    """

    answer: float = 180.0
    stream: float = 1800.0
    tries: int = 4
    first: float = 1.0
    longest: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[Shape]):
    """What a model said, checked. `kept_at` is when, if it was not said now but kept from before.

    `usage` is that of all requests it took, `repairs` how often the model had to be corrected.
    """

    value: Shape
    model: str
    usage: Usage = _NO_USAGE
    repairs: int = 0
    kept_at: float | None = None

    @property
    def cached(self) -> bool:
        """Whether the model was away and this is what it said before to the same question."""
        return self.kept_at is not None


@dataclass
class Model:
    """One model, for any number of projects."""

    named: Named
    provider: Provider
    account: Account = field(default_factory=Hourly)
    kept: Keeping | None = None
    patience: Patience = Patience()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    estimate: Estimate = field(default_factory=Estimate)

    async def answer(
        self, shape: type[Shape], prompt: str, *, project: str, system: str = "", most: int = 2000
    ) -> Answer[Shape]:
        """An answer in this shape; one that was kept, and says so, while the model is away.

        Raises:
            NoAnswer: there is none; `why` says what a person can do about it.
        """
        asked = with_form(_sound(prompt, system, most), form_of(shape))
        key = key_of(self.named, asked)
        try:
            answer = await self._ask(shape, asked, project)
        except NoAnswer as fault:
            if fault.why in _DEGRADED and (found := await self._from_before(shape, key)):
                return found
            raise
        if self.kept:
            await asyncio.to_thread(self.kept.put, key, answer.value.model_dump_json())
        return answer

    async def stream(
        self, prompt: str, *, project: str, system: str = "", most: int = 2000
    ) -> AsyncIterator[str]:
        """The answer in words as it comes, harmless to show. It is whole only if nothing is raised.

        Raises:
            NoAnswer: there is none, or it was cut off after what came so far.
        """
        asked = self._sized(_sound(prompt, system, most))
        piece, pieces = await self._patiently(lambda: self._begin(asked), project)
        cleaner, told = Cleaner(), 0
        until = asyncio.get_running_loop().time() + self.patience.stream
        async with aclosing(pieces):
            while not piece.last:
                told += len(piece.text)
                if told > LARGEST:
                    raise self._cut(f"is longer than {LARGEST} characters", Silence.UNUSABLE)
                if asyncio.get_running_loop().time() > until:
                    raise self._cut("does not come to its end", Silence.SLOW)
                if text := cleaner.feed(piece.text):
                    yield text
                piece = await self._next(pieces)
        self._learn(asked, piece.usage)
        if rest := cleaner.feed(piece.text) + cleaner.rest():
            yield rest
        if not piece.whole:
            raise self._cut(f"was cut off at {most} tokens", Silence.UNUSABLE)

    async def embed(self, texts: Sequence[str], *, project: str) -> list[list[float]]:
        """A vector for each text, all of one length, none of them zero.

        Raises:
            NoAnswer: there are none, or what came cannot be that.
        """
        if not texts:
            return []
        if len(texts) > _MOST_TEXTS:
            raise ValueError(f"at most {_MOST_TEXTS} texts at once")
        found = await self._patiently(lambda: self.provider.embed(texts), project)
        return self._checked(found, len(texts))

    def tokens(self, *texts: str) -> int:
        """How many tokens these have together; about, and rather too many than too few."""
        return self.estimate.tokens(*texts)

    async def health(self) -> Health:
        """Whether the model is there and answers."""
        return await self.provider.health()

    async def close(self) -> None:
        """Let go of connections."""
        await self.provider.close()

    async def _ask(self, shape: type[Shape], asked: Asked, project: str) -> Answer[Shape]:
        now, used, last = asked, Usage(), ""
        for repairs in range(REPAIRS + 1):
            sized = self._sized(now)
            reply: Reply = await self._patiently(partial(self.provider.reply, sized), project)
            self._learn(sized, reply.usage)
            used = _sum(used, reply.usage)
            try:
                value = read_answer(reply, shape)
            except Unusable as fault:
                last = str(fault)
                now = corrected(asked, reply.text, fault)
            else:
                return Answer(value, str(self.named), used, repairs)
        raise NoAnswer(
            f"{self.named} gave no usable answer in {REPAIRS + 1} tries: {last}",
            why=Silence.UNUSABLE,
            hint="take a model that is better at structured answers",
        )

    async def _patiently(self, call: Callable[[], Awaitable[Made]], project: str) -> Made:
        """What the call gives; made again after a wait when its fault may pass by itself."""
        for number in range(1, self.patience.tries + 1):
            await self.account.take(project)
            try:
                return await self._in_time(call())
            except NoAnswer as fault:
                pause = self._pause(number, fault.after)
                if fault.why not in _PASSING or number == self.patience.tries:
                    raise
                if pause > self.patience.longest:
                    raise
            await self.sleep(pause)
        raise AssertionError("a model is asked at least once")

    async def _in_time(self, call: Awaitable[Made]) -> Made:
        try:
            async with asyncio.timeout(self.patience.answer):
                return await call
        except TimeoutError as error:
            raise NoAnswer(
                f"{self.named} did not answer within {self.patience.answer:g} seconds",
                why=Silence.SLOW,
                hint="see whether its machine is overloaded, or take a smaller model",
            ) from error

    def _pause(self, number: int, after: float | None) -> float:
        """As long as the service says, else twice as long each time; never all at one moment."""
        if after is not None:
            return after
        pause: float = min(self.patience.first * 2 ** (number - 1), self.patience.longest)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers, hides nothing

    async def _begin(self, asked: Asked) -> tuple[Piece, AsyncGenerator[Piece, None]]:
        """The first piece, until which a stream can be begun anew, and the rest."""
        pieces = self.provider.stream(asked)
        try:
            return await self._next(pieces), pieces
        except BaseException:
            await pieces.aclose()
            raise

    async def _next(self, pieces: AsyncGenerator[Piece, None]) -> Piece:
        try:
            return await self._in_time(anext(pieces))
        except StopAsyncIteration:
            raise self._cut("was cut off in the middle", Silence.AWAY) from None

    def _cut(self, what: str, why: Silence) -> NoAnswer:
        hint = "ask again" if why is Silence.AWAY else "ask for less"
        return NoAnswer(f"the answer of {self.named} {what}", why=why, hint=hint)

    def _sized(self, asked: Asked) -> Asked:
        return replace(asked, room=self.tokens(asked.system, asked.prompt) + asked.most)

    def _learn(self, asked: Asked, usage: Usage) -> None:
        self.estimate.learn((asked.system, asked.prompt), usage.read)

    async def _from_before(self, shape: type[Shape], key: str) -> Answer[Shape] | None:
        found = await asyncio.to_thread(self.kept.get, key) if self.kept else None
        if found is None:
            return None
        try:
            value = read_answer(Reply(found.text), shape)
        except Unusable:
            return None
        return Answer(value, str(self.named), kept_at=found.at)

    def _checked(self, found: Vectors, wanted: int) -> list[list[float]]:
        vectors = [[float(x) for x in vector] for vector in found.vectors]
        sizes = {len(vector) for vector in vectors}
        if len(vectors) != wanted or len(sizes) != 1 or 0 in sizes:
            fault = f"{len(vectors)} vectors of sizes {sorted(sizes)[:5]} for {wanted} texts"
        elif not all(math.isfinite(x) for vector in vectors for x in vector):
            fault = "a vector with a number that is none"
        elif not all(any(vector) for vector in vectors):
            fault = "a vector of zeros, as some models do for a text that is too long"
        else:
            return vectors
        hint = "take another model for embeddings"
        raise NoAnswer(f"{self.named} gave {fault}", why=Silence.UNUSABLE, hint=hint)


def _sound(prompt: str, system: str, most: int) -> Asked:
    """A question that can be sent: half a character, as of a damaged file, cannot."""
    prompt, system = (text.encode("utf-8", "replace").decode() for text in (prompt, system))
    return Asked(prompt, system, most)


def _sum(one: Usage, other: Usage) -> Usage:
    def add(a: int | None, b: int | None) -> int | None:
        return None if a is None and b is None else (a or 0) + (b or 0)

    return Usage(add(one.read, other.read), add(one.written, other.written))
