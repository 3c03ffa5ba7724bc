"""The notifier `webhook`: the notice as JSON, signed, to an address of the person's.

`X-Muster-Signature: t=SECONDS,v1=HEX` signs `SECONDS.BODY` with HMAC-SHA256. A receiver compares
it in constant time, refuses what is old, and takes a notice of an id that it knows as delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.notify.base import Notice, Undelivered, refuse_unknown
from muster.one_address import Stay, why_silent

_SECONDS = 10.0
_LONGEST_WAIT = 300.0
_COME_BACK = frozenset({408, 425, 429})


class WebhookNotifier:
    """Posts to `url`, signed with the secret in the variable that `secret_env` names."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Read the options.

        Raises:
            Invalid: the address is none, would carry notices in the open, or the secret is not
                there.
        """
        refuse_unknown(options, frozenset({"url", "secret_env"}))
        self._url = _address(options.get("url"))
        name = options.get("secret_env")
        if not isinstance(name, str) or not name:
            raise Invalid(
                "secret_env must name a variable",
                hint='for example secret_env = "MY_WEBHOOK_SECRET", set where the server starts',
            )
        self._secret = environ.get(name, "").encode()
        if not self._secret:
            raise Invalid(f"the variable {name} is not set", hint="set it, then start the server")
        self._opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))

    async def send(self, notice: Notice) -> None:
        """Post it, beside the loop; any status of 2xx says that it was taken."""
        try:
            async with asyncio.timeout(2 * _SECONDS):
                await _aside(lambda: self._post(notice))
        except TimeoutError as error:
            raise Undelivered(f"no answer within {2 * _SECONDS:g} s", again=True) from error

    def _post(self, notice: Notice) -> None:
        body = json.dumps(notice.as_json()).encode()
        at = str(int(time.time()))
        signed = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "muster",
            "Idempotency-Key": notice.id,
            "X-Muster-Signature": f"t={at},v1={signed}",
        }
        request = urllib.request.Request(  # noqa: S310 - `_address` lets http and https alone pass
            self._url, body, headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=_SECONDS):
                return
        except urllib.error.HTTPError as error:
            with error:
                again = error.code >= 500 or error.code in _COME_BACK
                after = _seconds(error.headers.get("Retry-After"))
                raise Undelivered(f"it answered {error.code}", again=again, after=after) from error
        except (OSError, ValueError) as error:
            why = plain_line(why_silent(error), 200)
            raise Undelivered(f"nobody answers: {why}", again=True) from error


async def _aside(work: Callable[[], None]) -> None:
    """Do what blocks in a thread that nobody waits for at the end, as nobody can stop it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(fault: BaseException | None) -> None:
        if not done.done() and fault is None:
            done.set_result(None)
        elif not done.done() and fault is not None:
            done.set_exception(fault)

    def run() -> None:
        fault = None
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(settle, fault)

    threading.Thread(target=run, name="webhook", daemon=True).start()
    await done


def _address(given: object) -> str:
    url = given if isinstance(given, str) else ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable():
        raise Invalid("url must be an address", hint='for example url = "https://example.org/hook"')
    if parts.username or parts.password:
        raise Invalid("url holds a name or password", hint="sign notices instead: secret_env")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise Invalid("notices would go in the open", hint="use https; http is for this machine")
    return url


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(said: str | None) -> float | None:
    """What the receiver says of when to come back; a date says nothing here."""
    return min(float(said), _LONGEST_WAIT) if said and said.strip().isdigit() else None
