"""What a running agent's tools were used on that is none of its own, told as events of its task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muster.agents.base import Fact
from muster.agents.base import Job as AgentJob
from muster.domain.agent import Agent
from muster.domain.event import NewEvent
from muster.engine.tools import Job, Tools
from muster.store import events
from muster.supervision.outside import Own, Tried, tried
from muster.workspace.base import Workspace

TRIED = "containment.tried"
_MOST = 20
_WHAT = {
    "agent": "other agents' folders",
    "device": "a device of the machine",
    "engine": "the socket of a container engine",
    "git": "something that git would run",
    "metadata": "the metadata service of a cloud",
    "muster": "muster's own files",
    "person": "files of people on the machine",
    "process": "another process",
}


def own_of(tools: Tools, job: Job, wanted: AgentJob, workspace: Workspace) -> Own:
    """What is the agent's own on this machine."""
    person = tools.settings.environ.get("HOME", "").rstrip("/")
    given = (
        wanted.home.parent,
        wanted.prompt_file.parent,
        tools.workspaces.agent_git(workspace),
        tools.workspaces.mirror(workspace.repo_id).path / "objects",
        *(Path(path).expanduser() for path in job.settings.readable or ()),
        *_programs(tools.settings.environ.get("PATH", ""), person),
    )
    return Own(str(workspace.tree), tuple(map(str, given)), str(tools.settings.home), person)


def _programs(path: str, person: str) -> Iterator[Path]:
    """The folders of programs, and those of a person's home with what stands beside them."""
    for folder in map(Path, filter(None, path.split(":"))):
        yield folder
        if person and folder.is_relative_to(person) and len(folder.relative_to(person).parts) > 2:
            yield folder.parent


@dataclass(slots=True)
class Tries:
    """Hears which tools an agent uses on what, and tells each place once, 20 of them at most."""

    tools: Tools
    job: Job
    agent: Agent
    own: Own
    _seen: set[Tried] = field(default_factory=set)
    _new: list[tuple[str, Tried]] = field(default_factory=list)
    _before: int | None = None

    def hear(self, fact: Fact) -> None:
        """Take in what the program reported."""
        if fact.kind not in {"tool_started", "permission"} or len(self._seen) >= _MOST:
            return
        tool = str(fact.data.get("tool", ""))
        subject = str(fact.data.get("subject") or fact.data.get("summary", ""))
        if subject.startswith("{"):
            return  # neither a command nor a path, but all that some other tool was given
        for found in tried(subject, self.own):
            if found not in self._seen and len(self._seen) < _MOST:
                self._seen.add(found)
                self._new.append((tool, found))

    async def tell(self) -> None:
        """Tell what is new; what an earlier process of muster told is not told again."""
        if not self._new:
            return
        new, self._new = self._new, []
        if self._before is None:
            self._before = await self.tools.store.read(events.count, TRIED, self.agent.id)
        for tool, found in new:
            if self._before:
                self._before -= 1
                continue
            await self.tools.store.write(events.append, self._event(tool, found))

    def _event(self, tool: str, found: Tried) -> NewEvent:
        text = f"{tool} was used on {_WHAT[found.what]}: {found.place}"
        payload: Mapping[str, Any] = {
            "tool": tool,
            "what": found.what,
            "place": found.place,
            "runtime": self.agent.runtime,
            "text": text,
        }
        task = self.job.task
        return NewEvent(TRIED, self.agent.id, payload, task.project_id, task.id)
