"""`muster mcp`: carries MCP messages between standard streams and the server's own MCP door.

The server speaks the protocol; here one line becomes one request. Messages are carried side by
side, because a call may wait for a person. A request whose answer was lost is sent again under the
same key, so that the server does it once.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from muster.cli.line import Line, command
from muster.cli.reach import reach
from muster.client.wire import Patience
from muster.domain.errors import MusterError

AT_ONCE = 8
LONGEST = 1_000_000
"""Bytes of one message; the server takes no more."""
PATIENCE = Patience(seconds=420.0, tries=20, longest_pause=2.0, read=330.0)
"""A call may wait 300 s for a person; a server that is started again comes back sooner."""
_FAILED = -32603
_UNREADABLE = -32700


@command("mcp")
def mcp(line: Line) -> None:
    """Speak MCP (Model Context Protocol) over standard input and output.

    For clients that start a program: an agent with its own token in MUSTER_TOKEN gets the tools of
    its task, a person's client those of a person. It ends with its input.
    """
    with reach(line):  # a wrong home or token is said before the first message
        Carrier(line).carry()


class Carrier:
    """Carries the messages of one client."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._writing = Lock()
        self._version = ""

    def carry(self) -> None:
        """Carry messages until the input ends and each has its answer."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for line in iter(lambda: sys.stdin.buffer.readline(LONGEST + 1), b""):
                if len(line) > LONGEST:
                    self._say(_problem(None, _UNREADABLE, "the message is longer than 1 MB"))
                    return
                message = self._read(line)
                if message is None:
                    continue
                if message.get("method") == "initialize":
                    self._send(message)  # the version that it settles goes with all others
                else:
                    pool.submit(self._send, message)

    def _read(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._say(_problem(None, _UNREADABLE, "that line is no message in JSON"))
            return None
        return message

    def _send(self, message: dict[str, Any]) -> None:
        try:
            # Looked for anew each time: a server that was started again may be elsewhere.
            with reach(self._line, PATIENCE) as muster:
                answer = muster.mcp(message, self._version)
        except MusterError as error:
            answer = _problem(message.get("id"), _FAILED, f"{error.detail}. {error.hint}")
        if message.get("method") == "initialize" and isinstance(answer, dict):
            result = answer.get("result")
            self._version = str(result.get("protocolVersion", "")) if result else ""
        if "id" in message and answer is not None:
            self._say(answer)

    def _say(self, message: Any) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._writing:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _problem(ref: Any, code: int, words: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": ref, "error": {"code": code, "message": words}}
