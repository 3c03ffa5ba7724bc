"""Managers that are shell scripts, and what becomes of their workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from engine.houses import Town, shell

START = """
put() {
    printf '%s' "$2" > "$MUSTER_MAILBOX/$1.part"
    mv "$MUSTER_MAILBOX/$1.part" "$MUSTER_MAILBOX/$1"
}
spawn() {
    put tasks/$1.json "{\\"prompt\\": \\"$2\\", \\"agent\\": \\"$3\\", \\"type\\": \\"chore\\"}"
}
ended() { while [ ! -e "$MUSTER_MAILBOX/results/$1.json" ]; do sleep 0.05; done; }
summary() {
    put results/$MUSTER_TASK.json '{"status": "completed", "output": "all of it"}'
}
"""
MAKES = shell("echo x > made-$MUSTER_TASK.txt")
FAILS = shell("echo no >&2; exit 3")
HOLDS = shell("exec sleep 600")


def manager(script: str) -> dict[str, Any]:
    return shell(f"{START}\n{script}")


def agents(script: str) -> dict[str, dict[str, Any]]:
    return {"boss": manager(script), "makes": MAKES, "fails": FAILS, "holds": HOLDS}


async def manage(place: Town, **body: Any) -> dict[str, Any]:
    """A manager's task."""
    more = {"playbook": "manager", "runtime": "process", **body}
    return await place.submit("boss", "Make two files", **more)


def mailbox_of(place: Town, task: dict[str, Any]) -> Path:
    """The mailbox of a manager at work."""
    (agent,) = task["agents"]
    return place.run_dir(agent["id"]) / "agent" / "mailbox"


async def until_file(path: Path, wanted: str) -> dict[str, Any]:
    """A file of a mailbox as soon as it says that."""
    async with asyncio.timeout(60):
        while not path.exists() or wanted not in path.read_text():
            await asyncio.sleep(0.05)
    return json.loads(path.read_text())


async def until_workers(place: Town, ref: str, wanted: list[str]) -> dict[str, Any]:
    """The manager's task as soon as its workers are in these states."""
    async with asyncio.timeout(60):
        while True:
            task = await place.service.get_task(ref)
            if sorted(worker["status"] for worker in task["workers"]) == wanted:
                return task
            await asyncio.sleep(0.05)
