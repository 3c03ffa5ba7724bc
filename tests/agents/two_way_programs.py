"""The real two-way programs of the tests: how each is pointed at the loopback model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.jobs import job_in
from muster.agents.acp import AcpDriver
from muster.agents.base import Driver, Job
from muster.agents.claude import ClaudeDriver
from muster.agents.codex import CodexDriver

KEY = "sk-test-0123456789abcdef"
START = {"sums.py": "def add(a, b):\n    return a - b\n"}
_OPENCODE = {
    "provider": {
        "loopback": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "loopback",
            "options": {"baseURL": "{url}/v1", "apiKey": KEY},
            "models": {"scripted": {"name": "scripted", "tool_call": True}},
        }
    },
    "model": "loopback/scripted",
}


@dataclass(frozen=True)
class Program:
    """A program: its driver, the model it is asked for, and the variables that lead it to it."""

    name: str
    driver: Callable[[], Driver]
    model: str | None
    environ: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)

    def job(self, folder: Path, url: str, script: str, **changes: Any) -> Job:
        """A job whose prompt chooses a script of the model at `url`."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "person"),
            **{name: value.replace("{url}", url) for name, value in self.environ.items()},
        }
        given = {"environ": environ, "model": self.model, "options": self.options, "two_way": True}
        job = job_in(folder, f"Go on: [[script:{script}]]", **{**given, **changes})
        for path, text in START.items():
            (job.workspace / path).write_text(text)
        return job


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "claude",
            ClaudeDriver,
            "claude-sonnet-4-5",
            {"ANTHROPIC_BASE_URL": "{url}", "ANTHROPIC_API_KEY": KEY},
        ),
        Program(
            "codex",
            CodexDriver,
            "gpt-5.5",
            {"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": KEY},
        ),
        Program(
            "gemini",
            AcpDriver,
            "gemini-2.5-flash",
            {"GOOGLE_GEMINI_BASE_URL": "{url}", "GEMINI_API_KEY": KEY},
            {"preset": "gemini"},
        ),
        Program(
            "opencode",
            AcpDriver,
            None,
            {"OPENCODE_CONFIG_CONTENT": json.dumps(_OPENCODE)},
            {"preset": "opencode"},
        ),
        Program(
            "qwen",
            AcpDriver,
            "qwen3-coder-plus",
            {"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": KEY},
            {"preset": "qwen"},
        ),
    )
}
