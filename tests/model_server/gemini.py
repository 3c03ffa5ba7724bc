"""Answers of Google's generateContent API, which Gemini CLI speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_server import common
from model_server.scripts import FOLDER, Step, texts

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def answers(path: str) -> bool:
    """Whether a request to this address is one of this API."""
    return path.endswith((":generateContent", ":streamGenerateContent"))


def conversation(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was said so far: {role, content}, the assistant's turns one by one."""
    roles = {"model": "assistant"}
    return common.turns(
        (roles.get(c.get("role", "user"), "user"), c.get("parts")) for c in body.get("contents", [])
    )


def is_aside(body: Mapping[str, Any]) -> bool:
    """Whether it is a question beside the work: no tools come with it."""
    return not body.get("tools")


def wants_stream(path: str, _body: Mapping[str, Any]) -> bool:
    """Whether the answer is to come in pieces."""
    return path.endswith(":streamGenerateContent")


def error(step: Step) -> dict[str, Any]:
    """The body of an HTTP error."""
    message = step.get("message", f"scripted {step['status']}")
    status = STATUSES.get(step["status"], "UNKNOWN")
    more = step.get("error", {})
    return {"error": {"code": step["status"], "message": message, "status": status, **more}}


def message(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer to a request."""
    functions = [f for tool in body.get("tools", []) for f in tool.get("functionDeclarations", [])]
    offered = [
        {
            "name": f["name"],
            "input_schema": f.get("parametersJsonSchema") or f.get("parameters", {}),
        }
        for f in functions
    ]
    said = [texts(c.get("parts")) for c in body.get("contents", [])]
    found = FOLDER.search("\n".join(said))
    words, calls = common.parts(step, body, offered, found.group(1).strip() if found else "")
    parts: list[dict[str, Any]] = [{"text": text} for text in words]
    parts += [
        {"functionCall": {"id": number, "name": name, "args": given}}
        for number, name, given in calls
    ]
    read, written = common.counts(step, body.get("contents", []), parts)
    return {
        "candidates": [
            {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": read,
            "candidatesTokenCount": written,
            "totalTokenCount": read + written,
        },
        "modelVersion": "scripted",
        "responseId": common.seed(step, body)[:16],
    }


def stream(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """An answer as server-sent events: a piece for each part, then how it ended."""
    candidate = whole["candidates"][0]
    for part in candidate["content"]["parts"]:
        content = {"role": "model", "parts": [part]}
        yield from common.data_lines([{**whole, "candidates": [{"content": content, "index": 0}]}])
    ending = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}
    yield from common.data_lines([{**whole, "candidates": [{**ending, "index": 0}]}])
