"""Anthropic's Messages API: answers and streams are those of the model server of the agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from model_server import answers

if TYPE_CHECKING:
    from llm_server.server import State, Step

BELOW = ""
STREAM = "text/event-stream"


def get(state: State, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Whether a model is there."""
    if not _opens(state, headers):
        return 401, error(401, "invalid x-api-key")
    if unquote(path) == f"/v1/models/{state.model}":
        return 200, {"type": "model", "id": state.model, "display_name": "A model"}
    return 404, error(404, f"model: {path.rpartition('/')[2]}")


def refuses(
    state: State, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[int, Any] | None:
    """Another's key, a model that is not here, a prompt that is too long."""
    if not _opens(state, headers):
        return 401, error(401, "invalid x-api-key")
    if path != "/v1/messages" or body["model"] != state.model:
        return 404, error(404, f"model: {body.get('model')}")
    if len(json.dumps(body["messages"])) // 4 > state.context:
        return 400, error(400, "prompt is too long: it exceeds the context window")
    return None


def aside(_state: State, _path: str, _body: Mapping[str, Any]) -> Any:
    """Nothing else is served."""
    return None


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    return answers.error({"status": status, "message": message})


def streams(body: Mapping[str, Any]) -> bool:
    """Streams when it is asked to."""
    return answers.wants_stream("", body)


def parts(_state: State, step: Step, body: Mapping[str, Any], stream: bool) -> list[bytes]:
    """The words, or the call of the one tool that is offered when they are an object."""
    tools = body.get("tools", [])
    said: dict[str, Any] = {"text": step["text"]}
    try:
        given = json.loads(step["text"])
    except (ValueError, RecursionError):
        given = None
    if tools and isinstance(given, dict):
        said = {"tools": [{"tool": "call", "name": tools[0]["name"], "input": given}]}
    if step.get("length"):
        said["stop_reason"] = "max_tokens"
    whole = answers.message(said, body)
    return list(answers.stream(whole)) if stream else [json.dumps(whole).encode()]


def embedded(_state: State, _body: Mapping[str, Any]) -> Any:
    """There are none, and nobody gets here."""
    raise AssertionError


def _opens(state: State, headers: Mapping[str, str]) -> bool:
    given = {name.lower(): value for name, value in headers.items()}
    return state.key in {given.get("x-api-key"), given.get("authorization", "")[len("Bearer ") :]}
