"""Answers of the Anthropic Messages API: one step as a message, and a message as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from model_server.scripts import Step, as_offered, folder_of

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def answers(path: str) -> bool:
    """Whether a request to this address is one of this API."""
    return path.endswith("/messages")


def conversation(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was said so far: {role, content}, the assistant's turns one by one."""
    return list(body.get("messages", []))


def is_aside(body: Mapping[str, Any]) -> bool:
    """Whether it is a question beside the work, such as for a title: no tools come with it."""
    return not body.get("tools")


def wants_stream(_path: str, body: Mapping[str, Any]) -> bool:
    """Whether the answer is to come in pieces."""
    return bool(body.get("stream"))


def error(step: Step) -> dict[str, Any]:
    """The body of an HTTP error."""
    kind = KINDS.get(step["status"], "api_error")
    message = step.get("message", f"scripted {step['status']}")
    more = step.get("error", {})
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def message(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer to a request; ids are derived from it, so that a retry gets the same."""
    seed = hashlib.sha256(json.dumps([step, body], sort_keys=True).encode()).hexdigest()
    blocks: list[dict[str, Any]] = []
    if step.get("text"):
        blocks.append({"type": "text", "text": step["text"]})
    for number, call in enumerate(step.get("tools", [])):
        fits = as_offered(call, body.get("tools", []), folder_of(body))
        if fits is None:
            blocks.append({"type": "text", "text": f"No tool was offered for {call['tool']}."})
            continue
        use = {"type": "tool_use", "id": f"toolu_{seed[:20]}{number}"}
        blocks.append({**use, "name": fits[0], "input": fits[1]})
    used = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{seed[:24]}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "scripted"),
        "content": blocks or [{"type": "text", "text": "ok"}],
        "stop_reason": step.get("stop_reason", "tool_use" if used else "end_turn"),
        "stop_sequence": None,
        "usage": usage(step, body, blocks),
    }


def usage(step: Step, body: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, int]:
    """Token counts: as the step says, else about four characters each."""
    counted = {
        "input_tokens": len(json.dumps(body.get("messages", []))) // 4,
        "output_tokens": len(json.dumps(blocks)) // 4,
    }
    return {
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        **counted,
        **step.get("usage", {}),
    }


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def stream(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """A message as server-sent events, the way the service cuts it up."""
    counts = whole["usage"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**counts, "output_tokens": 1}}
    yield _event("message_start", message=start)
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield _event("content_block_start", index=index, content_block=empty)
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage={"output_tokens": counts["output_tokens"]})
    yield _event("message_stop")
