"""The wire to Ollama: its context is set for each question, and what it really read is checked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx2

from muster.domain.errors import NoAnswer, Silence
from muster.domain.plain import plain_line
from muster.llm.base import Asked, Named, Piece, Reply, Usage, Vectors, bearer, by_status
from muster.llm.context import context_of
from muster.llm.estimate import BYTES_PER_TOKEN
from muster.llm.names import defaults
from muster.llm.wire import client, faults, unusable, wait

_SMALLEST = 8192
_START = "start it: ollama serve"


class Wire:
    """One model of one server."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._client = client(named)
        self._client.headers.update(bearer(named))
        self._limit = 0
        self._thinks = False
        self._context = _SMALLEST
        self._granted: set[int] = set()

    async def reply(self, asked: Asked) -> Reply:
        """One answer."""
        body = await self._body(asked)
        told = await self._post("/api/chat", {**body, "stream": False})
        piece = self._piece(told, body)
        if not piece.last:
            raise unusable(self._named, "an answer that is not done")
        await self._check_grant(asked)
        return Reply(piece.text, piece.usage, piece.whole)

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The answer as it comes, one JSON object a line."""
        body = await self._body(asked)
        url = f"{self._named.url}/api/chat"
        with faults(self._named, _START):
            async with self._client.stream("POST", url, json={**body, "stream": True}) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise self._refused(answer)
                async for line in answer.aiter_lines():
                    if not line.strip():
                        continue
                    piece = self._piece(self._parsed(line), body)
                    if piece.last:
                        await self._check_grant(asked)
                    yield piece
                    if piece.last:
                        return

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text; one that is too long is refused and not cut.

        A context for the longest of them is asked for, as a server's own default may be shorter.
        """
        await self._learn_limit()
        longest = max((len(text.encode("utf-8", "replace")) for text in texts), default=0)
        self._grow(int(longest / BYTES_PER_TOKEN) + 1)
        options = {"num_ctx": self._context}
        body = {"model": self._named.model, "input": list(texts), "truncate": False}
        told = await self._post("/api/embed", {**body, "options": options})
        found = told.get("embeddings")
        if not isinstance(found, list) or not all(_is_vector(one) for one in found):
            raise unusable(self._named, "no vectors")
        return Vectors(found, Usage(_count(told, "prompt_eval_count")))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _body(self, asked: Asked) -> dict[str, Any]:
        """The request, with a context that holds question and answer.

        The context only grows, because a server loads the model anew for each length.
        """
        await self._learn_limit()
        if asked.room > self._limit:
            raise self._too_long(f"needs about {asked.room} tokens, and it has {self._limit}")
        self._grow(asked.room)
        messages = [{"role": "system", "content": asked.system}] if asked.system else []
        body: dict[str, Any] = {
            "model": self._named.model,
            "messages": [*messages, {"role": "user", "content": asked.prompt}],
            "truncate": False,
            "shift": False,
            "options": {
                "num_ctx": self._context,
                "num_predict": asked.most,
                **({"temperature": 0} if asked.form else {}),
            },
        }
        if asked.form:
            body["format"] = dict(asked.form.schema)
        if self._thinks:
            body["think"] = False
        return body

    def _grow(self, room: int) -> None:
        while self._context < min(room, self._limit):
            self._context *= 2
        self._context = min(self._context, self._limit)

    async def _learn_limit(self) -> None:
        """How long a context the model and the defaults allow, and whether it thinks aloud."""
        if self._limit:
            return
        shown = await self._post("/api/show", {"model": self._named.model})
        most = int(defaults()["ollama"]["context"])
        self._limit = min(context_of(shown) or most, most)
        able = shown.get("capabilities")
        self._thinks = isinstance(able, list) and "thinking" in able

    async def _check_grant(self, asked: Asked) -> None:
        """See once for each length whether the server has loaded the model with it.

        Newer servers tell it in `/api/ps`; of others only the count of tokens is known.
        """
        if self._context in self._granted:
            return
        with faults(self._named, _START):
            answer = await self._client.get(f"{self._named.url}/api/ps")
        running = self._parsed(answer.content).get("models") if answer.status_code == 200 else None
        for one in running if isinstance(running, list) else ():
            if isinstance(one, dict) and one.get("model") == self._named.model:
                given = _count(one, "context_length") or self._context
                if given < asked.room:
                    self._limit = self._context = given
                    raise self._too_long(f"was given {given} tokens of the {asked.room} it needs")
        self._granted.add(self._context)

    def _piece(self, told: dict[str, Any], body: dict[str, Any]) -> Piece:
        if "error" in told:
            raise by_status(500, plain_line(str(told["error"])), None, self._named)
        message = told.get("message")
        text = message.get("content", "") if isinstance(message, dict) else None
        if not isinstance(text, str):
            raise unusable(self._named, "an answer without a message")
        if told.get("done") is not True:
            return Piece(text)
        read, written = _count(told, "prompt_eval_count"), _count(told, "eval_count")
        context = body["options"]["num_ctx"]
        if read is not None and read >= context:
            raise self._too_long(f"was cut to the {context} tokens of its context")
        whole = told.get("done_reason", "stop") == "stop"
        return Piece(text, True, Usage(read, written), whole)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with faults(self._named, _START):
            answer = await self._client.post(f"{self._named.url}{path}", json=body)
        if answer.status_code != 200:
            raise self._refused(answer)
        return self._parsed(answer.content)

    def _refused(self, answer: httpx2.Response) -> NoAnswer:
        try:
            said = plain_line(str(json.loads(answer.content)["error"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            said = ""
        fault = by_status(answer.status_code, said, wait(answer.headers), self._named)
        if answer.status_code == 404:
            fault.hint = f"ollama pull {self._named.model}"
        return fault

    def _parsed(self, data: bytes | str) -> dict[str, Any]:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise unusable(self._named, "what is no JSON object")
        return told

    def _too_long(self, what: str) -> NoAnswer:
        return NoAnswer(
            f"the question to {self._named} {what}",
            why=Silence.TOO_LONG,
            hint="ask with less text, or take a model with a longer context",
        )


def _count(told: dict[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int and value >= 0 else None


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(type(x) in {int, float} for x in value)
