"""Programs that muster knows by name and that a general driver runs, as data.

aider (run here: 0.86.2): status 0 says nothing, but its events do (`aider.py`); it leaves `.aider*`
files and commits by itself. It obeys `.env` and `.aider.conf.yml` of the repository, that can name
a command to run and the address to send the key to, and no flag prevents it: a workspace that holds
one is refused.
mini (mini-swe-agent 2.4): its own record says why it failed (`mini.py`); takes its task only as an
argument, so that a prompt over 128 kB fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from muster.agents.acp_presets import ACP_PRESETS
from muster.agents.base import Driver, Found
from muster.agents.mini import COMMAND
from muster.agents.program import find_program, version_of

_KEYS = (
    *("OPENAI_API_KEY", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE"),
    *("GEMINI_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "OLLAMA_API_BASE"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
)


@dataclass(frozen=True, slots=True)
class Preset:
    """A program, the driver that runs it, and the options it is run with."""

    name: str
    driver: str
    program: str
    install: str
    tested: str
    options: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="aider",
            driver="command",
            program="aider",
            install="pip install aider-chat",
            tested="0.86.2",
            options={
                "command": [
                    *("aider", "--message-file", "{prompt_file}", "--edit-format", "diff"),
                    *("--yes-always", "--no-stream", "--no-pretty", "--no-gitignore"),
                    *("--no-check-update", "--analytics-disable", "--no-show-release-notes"),
                    *("--no-show-model-warnings", "--no-auto-test", "--no-auto-lint"),
                    *("--analytics-log", "/dev/stdout"),
                ],
                "model_args": ["--model", "{model}"],
                "prompt": "file",
                "refuse_files": [".env", ".aider.conf.yml", ".aider.model.settings.yml"],
                "env": {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "COLUMNS": "2000"},
                "pass_env": list(_KEYS),
            },
        ),
        Preset(
            name="mini",
            driver="command",
            program="mini",
            install="pip install mini-swe-agent mcp==2.3.0",
            tested="2.4.6",
            options={
                "command": ["sh", "-c", COMMAND, "mini"],
                "model_args": ["-m", "{model}"],
                "prompt": "file",
                "env": {
                    "MSWEA_CONFIGURED": "true",
                    "MSWEA_COST_TRACKING": "ignore_errors",
                    "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "3",
                },
                "pass_env": list(_KEYS),
            },
        ),
    )
}
"""Those that the `command` driver runs."""

NAMED: Mapping[str, Preset] = {
    **{name: replace(known, options={"preset": name}) for name, known in PRESETS.items()},
    **{
        known.name: Preset(
            known.name,
            "acp",
            known.command[0],
            known.install,
            known.tested,
            {"preset": known.name},
        )
        for known in ACP_PRESETS.values()
    },
}
"""All that are agents by their own name."""


def find_preset(preset: Preset, environ: Mapping[str, str]) -> Found:
    """Whether a preset's program is here; whether it is signed in cannot be told."""
    path = find_program(preset.program, environ)
    if path is None:
        return Found(None, hint=preset.install)
    version = version_of(path, environ)
    return Found(path, version, tested=preset.tested, install=preset.install)


def found_of(driver: Driver, options: Mapping[str, Any], environ: Mapping[str, str]) -> Found:
    """What is known of the program that a driver runs with these options."""
    if driver.name not in {"acp", "command"}:
        return driver.find(environ)
    preset = NAMED.get(str(options.get("preset", "")))
    return Found(None) if preset is None else find_preset(preset, environ)
