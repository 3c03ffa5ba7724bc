"""What the dialects of the loopback model share: ids, counts, events, the calls of a step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from model_server.scripts import Step, as_offered

Call = tuple[str, str, dict[str, Any]]
"""The id, the tool's own name, and its input."""


def seed(step: Step, body: Mapping[str, Any]) -> str:
    """Letters that follow from a request, so that a retry gets the same answer."""
    return hashlib.sha256(json.dumps([step, body], sort_keys=True).encode()).hexdigest()


def parts(
    step: Step, body: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], folder: str
) -> tuple[list[str], list[Call]]:
    """A step's texts and its calls as the offered tools; a call that nothing fits becomes text."""
    texts = [step["text"]] if step.get("text") else []
    calls: list[Call] = []
    for number, call in enumerate(step.get("tools", [])):
        fits = as_offered(call, tools, folder)
        if fits is None:
            texts.append(f"No tool was offered for {call['tool']}.")
        else:
            calls.append((f"call_{seed(step, body)[:20]}{number}", *fits))
    return texts if texts or calls else ["ok"], calls


def counts(step: Step, said: Any, answer: Any) -> tuple[int, int]:
    """Tokens read and written: as the step says, else about four characters each."""
    given = step.get("usage", {})
    read = given.get("input_tokens", len(json.dumps(said)) // 4)
    return read, given.get("output_tokens", len(json.dumps(answer)) // 4)


def turns(items: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Messages of roles and contents; what the assistant said without a break is one turn."""
    joined: list[dict[str, Any]] = []
    for role, content in items:
        if role == "assistant" and joined and joined[-1]["role"] == "assistant":
            continue
        joined.append({"role": role, "content": content})
    return joined


def data_lines(events: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Events as server-sent events without names."""
    for event in events:
        yield f"data: {json.dumps(event)}\n\n".encode()
