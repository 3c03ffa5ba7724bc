"""What readers keep in mind of an agent's output, however much of it there is."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from muster.agents import acp_session, codex_session
from muster.agents.acp_session import AcpSession
from muster.agents.codex_session import CodexSession
from muster.agents.in_mind import LARGEST
from muster.agents.stream_json_session import StreamJsonSession

LARGE = "x" * 1_000_000
TIMES = 3 * LARGEST // len(LARGE)

Lines = Callable[[int], dict[str, Any]]


def claude() -> StreamJsonSession:
    return StreamJsonSession("run", "do it")


def codex() -> CodexSession:
    return CodexSession(codex_session.Start("do it", "/w", "thread/start", {}))


def acp() -> AcpSession:
    session = AcpSession(acp_session.Start("do it", "/w", ask=True))
    session.feed(b'{"id": "session", "result": {"sessionId": "s"}}\n')
    return session


def claude_uses(n: int) -> dict[str, Any]:
    given = {"file_path": "a", "content": LARGE}
    block = {"type": "tool_use", "id": f"{n}", "name": "Write", "input": given}
    return {"type": "assistant", "message": {"id": f"{n}", "content": [block]}}


def claude_counts(n: int) -> dict[str, Any]:
    message = {"id": f"{n}{LARGE}", "content": [], "usage": {"input_tokens": 1}}
    return {"type": "assistant", "message": message}


def claude_hears(n: int) -> dict[str, Any]:
    return {"type": "user", "isReplay": True, "uuid": f"{n}{LARGE}"}


def claude_asks(n: int) -> dict[str, Any]:
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": LARGE}}
    return {"type": "control_request", "request_id": f"{n}", "request": request}


def codex_uses(n: int) -> dict[str, Any]:
    changes = [{"path": "a", "diff": LARGE}]
    item = {"id": f"{n}", "type": "fileChange", "changes": changes}
    return {"method": "item/started", "params": {"item": item}}


def codex_asks(n: int) -> dict[str, Any]:
    params = {"command": LARGE}
    return {"id": n, "method": "item/commandExecution/requestApproval", "params": params}


def acp_uses(n: int) -> dict[str, Any]:
    update = {"sessionUpdate": "tool_call", "toolCallId": f"{n}", "rawInput": {"content": LARGE}}
    return {"method": "session/update", "params": {"update": update}}


def acp_asks(n: int) -> dict[str, Any]:
    call = {"toolCallId": f"{n}", "rawInput": {"command": LARGE}}
    return {"id": n, "method": "session/request_permission", "params": {"toolCall": call}}


EACH = [
    *((claude, line) for line in (claude_uses, claude_counts, claude_hears, claude_asks)),
    *((codex, line) for line in (codex_uses, codex_asks)),
    *((acp, line) for line in (acp_uses, acp_asks)),
]


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("make", "line"), EACH)
def test_no_output_of_an_agent_fills_the_servers_memory(make: Callable[[], Any], line: Lines):
    session = make()
    for n in range(TIMES):
        session.feed(json.dumps(line(n)).encode() + b"\n")
        session.replies()
    held, _ = tracemalloc.get_traced_memory()
    assert held < 2 * LARGEST + 10 * len(LARGE)


@pytest.mark.parametrize(("make", "line"), EACH)
def test_what_can_be_read_and_not_be_written_again_is_heard(make: Callable[[], Any], line: Lines):
    session = make()
    shape = json.dumps(line(1)).replace(json.dumps(LARGE), "NESTED")
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit()):
        session.feed(shape.replace("NESTED", "[" * depth + "]" * depth).encode() + b"\n")
