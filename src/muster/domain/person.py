"""People and their own clients: what they are called, and for whom they may decide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from muster.domain.errors import Invalid
from muster.domain.plain import plain_line

ROLE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""How a role is written, in rules of breakpoints and in tokens."""

ADMIN = "admin"
"""The role that creates, lists and revokes tokens."""

MOST_ROLES = 50
_NAME = r"[\w][\w .@+-]{0,79}"
_OF_AGENTS = r"[a-z_]+-[0-9a-f]{8}"
_WORDS = frozenset({"muster", "nobody", "somebody", "a person"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: a name, and the roles held.

    `token_id` names the token that they came in with; the first user's has none, and every role.
    """

    name: str
    roles: frozenset[str] = frozenset()
    token_id: str = ""
    every_role: bool = False

    def lacks(self, roles: Iterable[str]) -> list[str]:
        """Those of the roles that are not held, in order."""
        return [] if self.every_role else sorted(set(roles) - self.roles)


SOMEBODY = Person("a person")
"""Whoever does not say who they are; no role is theirs."""

FIRST_USER = Person("a person", every_role=True)
"""Whoever holds the home's own token."""


def name_key(name: str) -> str:
    """What is the same of two names that people would take for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def name_of(text: str) -> str:
    """A name for a token, as it was given.

    Raises:
        Invalid: it cannot be one, or would be taken for somebody else's.
    """
    name = unicodedata.normalize("NFC", text)
    if not re.fullmatch(_NAME, name) or plain_line(name) != name or name.endswith(" "):
        raise Invalid(
            f"'{plain_line(text, 60)}' cannot be the name of a token",
            hint="letters, digits, spaces and . _ @ + -, 80 at most, for example anna or ci-bot",
        )
    if name_key(name) in _WORDS or re.fullmatch(_OF_AGENTS, name_key(name)):
        raise Invalid(
            f"'{name}' would be taken for muster, an agent, or nobody in particular",
            hint="take the name of the person or program that will hold the token",
        )
    return name


def roles_of(given: Iterable[str]) -> tuple[str, ...]:
    """Roles, each once and in order.

    Raises:
        Invalid: one of them cannot be a role, or they are too many.
    """
    roles = tuple(sorted(set(given)))
    for role in roles:
        if not ROLE.fullmatch(role):
            raise Invalid(
                f"'{plain_line(role, 60)}' cannot be a role",
                hint="use small letters, digits, _ and hyphens, for example lead",
            )
    if len(roles) > MOST_ROLES:
        raise Invalid(
            f"{len(roles)} roles are too many for one token", hint=f"give at most {MOST_ROLES}"
        )
    return roles
