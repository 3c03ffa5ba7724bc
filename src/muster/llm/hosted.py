"""What the services behind pydantic-ai have in common: a question, an answer, their faults."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    UserError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from muster.domain.errors import NoAnswer, Silence
from muster.domain.plain import plain_line
from muster.llm.base import Asked, Form, Named, Piece, Reply, Usage, Vectors, by_status
from muster.llm.wire import Odd, away, unusable

_MISREAD = (*(ValueError, TypeError, AttributeError, LookupError), RecursionError, AssertionError)
"""What the libraries raise when a service answers in no shape that they know."""


class Hosted:
    """One model of a service that pydantic-ai speaks with."""

    def __init__(self, named: Named, model: Model, http: httpx2.AsyncClient) -> None:
        self.named = named
        self._model = model
        self._http = http

    def parameters(self, form: Form) -> ModelRequestParameters:
        """How the service is held to a form."""
        raise NotImplementedError

    async def reply(self, asked: Asked) -> Reply:
        """One answer."""
        given = self.parameters(asked.form) if asked.form else None
        with self.faults():
            said = await model_request(
                self._model,
                _messages(asked),
                model_settings=self.settings(asked),
                model_request_parameters=given,
                instrument=False,
            )
        return Reply(_text(said), _usage(said.usage), self._whole(said) is not False)

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The answer as it comes."""
        settings = self.settings(asked)
        with self.faults():
            async with model_request_stream(
                self._model, _messages(asked), model_settings=settings, instrument=False
            ) as events:
                async for event in events:
                    if text := _words(event):
                        yield Piece(text)
                said = events.get()
        whole = self._whole(said)
        if whole is not None:
            yield Piece("", True, _usage(said.usage), whole)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """None: not every service has them."""
        raise NoAnswer(
            f"{self.named.kind} has no embeddings, asked for {len(texts)}",
            why=Silence.REFUSED,
            hint="name another model as the setting embedding",
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def settings(self, asked: Asked) -> ModelSettings:
        """What a request is sent with."""
        return ModelSettings(max_tokens=asked.most)

    def _whole(self, said: ModelResponse) -> bool | None:
        """Whether the model ended by itself; None where nobody said that the answer ends."""
        match said.finish_reason:
            case None:
                return None
            case "length":
                return False
            case "content_filter":
                hint = "ask a person, or take another model"
                fault = f"{self.named} declined to answer"
                raise NoAnswer(fault, why=Silence.UNUSABLE, hint=hint)
            case _:
                return True

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Tell what goes wrong as `NoAnswer`."""
        try:
            yield
        except (AgentRunError, UserError, httpx2.HTTPError, Odd, *_MISREAD) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> NoAnswer:
        if cause := _find(error, Odd):
            return unusable(self.named, str(cause))
        said = plain_line(_message(error))
        match error:
            case ModelContextWindowExceededError():
                return by_status(413, said, None, self.named)
            case ModelHTTPError():
                return by_status(error.status_code, said, error.retry_after, self.named)
            case ModelAPIError() | httpx2.HTTPError():
                return away(self.named, error, f"see whether {self.named.url} is up")
            case _:
                return unusable(self.named, said)


def _messages(asked: Asked) -> list[ModelMessage]:
    parts: list[Any] = [SystemPromptPart(asked.system)] if asked.system else []
    return [ModelRequest(parts=[*parts, UserPromptPart(asked.prompt)])]


def _text(said: ModelResponse) -> str:
    """The call of the tool that stands for the form, else the words; no thoughts."""
    for part in said.parts:
        if isinstance(part, ToolCallPart):
            return part.args if isinstance(part.args, str) else json.dumps(part.args or {})
    return "".join(part.content for part in said.parts if isinstance(part, TextPart))


def _words(event: object) -> str:
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            return text
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return text
        case _:
            return ""


def _usage(usage: RequestUsage) -> Usage:
    """Counts of nothing are counts that were not told."""
    return Usage(usage.input_tokens or None, usage.output_tokens or None)


def _find(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _message(error: Exception) -> str:
    """What the service itself said, where it did."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = inner.get("message") if isinstance(inner, dict) else inner
    return str(said) if said else str(error)
