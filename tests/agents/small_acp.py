"""Agents that are small programs and speak ACP: what all of them share, and a turn of their own."""

from __future__ import annotations

import sys
from typing import Any

_HEAD = """
import json, os, pathlib, sys, time
def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()
def update(**what):
    say({"method": "session/update", "params": {"sessionId": "s-1", "update": what}})
def end(turn, why="end_turn"):
    say({"id": turn, "result": {"stopReason": why}})
def ask(call):
    options = [{"optionId": k, "kind": k} for k in ("allow_once", "allow_always", "reject_once")]
    params = {"sessionId": "s-1", "toolCall": call, "options": options}
    say({"id": 7, "method": "session/request_permission", "params": params})
def begin(session, asked):
    say({"id": session, "result": {"sessionId": "s-1"}})
def hear(message):
    pass
def rest():
    pass
CAN = {}
"""
_LOOP = """
for line in sys.stdin:
    message = json.loads(line)
    hear(message)
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        say({"id": number, "result": {"protocolVersion": 1, "agentCapabilities": CAN}})
    elif method == "session/new":
        begin(number, message["params"])
    elif method == "session/prompt":
        turn(number, "".join(part.get("text", "") for part in message["params"]["prompt"]))
rest()
"""


def speaks_acp(own: str, **given: Any) -> list[str]:
    """The command of a program whose `turn(id, prompt)` is defined in `own`.

    `own` may also say otherwise how to `begin` a session, `hear` any message and `rest` at the end,
    and what it `CAN`. The values `given` are there by their names.
    """
    values = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    return [sys.executable, "-c", f"{_HEAD}{values}{own}{_LOOP}"]


def acp_agent(own: str, **given: Any) -> dict[str, Any]:
    """The same as an own agent of a house."""
    return {"driver": "acp", "command": speaks_acp(own, **given)}
