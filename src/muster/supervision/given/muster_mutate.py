"""Puts one fault after the other into a tree, and runs the tests that should notice it.

The order comes on standard input, with a secret that no test is told; what came of each fault goes
into `mutants.json`, signed with it. The tests run in processes of their own, which end before the
next fault, and never hold what is written.
"""

from __future__ import annotations

import contextlib
import ctypes
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GIVEN = Path(os.environ["MUSTER_GIVEN"])
TREE = Path(os.environ["MUSTER_TREE"])
_NOT_DUMPABLE = 4
_NOT_RUN = frozenset({3, 4, 5, 126, 127})
"""What pytest and the shell end with when no test was run; it says nothing of the fault."""


def _hide() -> None:
    """Keep other processes of the same user from reading this one's memory."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_NOT_DUMPABLE, 0, 0, 0, 0)


def tested(command: str, tests: list[str], seconds: float) -> str:
    """How these tests end: `passed`, `failed`, `timeout`, or `unknown`."""
    (GIVEN / "only.json").write_text(json.dumps(tests), "utf-8")
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return "timeout"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code in _NOT_RUN:
        return "unknown"
    return "passed" if code == 0 else "failed"


def mutated(order: dict[str, Any], fault: dict[str, Any], seconds: float) -> str:
    """How the tests of one fault end; the file is as it was afterwards."""
    path = TREE / fault["path"]
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: fault["start"]] + fault["new"].encode() + whole[fault["end"] :])
        return tested(order["command"], fault["tests"], seconds)
    finally:
        path.write_bytes(whole)


def main() -> None:
    """All faults in their order, until the time is up."""
    order = json.loads(sys.stdin.buffer.read())
    _hide()
    began = time.monotonic()
    every = sorted({test for fault in order["faults"] for test in fault["tests"]})
    # Before any fault: the tests have to pass, and their time tells what is without end.
    first = tested(order["command"], every, order["seconds"])
    took = time.monotonic() - began
    ended: dict[str, str] = {}
    if first == "passed":
        for fault in order["faults"]:
            left = order["seconds"] - (time.monotonic() - began)
            longest = 4.0 + 3 * took
            if left < min(longest, 2 * took + 0.5):
                break
            status = mutated(order, fault, min(longest, left))
            if status == "timeout" and left < longest:
                break
            ended[fault["id"]] = status
    told = json.dumps({"first": first, "took": took, "ended": ended}, sort_keys=True)
    signed = hmac.new(order["secret"].encode(), told.encode(), "sha256").hexdigest()
    draft = GIVEN / "mutants.draft"
    draft.write_text(json.dumps({"told": told, "signed": signed}), "utf-8")
    draft.replace(GIVEN / "mutants.json")


if __name__ == "__main__":
    main()
