"""The seam of models: what a provider is asked, what it gives back, and how it fails.

A provider makes one request and tells it as it was: it neither retries nor repairs nor keeps
anything; `asking.py` does that for all of them. Whatever goes wrong it raises as `NoAnswer`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from typing_extensions import override

from muster.domain.errors import NoAnswer, Silence

LARGEST_BODY, LARGEST_VECTORS = 4_000_000, 64_000_000
"""Bytes of one answer on the wire, and of one with vectors; more is no answer."""


@dataclass(frozen=True, slots=True)
class Named:
    """A model as the settings name it: `KIND:MODEL@URL`, with the key that its service wants."""

    kind: str
    model: str
    url: str = ""
    key: str = field(default="", repr=False)

    @override
    def __str__(self) -> str:
        """As it is written in the settings; without the key."""
        return f"{self.kind}:{self.model}" + (f"@{self.url}" if self.url else "")


@dataclass(frozen=True, slots=True)
class Form:
    """The shape of a structured answer: a JSON schema with a name."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `system` are the rules; what strangers wrote stands in `prompt` alone.

    `most` is how many tokens the answer may have. `room` is how many the question and the answer
    together are estimated to need, for a provider whose context has to be set.
    """

    prompt: str
    system: str = ""
    most: int = 2000
    form: Form | None = None
    room: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say."""

    read: int | None = None
    written: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said. It is not `whole` when it was cut at `Asked.most`."""

    text: str
    usage: Usage = Usage()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a stream; the `last` one comes when the provider says that the answer ends."""

    text: str
    last: bool = False
    usage: Usage = Usage()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector for each text, in their order."""

    vectors: Sequence[Sequence[float]]
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the model is there and answers, in a sentence, and what to do where it does not.

    Where even its service was not `reached`, nothing is known of what it has.
    """

    ok: bool
    text: str
    fix: str = ""
    reached: bool = True


class Provider(Protocol):
    """A kind of model service. It is made by calling it with a `Named`, which must be cheap."""

    async def reply(self, asked: Asked) -> Reply:
        """One answer, in the form that is asked for as far as the service can hold a model to it.

        Raises:
            NoAnswer: there is none; `why` says whether asking again can help.
        """
        ...

    def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The answer as it comes. An answer that was cut off ends without a `last` piece.

        Raises:
            NoAnswer: as `reply`; also in the middle.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text.

        Raises:
            NoAnswer: as `reply`; `Silence.REFUSED` where the service has no embeddings.
        """
        ...

    async def health(self) -> Health:
        """Look whether the service and the model are there; costs no tokens, raises nothing."""
        ...

    async def close(self) -> None:
        """Let go of connections; it may be called more than once."""
        ...


def bearer(named: Named) -> dict[str, str]:
    """The header with the key, where there is one."""
    return {"Authorization": f"Bearer {named.key}"} if named.key else {}


def by_status(status: int, said: str, after: float | None, where: object) -> NoAnswer:
    """What an HTTP status of a model's service means."""
    told = f"{where} answered {status}" + (f": {said}" if said else "")
    if status == 429:
        return NoAnswer(
            told, why=Silence.BUSY, after=after, hint="wait, or raise the service's limit"
        )
    if status >= 500 or status in {408, 409, 425}:
        return NoAnswer(told, why=Silence.AWAY, after=after, hint="look at the log of the service")
    if status == 413 or _speaks_of_length(said):
        return NoAnswer(
            told, why=Silence.TOO_LONG, hint="ask with less text, or give it more context"
        )
    hints = {
        401: "give the right key: docs/models.md says which variable holds it",
        403: "the key does not open this model",
        404: "correct the model's name or address",
    }
    hint = hints.get(status, "correct the model's name or address, or take another")
    return NoAnswer(told, why=Silence.REFUSED, hint=hint)


def _speaks_of_length(said: str) -> bool:
    words = said.lower()
    return "context" in words and any(w in words for w in ("exceed", "length", "long", "window"))
