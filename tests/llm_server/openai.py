"""OpenAI's chat completions as llama.cpp and vLLM serve them: SSE, `finish_reason`, `usage`."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_server.server import State, Step

BELOW = "/v1"
STREAM = "text/event-stream"
_PIECE = 7


def get(state: State, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Which models are here."""
    if not _opens(state, headers):
        return 401, error(401, "Invalid API Key")
    if path == "/v1/models":
        model = {"id": state.model, "object": "model", "created": 0, "owned_by": "llamacpp"}
        return 200, {"object": "list", "data": [model, {**model, "id": "another"}]}
    return 404, error(404, "File Not Found")


def refuses(
    state: State, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[int, Any] | None:
    """Another's key, a model that is not here, a prompt beyond the context."""
    if not _opens(state, headers):
        return 401, error(401, "Invalid API Key")
    if path not in {"/v1/chat/completions", "/v1/embeddings"}:
        return 404, error(404, "File Not Found")
    if body["model"] != state.model:
        return 404, error(404, f"The model `{body['model']}` does not exist.")
    tokens = _tokens(body)
    if tokens > state.context:
        said = f"the request exceeds the available context size ({state.context} tokens)"
        return 400, error(400, said)
    return None


def aside(_state: State, _path: str, _body: Mapping[str, Any]) -> Any:
    """Nothing else is served."""
    return None


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = "rate_limit_exceeded" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "code": None, "param": None}}


def streams(body: Mapping[str, Any]) -> bool:
    """Streams when it is asked to."""
    return body.get("stream") is True


def parts(state: State, step: Step, body: Mapping[str, Any], stream: bool) -> list[bytes]:
    """One completion, or its chunks, the usage if it was asked for, and `[DONE]`."""
    text, reason = step["text"], "length" if step.get("length") else "stop"
    counts = {"prompt_tokens": _tokens(body), "completion_tokens": len(text) // 4 + 1}
    usage = counts | {"total_tokens": sum(counts.values())}
    whole = {"id": "chatcmpl-1", "created": 1, "model": state.model}
    if not stream:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        told = {**whole, "object": "chat.completion", "choices": [choice], "usage": usage}
        return [json.dumps(told).encode()]
    size = _PIECE if len(text) < 10_000 else len(text)
    words = [text[i : i + size] for i in range(0, len(text), size)]
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in words] + [({}, reason)]
    told = whole | {"object": "chat.completion.chunk"}
    chunks: list[Any] = [
        {**told, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in deltas
    ]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**told, "choices": [], "usage": usage})
    return [f"data: {json.dumps(one)}\n\n".encode() for one in chunks] + [b"data: [DONE]\n\n"]


def embedded(state: State, body: Mapping[str, Any]) -> Any:
    """Vectors, packed where that is asked for."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    found = state.vectors if state.vectors is not None else [[0.6, 0.8]] * len(texts)
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _packed(v) if packed else v}
        for i, v in enumerate(found)
    ]
    usage = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
    return {"object": "list", "data": data, "model": state.model, "usage": usage}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _opens(state: State, headers: Mapping[str, str]) -> bool:
    given = next((v for k, v in headers.items() if k.lower() == "authorization"), "")
    return not state.key or given == f"Bearer {state.key}"


def _tokens(body: Mapping[str, Any]) -> int:
    return sum(len(str(m["content"])) for m in body.get("messages", [])) // 4 + 10
