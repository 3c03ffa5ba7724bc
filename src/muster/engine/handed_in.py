"""What an agent handed in of its outcome: by a file at its end, or by its tools or its mailbox."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.domain.agent import Agent
from muster.domain.errors import Invalid
from muster.domain.secret_names import secrets_in
from muster.domain.telling import RESULT_BYTES, Telling
from muster.engine.foreign import read_small
from muster.engine.hidden import without_secrets
from muster.engine.tools import Tools
from muster.supervision.reports import Report, report_of

_LARGEST = 1_000_000


def result_of(tools: Tools, agent: Agent) -> object:
    """The agent's own result, which is a stranger's and may be anything; None where there is none.

    One that it handed in counts where its file is none.
    """
    left = _file(_path(tools, agent))
    if isinstance(left, dict) and isinstance(left.get("output"), str):
        left["output"] = without_secrets(tools, agent.id, left["output"])
    return left if isinstance(left, dict) and left else _told(agent) or left


def report_from(tools: Tools, agent: Agent) -> Report:
    """The report of an agent whose role has one: in its file, else what it handed in before.

    Raises:
        Invalid: there is none, or none that can be taken; the words are fit to be told to whoever
            tries it next.
    """
    left, told = _file(_path(tools, agent)), _told(agent)
    refused = None
    for said in (left, told):
        if isinstance(said, Mapping) and said.get("data"):
            try:
                return report_of(agent.role, _fit(tools, agent, said["data"]))
            except Invalid as error:
                refused = refused or error
    raise refused or Invalid(
        f"the {agent.role} handed in no report",
        hint="hand one in by the tool `finish`, the mailbox, or the file at MUSTER_RESULT",
    )


def _fit(tools: Tools, agent: Agent, data: object) -> Any:
    """What may be kept of it, within bounds and without secrets.

    Raises:
        Invalid: it is out of bounds.
    """
    telling = Telling(secrets_in(tools.settings.environ))
    return _masked(tools, agent.id, telling.document(data, "data", RESULT_BYTES))


def _masked(tools: Tools, agent_id: str, value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(tools, agent_id, value)
    if isinstance(value, dict):
        return {name: _masked(tools, agent_id, inner) for name, inner in value.items()}
    return [_masked(tools, agent_id, each) for each in value] if isinstance(value, list) else value


def _path(tools: Tools, agent: Agent) -> Path:
    return tools.run_dir(agent.id) / "agent" / "result.json"


def _file(path: Path) -> object:
    """What the agent left at MUSTER_RESULT; False for what is no small file of JSON."""
    data = read_small(path, _LARGEST)
    if data is None:
        return False if os.path.lexists(path) else None
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False


def _told(agent: Agent) -> Mapping[str, Any] | None:
    """What the agent said of its outcome by its tools or its mailbox, as a result file says it."""
    said = agent.result
    if said is None:
        return None
    return {"status": said["status"], "output": said["summary"], "data": said.get("data")}
