"""Verbs about the tokens of people and their own clients: who holds which, with which roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, insert, or_, select, update

from muster.domain.errors import Conflict, NotFound
from muster.domain.event import NewEvent
from muster.domain.ids import new_id
from muster.domain.person import Person, name_key
from muster.store.agent_tokens import digest_of
from muster.store.base import Tx
from muster.store.schema import people_tokens

CREATED, REVOKED = "token.created", "token.revoked"


@dataclass(frozen=True, slots=True)
class PersonsToken:
    """A token as it is kept, which is without the token itself. Times are epoch milliseconds."""

    id: str
    name: str
    roles: tuple[str, ...]
    digest: str
    created_at: int
    created_by: str
    used_at: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None

    def living(self, now: int) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def person(self) -> Person:
        """Who holds it."""
        return Person(self.name, frozenset(self.roles), self.id)


def create(
    tx: Tx, name: str, roles: tuple[str, ...], token: str, by: Person, expires_at: int | None
) -> PersonsToken:
    """Keep a fresh token for a name.

    Raises:
        Conflict: a living token has this name.
    """
    same = next((t for t in living(tx) if name_key(t.name) == name_key(name)), None)
    if same is not None:
        raise Conflict(
            f"a token is named '{same.name}' already",
            hint=f"take another name, or end that one first: muster token revoke '{same.name}'",
        )
    made = PersonsToken(
        new_id("tok"), name, roles, digest_of(token), tx.now, by.name, None, expires_at
    )
    kept = {f: getattr(made, f) for f in PersonsToken.__slots__} | {"roles": list(roles)}
    tx.conn.execute(insert(people_tokens), kept)
    told = {"name": name, "roles": list(roles), "expires_at": expires_at, "by": by.name}
    tx.emit(NewEvent(CREATED, made.id, told))
    return made


def get(tx: Tx, token_id: str) -> PersonsToken:
    """A token by its id, living or not.

    Raises:
        NotFound: there is none.
    """
    row = _row(tx, token_id)
    if row is None:
        raise NotFound(f"there is no token '{token_id}'", hint="muster token list shows all")
    return _of(row)


def revoke(tx: Tx, token_id: str, by: Person) -> PersonsToken:
    """Have a token open nothing more; one that was revoked before stays as it is."""
    found = get(tx, token_id)
    if found.revoked_at is None:
        table = people_tokens
        tx.conn.execute(update(table).where(table.c.id == found.id).values(revoked_at=tx.now))
        tx.emit(NewEvent(REVOKED, found.id, {"name": found.name, "by": by.name}))
    return get(tx, found.id)


def everyone(tx: Tx) -> list[PersonsToken]:
    """All tokens there ever were, oldest first."""
    return [_of(row) for row in tx.conn.execute(_all())]


def living(tx: Tx) -> list[PersonsToken]:
    """The tokens that open something now, oldest first."""
    table = people_tokens
    unexpired = or_(table.c.expires_at.is_(None), table.c.expires_at > tx.now)
    query = _all().where(table.c.revoked_at.is_(None), unexpired)
    return [_of(row) for row in tx.conn.execute(query)]


def as_known_now(tx: Tx, by: Person) -> Person:
    """Who acts, with the roles of their token as it is in this transaction: none once it ended."""
    if not by.token_id:
        return by
    row = _row(tx, by.token_id)
    found = _of(row) if row is not None else None
    return found.person if found and found.living(tx.now) else Person(by.name)


def used(tx: Tx, token_id: str) -> None:
    """Keep that a token was used now."""
    table = people_tokens
    tx.conn.execute(update(table).where(table.c.id == token_id).values(used_at=tx.now))


def _all() -> Select[Any]:
    return select(people_tokens).order_by(people_tokens.c.created_at, people_tokens.c.id)


def _row(tx: Tx, token_id: str) -> Any:
    return tx.conn.execute(select(people_tokens).where(people_tokens.c.id == token_id)).first()


def _of(row: Any) -> PersonsToken:
    values = dict(row._mapping)
    return PersonsToken(**{**values, "roles": tuple(values["roles"])})
