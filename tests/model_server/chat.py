"""Answers of the OpenAI Chat Completions API, which OpenCode, Qwen Code and aider speak."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from model_server import common
from model_server.responses import error, wants_stream
from model_server.scripts import Step, folder_of

__all__ = ["answers", "conversation", "error", "is_aside", "message", "stream", "wants_stream"]


def answers(path: str) -> bool:
    """Whether a request to this address is one of this API."""
    return path.endswith("/chat/completions")


def conversation(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was said so far: {role, content}, the assistant's turns one by one."""
    return common.turns((m["role"], m.get("content")) for m in body.get("messages", []))


def is_aside(body: Mapping[str, Any]) -> bool:
    """Whether it is a question beside the work: no tools come with it, nor blocks to edit by."""
    return not body.get("tools") and not _by_blocks(body)


def _by_blocks(body: Mapping[str, Any]) -> bool:
    """Whether files are edited by blocks in the text, as aider does it."""
    return "SEARCH/REPLACE" in json.dumps(body.get("messages", []))


def message(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer to a request."""
    if _by_blocks(body) and not body.get("tools"):
        texts, calls = [step.get("text", "ok"), *map(_block, step.get("tools", []))], []
    else:
        functions = [tool["function"] for tool in body.get("tools", [])]
        offered = [{"name": f["name"], "input_schema": f.get("parameters", {})} for f in functions]
        texts, calls = common.parts(step, body, offered, folder_of(body))
    said: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(texts) or None}
    if calls:
        said["tool_calls"] = [
            {
                "id": number,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given)},
            }
            for number, name, given in calls
        ]
    read, written = common.counts(step, body.get("messages", []), said)
    reason = "tool_calls" if calls else "stop"
    return {
        "id": f"chatcmpl-{common.seed(step, body)[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "scripted"),
        "choices": [{"index": 0, "message": said, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def _block(call: Mapping[str, Any]) -> str:
    """A call on a file as a block of text."""
    if call["tool"] not in {"write", "edit"}:
        return f"No tool was offered for {call['tool']}."
    old = f"{call['old']}\n" if call["tool"] == "edit" else ""
    new = str(call["new"] if call["tool"] == "edit" else call["content"]).rstrip("\n")
    return f"{call['path']}\n```\n<<<<<<< SEARCH\n{old}=======\n{new}\n>>>>>>> REPLACE\n```"


def stream(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """A completion as server-sent events, the way the service cuts it up."""
    choice = whole["choices"][0]
    said = choice["message"]
    head = {**whole, "object": "chat.completion.chunk", "usage": None}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": said["content"] or ""}]
    deltas += [
        {"tool_calls": [{"index": number, **call}]}
        for number, call in enumerate(said.get("tool_calls", []))
    ]
    chunks = [_chunk(head, delta, None) for delta in deltas]
    chunks.append(_chunk(head, {}, choice["finish_reason"]))
    chunks.append({**head, "choices": [], "usage": whole["usage"]})
    yield from common.data_lines(chunks)
    yield b"data: [DONE]\n\n"


def _chunk(head: Mapping[str, Any], delta: Any, reason: str | None) -> dict[str, Any]:
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
