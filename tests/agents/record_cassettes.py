"""Records the cassettes of Claude Code anew: `python tests/agents/record_cassettes.py`.

It runs the real program (`claude` on PATH) against the loopback model, scenario by scenario, and
writes `tests/cassettes/claude-*.jsonl`. There its folders are called /workspace and /home.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# So that it runs as a program of its own.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.jobs import job_in, start
from agents.scenarios import MODEL, SCENARIOS, START
from model_server.server import ModelServer
from muster.agents.claude import ClaudeDriver
from muster.agents.recording import cassette, record

CASSETTES = Path(__file__).resolve().parents[1] / "cassettes"


def _timed(stream, began: float) -> Iterator[tuple[float, bytes]]:
    for line in stream:
        yield time.monotonic() - began, line


def _lines(folder: Path, server: ModelServer, name: str) -> list[str]:
    scenario = SCENARIOS[name]
    credential = {scenario.credential: "sk-ant-recorded-000000"}
    job = job_in(folder, f"[[script:{name}]]", model=MODEL, budget_usd=scenario.budget_usd)
    environ = {**job.environ, **credential, "ANTHROPIC_BASE_URL": server.url}
    job = job_in(folder, job.prompt, model=MODEL, budget_usd=scenario.budget_usd, environ=environ)
    for path, text in START.items():
        (job.workspace / path).write_text(text)
    launch = ClaudeDriver().launch(job)
    began = time.monotonic()
    with start(job, launch) as process:
        process.stdin.write(launch.stdin)
        process.stdin.close()
        if scenario.interrupted:
            assert server.asked(name)
            process.send_signal(signal.SIGINT)
        out = list(_timed(process.stdout, began))
        err = list(_timed(process.stderr, began))
    after = {p.name: p.read_bytes() for p in job.workspace.iterdir() if p.is_file()}
    changes = {k: v for k, v in after.items() if v != START.get(k, "").encode()}
    changes |= {name: None for name in START if name not in after}
    # A link may stand before the folder, and a folder's name is made from the workspace's path.
    real = str(folder.resolve())
    for place in (real, re.sub("[^A-Za-z0-9]", "-", real)):
        out = [(t, line.replace(place.encode(), b"")) for t, line in out]
    return record(out, err, changes, process.returncode)


def main() -> None:
    """Record them all, or those that are named."""
    version = subprocess.run(["claude", "--version"], capture_output=True, text=True).stdout.split()
    names = sys.argv[1:] or list(SCENARIOS)
    steps = {name: scenario.steps for name, scenario in SCENARIOS.items()}
    with ModelServer(steps) as server:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="mu-") as folder:
                take = _lines(Path(folder), server, name)
            text = cassette([take], source=f"claude {version[0]}", dialect="claude")
            (CASSETTES / f"claude-{name}.jsonl").write_text(text)
            print(name, len(take), "lines", os.linesep, end="")


if __name__ == "__main__":
    main()
