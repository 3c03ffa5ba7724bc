"""What a tool of the MCP door is, and who may use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from muster.domain.errors import Invalid
from muster.domain.person import SOMEBODY, Person
from muster.service.counter import Service


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an agent at work by its id, or `by` with None. `key` makes an act happen once.

    All are what the gate and the transport say, never what the arguments say.
    """

    agent: str | None
    key: str | None = None
    by: Person = SOMEBODY

    @property
    def person(self) -> Person:
        """The person; who came in with the home's own token is told by the door they took."""
        return self.by if self.by.token_id else replace(self.by, name="a person's MCP client")


class Arguments(BaseModel):
    """What a tool takes: unknown names are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def sent(self) -> dict[str, Any]:
        """Only what the caller sent."""
        return self.model_dump(exclude_unset=True)


class Nothing(Arguments):
    """No arguments."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its name, what a model is told of it, its arguments, and the verb behind it."""

    name: str
    title: str
    says: str
    takes: type[Arguments]
    does: Callable[[Service, Caller, Any], Awaitable[dict[str, Any]]]
    reads: bool = False

    async def call(self, service: Service, caller: Caller, given: Any) -> dict[str, Any]:
        """Check the arguments, then do it.

        Raises:
            MusterError: why not, and what to do.
        """
        try:
            arguments = self.takes.model_validate(given or {})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise Invalid(
                f"{self.name}: {where}: {first['msg']}",
                hint=f"it takes: {', '.join(self.takes.model_fields) or 'nothing'}",
            ) from error
        return await self.does(service, caller, arguments)
