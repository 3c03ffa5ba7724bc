"""Answers of the OpenAI Responses API, which Codex speaks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from model_server import common
from model_server.scripts import Step

TYPES = {401: "invalid_request_error", 429: "rate_limit_error", 500: "server_error"}


def answers(path: str) -> bool:
    """Whether a request to this address is one of this API."""
    return path.endswith("/responses")


def conversation(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was said so far: {role, content}, the assistant's turns one by one."""
    given = body.get("input", [])
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    return common.turns((_role(item), item.get("content")) for item in items)


def _role(item: Mapping[str, Any]) -> str:
    if item.get("role"):
        return str(item["role"])
    return "tool" if str(item.get("type", "")).endswith("_output") else "assistant"


def is_aside(body: Mapping[str, Any]) -> bool:
    """Whether it is a question beside the work: no tools come with it."""
    return not body.get("tools")


def wants_stream(_path: str, body: Mapping[str, Any]) -> bool:
    """Whether the answer is to come in pieces."""
    return bool(body.get("stream"))


def error(step: Step) -> dict[str, Any]:
    """The body of an HTTP error."""
    message = step.get("message", f"scripted {step['status']}")
    kind = TYPES.get(step["status"], "invalid_request_error")
    more = {"code": None, "param": None, **step.get("error", {})}
    return {"error": {"message": message, "type": kind, **more}}


def message(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer to a request."""
    offered = [
        {"name": tool["name"], "input_schema": tool.get("parameters", {})}
        for tool in body.get("tools", [])
        if tool.get("type") == "function"
    ]
    found = _found(body)
    offered += [{"name": name, "input_schema": {}} for name in found]
    seed = common.seed(step, body)
    by_patch = any(tool.get("name") == "apply_patch" for tool in body.get("tools", []))
    written = [c for c in step.get("tools", []) if by_patch and c["tool"] == "write"]
    sought = [call for call in step.get("tools", []) if call["tool"] == "search"]
    others = [call for call in step.get("tools", []) if call not in written + sought]
    texts, calls = common.parts({**step, "tools": others}, body, offered, "")
    output: list[dict[str, Any]] = [
        {
            "type": "message",
            "id": f"msg_{seed[:20]}{number}",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
        for number, text in enumerate(texts)
    ]
    output += [
        {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": number,
            "name": name.rpartition("/")[2],
            **({"namespace": found[name]} if name in found else {}),
            "arguments": json.dumps(given),
            "status": "completed",
        }
        for number, name, given in calls
    ]
    output += [
        {
            "type": "tool_search_call",
            "call_id": f"search_{seed[:20]}{number}",
            "execution": "client",
            "arguments": {"query": call["query"]},
            "status": "completed",
        }
        for number, call in enumerate(sought)
    ]
    output += [
        {
            "type": "custom_tool_call",
            "id": f"ctc_{seed[:20]}{number}",
            "call_id": f"patch_{seed[:20]}{number}",
            "name": "apply_patch",
            "input": _patch(call),
            "status": "completed",
        }
        for number, call in enumerate(written)
    ]
    tokens = common.counts(step, body.get("input", []), output)
    return {
        "id": f"resp_{seed[:24]}",
        "object": "response",
        "created_at": 0,
        "model": body.get("model", "scripted"),
        "status": "completed",
        "output": output,
        "usage": {
            "input_tokens": tokens[0],
            "input_tokens_details": {"cached_tokens": step.get("cached", 0)},
            "output_tokens": tokens[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(tokens),
        },
    }


def _found(body: Mapping[str, Any]) -> dict[str, str]:
    """The tools that an earlier search brought, as NAMESPACE/NAME, with their namespace."""
    given = body.get("input", [])
    brought = [
        space
        for item in (given if isinstance(given, list) else [])
        if item.get("type") == "tool_search_output"
        for space in item.get("tools", [])
    ]
    return {
        f"{space['name']}/{tool['name']}": space["name"]
        for space in brought
        for tool in space.get("tools", [])
    }


def _patch(call: Mapping[str, Any]) -> str:
    """A new file in the words of Codex's own tool."""
    lines = "".join(f"+{line}\n" for line in call["content"].splitlines())
    return f"*** Begin Patch\n*** Add File: {call['path']}\n{lines}*** End Patch\n"


def stream(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """A response as server-sent events, the way the service cuts it up."""
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield _event("response.created", response=started)
    for index, item in enumerate(whole["output"]):
        held = {"message": ("content", []), "function_call": ("arguments", "")}
        name, nothing = held.get(item["type"], ("input", ""))
        empty = {**item, name: nothing}
        yield _event("response.output_item.added", output_index=index, item=empty)
        if item["type"] == "message":
            delta = {"item_id": item["id"], "content_index": 0, "delta": item["content"][0]["text"]}
            yield _event("response.output_text.delta", output_index=index, **delta)
        yield _event("response.output_item.done", output_index=index, item=item)
    yield _event("response.completed", response=whole)


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
