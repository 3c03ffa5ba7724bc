"""Who plays a role: the agent that was named for it, else one that may judge another's work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muster.domain.agent import Role
from muster.domain.errors import Invalid

JUDGES = frozenset({Role.REVIEWER, Role.VERIFIER})
"""Roles that are never played by the agent whose work they judge, nor, unasked, by its program."""


@dataclass(frozen=True, slots=True)
class Player:
    """An agent by its name, with what tells its program from others: the driver, a command."""

    name: str
    program: tuple[str, ...]


def named_roles(role_agents: Iterable[str]) -> dict[Role, str]:
    """Which agent is to play which role, of words such as `reviewer=codex`.

    Raises:
        Invalid: one of them names no role, or no agent.
    """
    found: dict[Role, str] = {}
    for word in role_agents:
        role, _, agent = (part.strip() for part in word.partition("="))
        if role not in list(Role) or not agent:
            raise Invalid(
                f"'{word[:60]}' names no role with its agent",
                hint=f"write ROLE=AGENT; roles: {', '.join(Role)}",
            )
        found[Role(role)] = agent
    return found


def player_of(
    role: Role,
    named: Mapping[Role, str],
    coder: Player,
    others: Iterable[Player],
    *,
    wrote: Iterable[Player] = (),
    same_program: bool = False,
    used: Iterable[str] = (),
) -> str:
    """The name of the agent that plays a role beside this coder.

    Who is named plays, whatever its program: a person said so. A judge who is not named has another
    program than the coder, and than all who `wrote` of the change before; of those the first that
    is not among the `used`, who judged before.

    Raises:
        Invalid: nobody may judge; the hint says how to name somebody.
    """
    if role in named:
        return named[role]
    if role not in JUDGES:
        return coder.name
    programs = {coder.program, *(player.program for player in wrote)}
    able = [player for player in others if player.program not in programs]
    before = set(used)
    fresh = [player for player in able if player.name not in before]
    chosen = next(iter(fresh or able), None)
    if chosen is not None:
        return chosen.name
    if same_program:
        return coder.name
    raise Invalid(
        f"no {role} for work of '{coder.name}': every agent here runs the same program",
        hint=f"name another one: muster project set role_agents {role}=AGENT; or let the same"
        " program judge, in a session of its own: muster project set same_program on",
    )
