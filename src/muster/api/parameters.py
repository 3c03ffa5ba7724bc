"""Parameters that several routes share, as they look from outside."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Query
from starlette.requests import HTTPConnection

from muster.domain.person import SOMEBODY, Person
from muster.gate import PERSON

Limit = Annotated[int, Query(ge=1, le=200)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
LastId = Annotated[str | None, Header(alias="Last-Event-ID")]
Match = Annotated[str | None, Header(alias="If-Match")]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
Offset = Annotated[int | None, Query(ge=0, le=2**53)]


def who(connection: HTTPConnection) -> Person:
    """Who the gate let in."""
    found: Person = connection.scope.get(PERSON, SOMEBODY)
    return found


Who = Annotated[Person, Depends(who)]
