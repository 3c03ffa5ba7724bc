"""The counter's part for webhooks: a forge says that something moved, and signs that.

What it says is used for one thing alone: which pull request to look at. What is there is then asked
of the forge itself, so that a payload can do no more than cost a look.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from muster.domain.errors import Invalid, MusterError, NotFound, NotSignedIn
from muster.service.desk import Desk
from muster.store import forge_hints, keys
from muster.store.base import Tx

GITHUB = "github"
LARGEST_PAYLOAD = 5_000_000
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_DELIVERY = re.compile(r"[0-9A-Za-z-]{1,100}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_LARGEST_NUMBER = 2**31
_OF_ONE = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})
_OF_SEVERAL = frozenset({"check_suite", "check_run"})
_OF_ALL = frozenset({"push", "status"})
_MOST_WRONG = 60
_WITHIN_MS = 60_000


class TooManyWrong(MusterError):
    """So many were not signed that no more are read for a while."""

    code, title, status, exit_code = "too-many", "Too many calls", 429, 1


class ForgeHooks(Desk):
    """What a forge sends unasked."""

    def refuse_webhook(self, signature: str) -> None:
        """Refuse a delivery before its body is read.

        Raises:
            NotFound: no secret is set, so that nobody could sign one.
            NotSignedIn: it has no signature.
            TooManyWrong: too many wrong ones came within a minute.
        """
        if not self._own.settings.github_webhook_secret:
            raise NotFound("there is no webhook here", hint="set github_webhook_secret")
        since = self._now() - _WITHIN_MS
        while self._wrong and self._wrong[0] < since:
            self._wrong.popleft()
        if len(self._wrong) >= _MOST_WRONG:
            raise TooManyWrong("too many wrong signatures", hint="see that the secret is the same")
        if not _SIGNATURE.fullmatch(signature):
            self._wrong.append(self._now())
            raise NotSignedIn("the delivery is not signed", hint="give the webhook a secret")

    async def webhook(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Take a delivery of GitHub's; the same one again is harmless.

        Raises:
            NotSignedIn: the signature is not that of the secret.
            Invalid: it is signed, and not as GitHub writes deliveries.
        """
        signature = headers.get("x-hub-signature-256", "")
        self.refuse_webhook(signature)
        secret = self._own.settings.github_webhook_secret.encode()
        right = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), right.encode()):
            self._wrong.append(self._now())
            raise NotSignedIn("the signature is not right", hint="is the secret the same there?")
        key = headers.get("x-github-delivery", "")
        if not _DELIVERY.fullmatch(key):
            raise Invalid("the delivery has no id", hint="GitHub sends X-GitHub-Delivery")
        moved = list(_moved(headers.get("x-github-event", ""), body))

        def write(tx: Tx) -> dict[str, Any]:
            looks = sum(self._look_soon(tx, repo, number) for repo, number in moved)
            return {"taken": bool(moved), "looks": looks}

        answer, again = await self._store.write(keys.once, f"webhook {key}", moved, write)
        return {**answer, "again": again}

    async def forge_moved(self, repo: str, number: int | None) -> None:
        """Have a pull request looked at soon, or all open ones of a repository."""
        await self._store.write(self._look_soon, repo, number)

    def _look_soon(self, tx: Tx, repo: str, number: int | None) -> int:
        return forge_hints.look_soon(tx, GITHUB, repo, number)

    @cached_property
    def _wrong(self) -> deque[int]:
        """When wrong ones came, the newest last; epoch milliseconds."""
        return deque(maxlen=_MOST_WRONG)


def _moved(event: str, body: bytes) -> Iterator[tuple[str, int | None]]:
    """The repository and the numbers of pull requests that a delivery is about."""
    if event not in _OF_ONE | _OF_SEVERAL | _OF_ALL:
        return
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("the delivery is no JSON", hint="choose application/json there") from error
    repo = _within(told, "repository", "full_name")
    if not isinstance(repo, str) or not _REPOSITORY.fullmatch(repo):
        raise Invalid("the delivery names no repository", hint="GitHub sends repository.full_name")
    if event in _OF_ALL:
        yield repo, None
    elif event in _OF_ONE:
        yield from ((repo, n) for n in [_within(told, "pull_request", "number")] if _is_number(n))
    else:
        pulls = _within(told, event, "pull_requests")
        for pull in pulls[:100] if isinstance(pulls, list) else ():
            number = _within(pull, "number")
            if _is_number(number):
                yield repo, number


def _within(data: Any, *path: str) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value < _LARGEST_NUMBER
