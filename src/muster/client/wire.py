"""Calls over HTTP that survive what networks do: kept alive, retried, bounded in time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import count
from typing import IO, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from muster.client.problems import from_answer
from muster.domain.errors import Invalid, MusterError, Unreachable

RETRIED = frozenset({429, 500, 502, 503, 504, 507})


class Patience(NamedTuple):
    """How long a call is tried: seconds in all, times, the first and the longest pause."""

    seconds: float = 30.0
    tries: int = 6
    first_pause: float = 0.1
    longest_pause: float = 5.0
    read: float = 30.0


class Clock(NamedTuple):
    """Time as the wire sees it; a test brings its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Lost(Exception):
    """A stream broke off in a way that trying again may mend."""

    def __init__(self, error: MusterError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class Live:
    """An open stream; `lines` counts what came."""

    def __init__(self, connection: HTTPConnection, response: HTTPResponse, sock: Any) -> None:
        self.response = response
        self.lines = 0
        self._connection = connection
        self._sock = sock

    def readline(self, limit: int, seconds: float) -> bytes:
        """The next line, empty when the stream has ended; waits no longer than `seconds`.

        Raises:
            Lost: the connection broke or was silent for too long.
        """
        try:
            self._sock.settimeout(max(0.001, seconds))
            line = self.response.readline(limit)
        except (OSError, HTTPException, ValueError) as error:
            raise Lost(Unreachable(f"the stream broke off: {error}")) from error
        self.lines += 1
        return line

    def close(self) -> None:
        """Let go of the connection."""
        self.response.close()
        self._connection.close()


STEADY = Patience()
REAL_TIME = Clock()


class Answer(NamedTuple):
    """What one try brought."""

    status: int
    body: bytes
    retry_after: float | None


def path_of(*parts: str | int) -> str:
    """A route below `/api` with every part quoted, so that no id can climb out of its place."""
    return "/api/" + "/".join(quote(str(part), safe="") for part in parts)


def _query(path: str, query: Mapping[str, Any]) -> str:
    given = {}
    for key, value in query.items():
        if isinstance(value, bool):
            given[key] = "true" if value else "false"
        elif value is not None:
            given[key] = str(value)
    return f"{path}?{urlencode(given)}" if given else path


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds, whether it was a number or a date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


class Wire:
    """One server, one kept connection. Not for use by two threads at the same time."""

    def __init__(self, url: str, token: str, patience: Patience, clock: Clock) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise Invalid(
                f"'{url}' is not the address of a server",
                hint="an address reads like http://127.0.0.1:3020",
            )
        if not (token.isascii() and token.isprintable()):
            raise Invalid("the token has characters that no token has", hint="give it again")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port, self._base = parts.hostname, port, parts.path.rstrip("/")
        self._token = token
        self.patience = patience
        self.clock = clock
        self._kept: HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the kept connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """One request, tried again while that can help; the answer's JSON (None when empty).

        A POST carries an `Idempotency-Key`, the same on each try, so that a lost answer never
        makes a second thing.

        Raises:
            Unreachable: no answer within the wire's patience.
            MusterError: the server's problem, as the error class of its `code`.
        """
        answer = self._insist(method, _query(path, query or {}), body, key)
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self._stranger() from None

    def mcp(self, message: Mapping[str, Any], version: str) -> Any:
        """Carry one MCP message; its answer, None when it takes none.

        `version` is what the handshake settled on, empty before it.

        Raises:
            Unreachable: no answer within the wire's patience.
            MusterError: the door did not let it in.
        """
        headers = self._headers_for("POST", True, None)
        headers["Accept"] = "application/json, text/event-stream"
        if version:
            headers["MCP-Protocol-Version"] = version
        answer, _ = self._persist("POST", "/mcp", json.dumps(message).encode(), headers)
        try:
            said = json.loads(answer.body) if answer.body.strip() else None
        except ValueError:
            raise self._stranger() from None
        spoken = isinstance(said, dict) and "jsonrpc" in said
        if answer.status >= 300 and not spoken:
            raise from_answer(answer.status, answer.body)
        return said

    def socket(self, path: str, query: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Where a WebSocket to a route is opened, and the headers that it is opened with."""
        address = f"ws{self.url.removeprefix('http')}{_query(path, query)}"
        headers = self._headers("*/*")
        return address, {name: headers[name] for name in ("Authorization",) if name in headers}

    def text(self, path: str) -> str:
        """The answer to a GET as text."""
        return self._insist("GET", path, None, None).body.decode(errors="replace")

    def download(self, path: str, into: IO[bytes], told: Callable[[int, int | None], None]) -> int:
        """Write the answer to a GET into a file as it comes; how many bytes there were.

        `told` is told after each piece how many have come, and how many there are in all.

        Raises:
            Unreachable: no answer, or it broke off.
            MusterError: the server's problem.
        """
        connection = self._connection(self.patience.read)
        try:
            connection.request("GET", self._base + path, headers=self._headers("*/*"))
            response = connection.getresponse()
            if response.status >= 300:
                raise from_answer(response.status, response.read())
            length = response.getheader("Content-Length")
            whole = int(length) if length is not None and length.isdigit() else None
            done = 0
            while piece := response.read1(65_536):
                done += into.write(piece)
                told(done, whole)
        except (OSError, HTTPException) as error:
            raise self._silent(error) from error
        finally:
            connection.close()
        if whole is not None and done < whole:
            raise Unreachable(
                f"{self.url} broke off after {done} of {whole} bytes", hint="try again"
            )
        return done

    def _insist(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        if method == "POST":
            data = data or b"{}"
        answer, tried = self._persist(
            method, path, data, self._headers_for(method, data is not None, key)
        )
        if answer.status < 300:
            return answer
        if method == "DELETE" and answer.status == 404 and tried > 1:
            return Answer(204, b"", None)  # the try whose answer was lost did it
        raise from_answer(answer.status, answer.body)

    def _persist(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[Answer, int]:
        """The answer that no further try can better, with the number of tries."""
        end = self.clock.now() + self.patience.seconds
        problem: MusterError
        for tried in count(1):
            try:
                answer = self._once(method, path, data, headers, end)
            except (OSError, HTTPException) as error:
                self.close()
                problem, pause = self._silent(error), self.pause(tried, None)
            else:
                if answer.status not in RETRIED:
                    return answer, tried
                problem = from_answer(answer.status, answer.body)
                pause = self.pause(tried, answer.retry_after)
            if tried >= self.patience.tries or self.clock.now() + pause >= end:
                raise problem
            self.clock.sleep(pause)
        raise AssertionError  # pragma: no cover (count() does not end)

    def _once(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], end: float
    ) -> Answer:
        timeout = max(0.1, min(self.patience.read, end - self.clock.now()))
        if self._kept is None:
            self._kept = self._connection(timeout)
        elif self._kept.sock is not None:
            self._kept.sock.settimeout(timeout)
        self._kept.request(method, self._base + path, data, headers)
        response = self._kept.getresponse()
        body = response.read()
        return Answer(response.status, body, _seconds(response.getheader("Retry-After")))

    def listen(self, path: str, query: Mapping[str, Any], last_id: str) -> Live:
        """One connection of its own to a live stream, taken up after the message `last_id`.

        Raises:
            Lost: it may work when tried again.
            MusterError: the server refused the stream.
        """
        headers = self._headers("text/event-stream")
        if last_id:
            headers["Last-Event-ID"] = last_id
        connection = self._connection(self.patience.read)
        try:
            connection.request("GET", self._base + _query(path, query), headers=headers)
            sock = connection.sock  # the connection forgets it once the server says `close`
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise Lost(self._silent(error)) from error
        live = Live(connection, response, sock)
        if response.status == 200 and "event-stream" in response.headers.get("Content-Type", ""):
            return live
        raise self._refusal(live)

    def _refusal(self, live: Live) -> Exception:
        """Why this answer is no stream; the connection is closed."""
        response = live.response
        try:
            body = response.read()
        except (OSError, HTTPException) as error:
            return Lost(self._silent(error))
        finally:
            live.close()
        if response.status < 300:
            return self._stranger()
        problem = from_answer(response.status, body)
        if response.status in RETRIED:
            return Lost(problem, _seconds(response.getheader("Retry-After")))
        return problem

    def _connection(self, timeout: float) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _headers_for(self, method: str, has_body: bool, key: str | None) -> dict[str, str]:
        headers = self._headers("application/json")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
            raise Invalid(
                f"{key!r} cannot be an idempotency key", hint="use printable ASCII characters"
            )
        if method == "POST":
            headers["Idempotency-Key"] = key or os.urandom(16).hex()
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "muster-client"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def pause(self, tried: int, asked: float | None) -> float:
        """Seconds before the next try: what the server asked, else longer each time."""
        if asked is not None:
            return asked
        longest: float = min(
            self.patience.longest_pause, self.patience.first_pause * 2 ** (tried - 1)
        )
        return longest * (0.5 + os.urandom(1)[0] / 510)

    def _silent(self, error: Exception) -> Unreachable:
        return Unreachable(f"no answer from {self.url}: {str(error) or type(error).__name__}")

    def _stranger(self) -> Unreachable:
        return Unreachable(
            f"what answers at {self.url} is not muster", hint="check the address and the port"
        )
