"""The driver of JSON lines keeps the contract."""

from __future__ import annotations

import sys

import pytest
from muster_jsonl import JsonlDriver

from agents.jobs import job_in
from contracts.driver import StructuredDriverContract

AGENT = """
import json, pathlib, sys
pathlib.Path("NOTES.md").write_text(sys.stdin.read())
for said in ({"say": "wrote NOTES.md"}, {"cost_usd": 0.5}, {"done": "all of it"}):
    print(json.dumps(said), flush=True)
"""


class TestTheJsonlDriverKeepsTheContract(StructuredDriverContract):
    @pytest.fixture
    def driver(self):
        return JsonlDriver()

    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "my-agent").symlink_to(sys.executable)
        environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
        return job_in(tmp_path, environ=environ, options={"command": ["my-agent", "-c", AGENT]})

    @pytest.fixture
    def success(self):
        return b'{"say": "reading"}\n{"cost_usd": 0.5}\n{"done": "all of it"}\n'

    @pytest.fixture
    def failures(self):
        return [(b"", 0), (b'{"say": "reading"}\n', 0), (b'{"done": "so it says"}\n', 3)]
