"""Plans as models say them, and a house whose project has a model on the loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from contracts.llm import Sleeper
from engine.houses import Town, shell, town
from llm_server import ollama
from llm_server.server import LlmServer
from muster.llm.asking import Patience

WORK = shell('echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"')


def task(key: str, *after: str, **more: Any) -> dict[str, Any]:
    """One task of a plan, sound unless told otherwise."""
    return {
        "key": key, "title": f"Make {key}", "description": f"Write the file of {key}.",
        "type": "chore", "after": list(after), "checks": [f"the file of {key} is there"],
        "commands": [["pytest", "-q"]], "files": [f"{key}.txt"], "minutes": 5, "agent": "work",
        "agent_why": "it is the usual one", "isolation": "process",
        "isolation_why": "nothing else is needed", **more,
    }  # fmt: skip


def plan(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A plan, sound unless told otherwise."""
    said = {"type": "chore", "summary": "two files", "confidence": 0.9, "questions": []}
    return {**said, "tasks": list(tasks) or [task("b", "a"), task("a")], **more}


def says(told: Any) -> dict[str, Any]:
    """The step of a model that answers this."""
    return {"text": json.dumps(told)}


@asynccontextmanager
async def planning_town(
    root: Path,
    *,
    dialect: Any = ollama,
    kind: str = "ollama",
    agents: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    **project: Any,
) -> AsyncIterator[tuple[Town, LlmServer, Sleeper]]:
    """A house at work with a model that is asked without waiting between its tries."""
    with LlmServer(dialect) as server:
        named = f"{kind}:{server.state.model}@{server.url}"
        given = {"autonomy": "confirm", "test_command": "true", "supervisor": named, **project}
        own = agents or {"work": {**WORK}, "other": {**WORK}}
        async with town(root, own, files, **given) as made:
            yield made, server, impatient(made, named)


def impatient(made: Town, named: str, answer: float = 30.0) -> Sleeper:
    """Let the model of a house be asked again at once; what it would have slept.

    It has so many seconds for each answer.
    """
    model, sleeper = made.house.models.of(named), Sleeper()
    model.sleep, model.patience = sleeper, Patience(answer=answer)
    return sleeper


async def wish(made: Town, description: str = "Make two files.", **body: Any) -> dict[str, Any]:
    """A wish that is to be planned."""
    given = {"project": "repo", "description": description, "playbook": "plan", **body}
    found, _ = await made.service.create_task(given)
    return found
