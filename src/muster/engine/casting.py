"""Which agent plays the role that a task has come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from muster.agents.presets import NAMED
from muster.agents.program import find_program
from muster.domain.agent import Role
from muster.domain.casting import Player, named_roles, player_of
from muster.domain.errors import Invalid
from muster.domain.playbook import role_of
from muster.engine.tools import Job, Tools, in_thread, program_name
from muster.store.base import Tx
from muster.store.judgements import verdicts_of
from muster.store.papers import REVIEWS, paper_of

_DO_THE_TASK = frozenset({Role.CODING, Role.MANAGER})
_INSTALLED = ("claude", "codex")


async def cast(tools: Tools, job: Job) -> Job:
    """The job with who plays its role; the same whenever it is asked during an attempt.

    Raises:
        Invalid: nobody may play it; the hint says how to name somebody.
    """
    role, named = role_of(job.task), named_roles(job.settings.role_agents or ())
    if role in _DO_THE_TASK:
        return replace(job, player=None if job.task.agent else named.get(role))
    used = await tools.store.read(_judged_before, job) if role is Role.REVIEWER else ()
    bare = replace(job, player=None if job.task.agent else named.get(Role.CODING))
    coder = _player(tools, job, program_name(tools, bare))
    names = await tools.store.read(_wrote, job)
    known = {*tools.agent_names(), *job.agents}
    wrote = [_player(tools, job, name) for name in names if name in known]
    same = job.settings.same_program == "on"

    def choose() -> str:
        own = (_player(tools, job, n) for n in dict.fromkeys((*tools.settings.agents, *job.agents)))
        try:
            return player_of(role, named, coder, own, wrote=wrote, used=used)
        except Invalid:
            others = _installed(tools, job)
            return player_of(role, named, coder, others, wrote=wrote, same_program=same, used=used)

    chosen = await in_thread(choose)
    return bare if chosen == coder.name else replace(job, player=chosen)


def _judged_before(tx: Tx, job: Job) -> tuple[str, ...]:
    """Who has read this state of the pull request before, as they are named."""
    items = (paper_of(tx, job.task.id, REVIEWS) or {"items": []})["items"]
    return tuple(str(one["by"]) for one in items if one["round"] == job.task.rounds)


def _wrote(tx: Tx, job: Job) -> tuple[str, ...]:
    """Who left work that was judged, whoever the coder is by now."""
    cases = [v.case for v in verdicts_of(tx, job.task.id) if v.case and v.case.get("commit")]
    return tuple(dict.fromkeys(str(case["agent"]) for case in cases))


def _player(tools: Tools, job: Job, name: str) -> Player:
    driver, options = tools.driver(name, job.agents)
    command = options.get("command") or options.get("preset") or ""
    words = command if isinstance(command, list | tuple) else (command,)
    return Player(name, (driver.name, *map(str, words)))


def _installed(tools: Tools, job: Job) -> Iterator[Player]:
    """Who might judge where no own agent may: the known programs that are on this machine."""
    environ = tools.settings.environ
    for name in _INSTALLED:
        if name in tools.drivers and find_program(name, environ):
            yield _player(tools, job, name)
    for name, preset in NAMED.items():
        if find_program(preset.program, environ):
            yield _player(tools, job, name)
