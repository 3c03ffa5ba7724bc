"""The tools of an agent at work: each acts on its own task, and on nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from muster.mcp.base import Arguments, Caller, Nothing, Tool
from muster.service.counter import Service

WAIT = 50.0
"""Seconds that `ask_person` waits unless told: below the limit of usual clients, 60 s."""

FINISH = "finish"
REPORT = "your report, which is owed with the status completed"


class Progress(Arguments):
    """What the agent does now."""

    text: str = Field(description="one or a few sentences on what you do now")
    percent: float | None = Field(None, ge=0, le=100, description="how far you are, if you know")


class Question(Arguments):
    """Something only a person can decide."""

    question: str = Field(description="the whole question; the person sees nothing else of yours")
    options: list[str] | None = Field(None, description="answers to choose from, if there are some")
    wait_seconds: float | None = Field(
        None, ge=0, le=300, description=f"how long to wait for the answer now; {WAIT:g} unless said"
    )


class Result(Arguments):
    """The outcome in the agent's own words."""

    status: str = Field(description="completed, failed or blocked")
    summary: str = Field(description="what was done, what was left, what you assumed")
    data: dict[str, Any] | None = Field(None, description="anything structured, up to 256 kB")


class Search(Arguments):
    """A literal search."""

    query: str = Field(description="literal text, one line, any case; no pattern, no meaning")
    below: str | None = Field(None, description="only in this folder or file")
    limit: int | None = Field(None, ge=1, le=200)


class Locks(Arguments):
    """Paths to keep others from."""

    paths: list[str] = Field(description="files or folders, relative to the repository's top")
    minutes: float | None = Field(None, gt=0, le=240, description="30 unless said")


class Release(Arguments):
    """Paths to let go of."""

    paths: list[str] | None = Field(None, description="all of yours unless said")


class OwnEvent(Arguments):
    """A fact for those who follow muster's events."""

    type: str = Field(description="a type of your own with a dot, as build.finished")
    payload: dict[str, Any] | None = Field(None, description="up to 64 kB")


class Subtask(Arguments):
    """One proposed piece of work."""

    description: str = Field(description="what should be done, complete in itself")
    title: str | None = None
    type: str | None = Field(
        None, description="feature, bug, refactor, test, documentation or chore"
    )
    paths: list[str] | None = Field(None, description="patterns the work should stay within")
    after: list[int] | None = Field(
        None, description="earlier tasks of this list, counted from 0, that must complete first"
    )


class Proposal(Arguments):
    """A list of proposed tasks."""

    tasks: list[Subtask] = Field(min_length=1, max_length=20)


def agent_of(caller: Caller) -> str:
    """Who calls, where only agents can."""
    if caller.agent is None:
        raise TypeError("the tools of agents are offered to agents only")
    return caller.agent


async def _claim(service: Service, caller: Caller, _given: Nothing) -> dict[str, Any]:
    return await service.claim_work(agent_of(caller))


async def _progress(service: Service, caller: Caller, given: Progress) -> dict[str, Any]:
    return await service.report_progress(agent_of(caller), given.sent(), caller.key)


async def _ask(service: Service, caller: Caller, given: Question) -> dict[str, Any]:
    wait = WAIT if given.wait_seconds is None else given.wait_seconds
    body = {"question": given.question, "options": given.options or []}
    return await service.ask_person(agent_of(caller), body, wait)


async def _finish(service: Service, caller: Caller, given: Result) -> dict[str, Any]:
    return await service.hand_in(agent_of(caller), given.sent(), caller.key)


async def _search(service: Service, caller: Caller, given: Search) -> dict[str, Any]:
    return await service.search_context(agent_of(caller), given.sent())


async def _take(service: Service, caller: Caller, given: Locks) -> dict[str, Any]:
    return await service.take_locks(agent_of(caller), given.sent(), caller.key)


async def _release(service: Service, caller: Caller, given: Release) -> dict[str, Any]:
    return await service.release_locks(agent_of(caller), given.sent())


async def _locks(service: Service, caller: Caller, _given: Nothing) -> dict[str, Any]:
    return await service.locks_beside(agent_of(caller))


async def _emit(service: Service, caller: Caller, given: OwnEvent) -> dict[str, Any]:
    return await service.emit_own_event(agent_of(caller), given.sent(), caller.key)


async def _propose(service: Service, caller: Caller, given: Proposal) -> dict[str, Any]:
    return await service.propose(agent_of(caller), given.sent(), caller.key)


TOOLS = (
    Tool(
        "claim_work",
        "Get the work",
        "Get the task that you are here for: its whole brief, its base commit, what was refused"
        " before, and the paths to stay within.",
        Nothing,
        _claim,
        reads=True,
    ),
    Tool(
        "report_progress",
        "Report progress",
        "Say what you do now. People see it live; it changes nothing else.",
        Progress,
        _progress,
    ),
    Tool(
        "ask_person",
        "Ask a person",
        "Ask a person something that only they can decide. Waits a while for the answer; when"
        " `answered` is false, call it again with the same question to wait on. The question stays"
        " open across restarts. `declined` means: decide for yourself and say what you assumed.",
        Question,
        _ask,
    ),
    Tool(
        FINISH,
        "Hand in a result",
        "Hand in your structured result, then end your program. It is your word only: the change"
        " itself is checked afterwards. A later call replaces an earlier one.",
        Result,
        _finish,
    ),
    Tool(
        "search_context",
        "Search the repository",
        "Find paths and lines of your task's base commit that hold some text literally. It does not"
        " search by meaning and does not see your own changes.",
        Search,
        _search,
        reads=True,
    ),
    Tool(
        "take_locks",
        "Lock paths",
        "Ask the project's other agents to leave these paths alone: all of them, or none when"
        " another agent holds one. They end with your attempt at the latest. They are an agreement:"
        " not every program is stopped from writing by them.",
        Locks,
        _take,
    ),
    Tool("release_locks", "Release paths", "Let go of locks that you hold.", Release, _release),
    Tool(
        "list_locks",
        "List locks",
        "The paths of this project that agents hold now.",
        Nothing,
        _locks,
        reads=True,
    ),
    Tool(
        "emit_event",
        "Emit an event",
        "Append a fact about your task for those who follow muster's events.",
        OwnEvent,
        _emit,
    ),
    Tool(
        "propose_subtasks",
        "Propose tasks",
        "Propose further tasks for this project that your own work needs or leaves. They run with"
        " your task's agent, limits and priority; usually a person has to say go to each.",
        Proposal,
        _propose,
    ),
)
