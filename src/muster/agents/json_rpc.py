"""JSON-RPC 2.0 over lines, as the side that asks: what came in, and what is owed for it."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import override

from muster.agents.asking import LONGEST_ID, Asking, Message
from muster.agents.base import Fact
from muster.agents.said import Lines, one_line
from muster.agents.stream_json_values import mapping, word

NOT_FOUND = -32601


class JsonRpc(Asking):
    """Cuts the lines, tells apart what comes in, and answers each request exactly once.

    Our own requests have ids that say what they are for (`turn-1`), so that they are known again
    after a restart.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines()

    # --- the seam ---------------------------------------------------------------------------------

    def feed(self, data: bytes) -> Sequence[Fact]:
        """Facts completed by these bytes; never raises."""
        return [fact for line in self._lines.feed(data) for fact in self._line(line)]

    # --- what a dialect says ----------------------------------------------------------------------

    @abstractmethod
    def _notified(self, method: str, params: Message) -> Iterator[Fact]:
        """Hear a notification."""

    @abstractmethod
    def _requested(self, number: str, method: str, params: Message) -> Iterator[Fact]:
        """Hear a request; whoever does not keep it must refuse it."""

    @abstractmethod
    def _answered(self, number: str, result: Message) -> Iterator[Fact]:
        """Hear the answer to a request of ours."""

    @abstractmethod
    def _failed(self, number: str, error: Message) -> Iterator[Fact]:
        """Hear that a request of ours failed."""

    # --- writing ----------------------------------------------------------------------------------

    def _owe_request(self, number: str, method: str, params: Message) -> None:
        self._out.owe(f"ask {number}", _request(number, method, params))

    def _owe_notice(self, method: str, params: Message | None = None) -> None:
        self._out.owe(f"tell {method}", _notice(method, params))

    def _write_request(self, number: str, method: str, params: Message) -> bytes:
        return self._out.write(f"ask {number}", _request(number, method, params))

    def _write_notice(self, method: str, params: Message) -> bytes:
        return self._out.write(f"tell {method}", _notice(method, params))

    def _owe_answer(self, number: str, result: Message) -> None:
        self._out.owe(f"answer {number}", {**_HEAD, "id": _id(number), "result": dict(result)})

    def _refuse(self, number: str, text: str, code: int = NOT_FOUND) -> None:
        error = {"code": code, "message": text}
        self._out.owe(f"answer {number}", {**_HEAD, "id": _id(number), "error": error})

    def _write_answer(self, number: str, result: Message) -> bytes:
        return self._out.write(
            f"answer {number}", {**_HEAD, "id": _id(number), "result": dict(result)}
        )

    @override
    def _key(self, message: Message) -> str:
        number, method = _number(message.get("id")), message.get("method")
        if isinstance(method, str):
            return f"ask {number}" if number else f"tell {method}"
        return f"answer {number}"

    # --- reading ----------------------------------------------------------------------------------

    def _line(self, line: bytes) -> Iterator[Fact]:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            yield Fact("raw", {"text": one_line(text)})
            return
        yield from self._message(message)

    def _message(self, message: Message) -> Iterator[Fact]:
        method, number = message.get("method"), _number(message.get("id"))
        params = mapping(message.get("params"))
        if isinstance(method, str) and "id" not in message:
            yield from self._notified(method, params)
        elif isinstance(method, str) and number:
            yield from self._requested(number, method, params)
        elif method is None and number and "result" in message:
            yield from self._answered(number, mapping(message.get("result")))
        elif method is None and number and "error" in message:
            yield from self._failed(number, mapping(message.get("error")))
        else:
            yield Fact("raw", {"type": one_line(word(method)), "text": ""})


_HEAD = {"jsonrpc": "2.0"}


def _request(number: str, method: str, params: Message) -> Message:
    return {**_HEAD, "id": number, "method": method, "params": dict(params)}


def _notice(method: str, params: Message | None) -> Message:
    return {**_HEAD, "method": method, **({} if params is None else {"params": dict(params)})}


def _number(value: Any) -> str:
    """An id as a text; a text that reads like a number is quoted. Nothing for what is no id."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else ""
    plain = value.isprintable() and '"' not in value and not _reads_as_number(value)
    number = value if plain else json.dumps(value)
    return number if len(number) <= LONGEST_ID else ""


def _reads_as_number(text: str) -> bool:
    return text.lstrip("-").isdigit() or not text


def _id(number: str) -> str | int:
    """The id that `_number` made a text of."""
    if number.startswith('"'):
        return str(json.loads(number))
    return int(number) if _reads_as_number(number) else number
