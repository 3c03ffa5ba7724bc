"""Record conversations of the real two-way programs with the loopback model, for their contracts.

Run it by hand when a version changes: `PATH=… python -m agents.record_talks NAME…` from `tests`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from agents.pump import Talk, talk
from agents.two_way_programs import PROGRAMS, Program
from model_server.server import ModelServer
from muster.agents.base import Job

RECORDINGS = Path(__file__).parents[1] / "cassettes"
SCRIPTS = {
    "talk": [
        {
            "text": "The sign is wrong – ändern 🥊.",
            "tools": [{"tool": "write", "path": "NOTES.md", "content": "add adds – ä.\n"}],
            "usage": {"input_tokens": 1000, "output_tokens": 40},
        },
        {"text": "add adds now.", "usage": {"input_tokens": 1200, "output_tokens": 10}},
    ],
}


def lines(done: Talk, job: Job) -> list[dict]:
    """A conversation line by line; folders of this machine are named by what they are for."""
    names = {str(job.workspace): "/workspace", str(job.home): "/home/agent"}
    pieces = {"in": b"", "out": b""}
    entries: list[dict] = []
    for kind, data in done.record:
        *whole, pieces[kind] = (pieces[kind] + data).split(b"\n")
        for line in whole:
            text = line.decode()
            for path, name in names.items():
                text = text.replace(path, name)
            entries.append({kind: text})
    last = max(i for i, entry in enumerate(entries) if _is_over(entry))
    write = {"write": "NOTES.md", "text": (job.workspace / "NOTES.md").read_text()}
    return [*entries[:last], write, entries[last], {"exit": done.code}]


def _is_over(entry: dict) -> bool:
    text = entry.get("out", "")
    return any(word in text for word in ('"turn/completed"', '"stopReason"', '"type":"result"'))


def record(program: Program) -> None:
    """Record one program."""
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        ModelServer(SCRIPTS) as server,
    ):
        job = program.job(Path(folder), server.url, "talk", ask=True)
        done = asyncio.run(talk(program.driver(), job))
        assert done.ending is not None
        print(program.name, done.ending, len(done.out))
        text = "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in lines(done, job))
        (RECORDINGS / f"talk-{program.name}.jsonl").write_text(text)


if __name__ == "__main__":
    for name in sys.argv[1:] or PROGRAMS:
        record(PROGRAMS[name])
