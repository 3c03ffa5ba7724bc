"""Ollama's own API, as the server answers it: NDJSON, `done_reason`, and silent truncation.

From its documentation and source: a model that is not there is a 404; the prompt is cut in silence
to `num_ctx`, which is 4096 unless given, where `truncate` is not false or not known to the version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_server.server import State, Step

BELOW = ""
STREAM = "application/x-ndjson"
_DEFAULT_CONTEXT = 4096
_PIECE = 7


def get(state: State, path: str, _headers: Mapping[str, str]) -> tuple[int, Any]:
    """Which models are here, and which are loaded."""
    model = {"name": state.model, "model": state.model, "size": 5_000_000_000, "details": {}}
    match path:
        case "/api/tags":
            return 200, {"models": [model]}
        case "/api/ps":
            more = {} if state.granted is None else {"context_length": state.granted}
            return 200, {"models": [model | more]}
        case "/api/version":
            return 200, {"version": "0.12.11"}
    return 404, {"error": "not found"}


def refuses(
    state: State, path: str, body: Mapping[str, Any], _headers: Mapping[str, str]
) -> tuple[int, Any] | None:
    """A model that is not here, or a prompt that is too long and may not be cut."""
    if body.get("model") != state.model:
        return 404, error(404, f"model '{body.get('model')}' not found")
    if path == "/api/embed":
        long = any(len(text) // 4 >= _context(body) for text in body["input"])
    else:
        long = path == "/api/chat" and _tokens(body) >= _context(body)
    if long and state.knows_truncate and body.get("truncate") is False:
        return 400, error(400, "the input length exceeds the context length")
    return None


def aside(state: State, path: str, _body: Mapping[str, Any]) -> Any:
    """What a model is."""
    if path != "/api/show":
        return None
    return {
        "details": {"family": "qwen3", "parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": state.context},
        "capabilities": ["completion", "tools", "thinking"],
    }


def error(_status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    return {"error": message}


def streams(body: Mapping[str, Any]) -> bool:
    """Streams unless it is told not to."""
    return body.get("stream", True) is not False


def parts(state: State, step: Step, body: Mapping[str, Any], stream: bool) -> list[bytes]:
    """One object, or one a line and the last with the counts."""
    text = step["text"]
    counts = {
        "done": True,
        "done_reason": "length" if step.get("length") else "stop",
        "total_duration": 4_883_583_458,
        "load_duration": 1_334_875,
        "prompt_eval_count": min(_tokens(body), _context(body)),
        "prompt_eval_duration": 342_546_000,
        "eval_count": len(text) // 4 + 1,
        "eval_duration": 4_535_599_000,
    }
    if not stream:
        return [_line(state, text, counts)]
    size = _PIECE if len(text) < 10_000 else len(text)
    words = [text[i : i + size] for i in range(0, len(text), size)]
    said = [_line(state, word, {"done": False}) + b"\n" for word in words]
    return [*said, _line(state, "", counts) + b"\n"]


def embedded(state: State, body: Mapping[str, Any]) -> Any:
    """Vectors of length one."""
    texts = body["input"]
    found = state.vectors if state.vectors is not None else [[0.6, 0.8]] * len(texts)
    return {"model": state.model, "embeddings": found, "prompt_eval_count": 3 * len(texts)}


def _line(state: State, text: str, more: Mapping[str, Any]) -> bytes:
    message = {"role": "assistant", "content": text}
    told = {"model": state.model, "created_at": "2026-11-22T01:00:00.000000Z", "message": message}
    return json.dumps({**told, **more}).encode()


def _tokens(body: Mapping[str, Any]) -> int:
    return sum(len(m["content"]) for m in body["messages"]) // 4 + 10


def _context(body: Mapping[str, Any]) -> int:
    return int(body.get("options", {}).get("num_ctx", _DEFAULT_CONTEXT))
