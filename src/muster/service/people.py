"""The counter's part for people's tokens: who holds one, with which roles, and since when not.

What the gate asks on each request is answered from memory: all living tokens by what is stored of
them. A revocation here empties it at once, and it is read anew after a few seconds anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from muster.domain.errors import Invalid, MusterError, NeedsRole
from muster.domain.ids import new_token
from muster.domain.person import ADMIN, SOMEBODY, Person, name_of, roles_of
from muster.domain.plain import plain_line
from muster.failpoint import failpoint
from muster.service import shapes
from muster.service.desk import Desk
from muster.store import people_tokens
from muster.store.agent_tokens import digest_of
from muster.store.base import Store, Tx
from muster.store.people_tokens import PersonsToken

LOOK_AGAIN_SECONDS = 5.0
"""How long what is known of the tokens counts, should another process have changed them."""

_USED_EVERY_MS = 3_600_000
_SPAN = r"([1-9][0-9]{0,4})([hdw])"
_SPANS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_LONGEST_MS = 3660 * 86_400_000


class _Known:
    """The living tokens as they were at a time of the loop; `over` is set once they are not."""

    def __init__(self, at: float, found: Sequence[PersonsToken]) -> None:
        self.at = at
        self.by_digest = {token.digest: token for token in found}
        self.by_id = {token.id: token for token in found}
        self.over = asyncio.Event()


class _Living:
    """The living tokens in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: _Known | None = None
        self._forgotten = 0
        self.used_at: dict[str, int] = {}

    async def known(self) -> _Known:
        """What is known of them, which is at most a few seconds old."""
        began = asyncio.get_running_loop().time()
        if self._known is not None and began - self._known.at < LOOK_AGAIN_SECONDS:
            return self._known
        before = self._forgotten
        found = await self._store.read(people_tokens.living)
        known = _Known(began, found)
        # What was revoked while this was read may still be in it: then nobody else is told.
        if before == self._forgotten:
            self._renew(known)
        else:
            known.over.set()
        return known

    def forget(self) -> None:
        """Read them anew, and have those look again who wait for an end."""
        self._forgotten += 1
        self._renew(None)

    def _renew(self, known: _Known | None) -> None:
        """Have those look at it who wait on what was known before: nothing is told there now."""
        if self._known is not None:
            self._known.over.set()
        self._known = known


class People(Desk):
    """Everything a door can ask about people's tokens."""

    async def create_token(self, body: Mapping[str, Any], by: Person = SOMEBODY) -> dict[str, Any]:
        """Make a token for a person or a client; only this answer has it.

        Raises:
            NeedsRole: the caller may not, or gives away a role that they do not hold.
            Conflict: a living token has this name.
        """
        name, roles = name_of(body["name"]), roles_of(body.get("roles") or ())
        lasts, token = _span(body.get("expires")), new_token()

        def write(tx: Tx) -> PersonsToken:
            asks = _refuse_others(tx, by)
            if lacked := asks.lacks(roles):
                raise NeedsRole(
                    f"{asks.name} does not hold the role '{lacked[0]}', and cannot give it away",
                    hint="ask the first user, who holds every role",
                    roles=lacked,
                )
            until = tx.now + lasts if lasts else None
            return people_tokens.create(tx, name, roles, token, asks, until)

        made = await self._store.write(write)
        self._living.forget()
        failpoint("token.kept")
        return {**self._token_shape(made), "token": token}

    async def list_tokens(self, by: Person = SOMEBODY) -> dict[str, Any]:
        """All tokens, without the tokens themselves.

        Raises:
            NeedsRole: the caller may not.
        """

        def read(tx: Tx) -> list[PersonsToken]:
            _refuse_others(tx, by)
            return people_tokens.everyone(tx)

        found = await self._store.read(read)
        return {"items": [self._token_shape(each) for each in found], "next": None}

    async def revoke_token(self, token_id: str, by: Person = SOMEBODY) -> dict[str, Any]:
        """Have a token open nothing more, from now on and in what it has open already.

        Raises:
            NeedsRole: the caller may not.
            NotFound: there is no such token.
        """

        def write(tx: Tx) -> PersonsToken:
            return people_tokens.revoke(tx, token_id, _refuse_others(tx, by))

        revoked = await self._store.write(write)
        self._living.forget()
        return self._token_shape(revoked)

    async def person_of_token(self, token: str) -> Person | None:
        """Who holds a token, as long as it opens anything."""
        known = await self._living.known()
        return await self._person(known.by_digest.get(digest_of(token)))

    async def person_of_id(self, token_id: str) -> Person | None:
        """Who holds the token of this id, as long as it opens anything."""
        known = await self._living.known()
        return await self._person(known.by_id.get(token_id))

    async def token_ended(self, token_id: str) -> None:
        """Return once the token of this id opens nothing any more."""
        while (known := await self._living.known()).by_id.get(token_id) is not None:
            token = known.by_id[token_id]
            if not token.living(self._now()):
                return
            left = (token.expires_at - self._now()) / 1000 if token.expires_at else 3600.0
            with contextlib.suppress(TimeoutError):
                wait = min(LOOK_AGAIN_SECONDS, max(0.01, left))
                await asyncio.wait_for(known.over.wait(), wait)

    async def _person(self, token: PersonsToken | None) -> Person | None:
        if token is None or not token.living(self._now()):
            return None
        since = self._living.used_at.get(token.id, token.used_at or 0)
        if self._now() - since >= _USED_EVERY_MS:
            self._living.used_at[token.id] = self._now()
            # Nobody is kept out because it cannot be written when they came.
            with contextlib.suppress(MusterError):
                await self._store.write(people_tokens.used, token.id)
        return token.person

    @cached_property
    def _living(self) -> _Living:
        return _Living(self._store)

    def _token_shape(self, token: PersonsToken) -> dict[str, Any]:
        now = self._now()
        state = "living" if token.living(now) else "revoked" if token.revoked_at else "expired"
        return {
            "id": token.id,
            "name": token.name,
            "roles": list(token.roles),
            "state": state,
            "created_at": shapes.moment(token.created_at),
            "created_by": token.created_by,
            "used_at": shapes.moment(token.used_at),
            "expires_at": shapes.moment(token.expires_at),
            "revoked_at": shapes.moment(token.revoked_at),
        }


def _refuse_others(tx: Tx, by: Person) -> Person:
    """Who asks, as they are known now, if they may deal with tokens."""
    asks = people_tokens.as_known_now(tx, by)
    if asks.lacks((ADMIN,)):
        raise NeedsRole(
            f"tokens are for the first user and the role '{ADMIN}' to create, list and revoke",
            hint="use the token in the file 'token' of muster's home",
            roles=[ADMIN],
        )
    return asks


def _span(text: str | None) -> int | None:
    """How long `30d`, `12h` or `4w` is, in milliseconds."""
    if text is None:
        return None
    found = re.fullmatch(_SPAN, text)
    length = int(found[1]) * _SPANS[found[2]] if found else 0
    if not 0 < length <= _LONGEST_MS:
        raise Invalid(
            f"a token cannot expire after '{plain_line(text, 60)}'",
            hint="say 12h, 30d or 4w, ten years at most, or nothing for a token that does not",
        )
    return length
