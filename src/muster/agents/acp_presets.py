"""Agents of the Agent Client Protocol that muster knows by name, as data.

gemini (run here: 0.61.0, node 20): with a key it still wants its kind of sign-in named in a
`settings.json`; `GEMINI_CLI_NO_RELAUNCH` leaves out a child that would keep the pipes open; tools
that the workspace is not trusted for are not offered at all, so that it is trusted: it asks each
time, or is contained. What a session was told can be loaded only a minute after it began.
opencode (run here: 1.18.33): uses PWD rather than the folder it was started in; asks only for what
its configuration says; a rejected permission ends its turn.
qwen (run here: 0.24.4, node 22): begins in a mode that asks little; ends with status 1 when its
standard input is closed.

Texts may hold `{home}` (the run's own folder), `{person}` (the home of whoever runs muster) and
`{model}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_NO_TEXTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class AcpPreset:
    """An agent, and how it is started, signed in, told its model, and made to ask.

    `keys` are the variables of which any one signs it in. With one of them the run gets `keyed_env`
    and `keyed_files`, a configuration of its own; without, `login_env` points at the person's.
    """

    name: str
    install: str
    command: tuple[str, ...]
    keys: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    keyed_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    keyed_files: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    login_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    model_args: tuple[str, ...] = ()
    model_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    ask_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    ask_mode: str = ""
    end_code: int = 0


_GEMINI = AcpPreset(
    name="gemini",
    install="npm install -g @google/gemini-cli, then `gemini` once to sign in",
    command=("gemini", "--acp"),
    keys=("GEMINI_API_KEY",),
    pass_env=("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", *_PROXIES),
    env={"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_CLI_NO_RELAUNCH": "true"},
    keyed_env={"GEMINI_CLI_HOME": "{home}/gemini"},
    keyed_files={
        "{home}/gemini/.gemini/settings.json": json.dumps(
            {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {
                    "enableAutoUpdate": False,
                    "enableAutoUpdateNotification": False,
                    "maxAttempts": 2,
                },
                "privacy": {"usageStatisticsEnabled": False},
                "telemetry": {"enabled": False},
            }
        )
    },
    login_env={"GEMINI_CLI_HOME": "{person}"},
    model_args=("-m", "{model}"),
)
_OPENCODE = AcpPreset(
    name="opencode",
    install="npm install -g opencode-ai, then `opencode auth login`",
    command=("opencode", "acp"),
    keys=("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
    pass_env=(
        *("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
        *("GEMINI_API_KEY", "OPENROUTER_API_KEY", *_PROXIES),
    ),
    env={"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"},
    login_env={"XDG_DATA_HOME": "{person}/.local/share", "XDG_CONFIG_HOME": "{person}/.config"},
    model_env={"OPENCODE_CONFIG_CONTENT": '{"model": "{model}"}'},
    ask_env={
        "OPENCODE_PERMISSION": json.dumps({"edit": "ask", "bash": "ask", "webfetch": "ask"})
    },
)
_QWEN = AcpPreset(
    name="qwen",
    install="npm install -g @qwen-code/qwen-code (node 22), then `qwen` once to sign in",
    command=("qwen", "--acp"),
    keys=("OPENAI_API_KEY",),
    pass_env=("OPENAI_API_KEY", "OPENAI_BASE_URL", *_PROXIES),
    keyed_env={"QWEN_HOME": "{home}/qwen"},
    login_env={"QWEN_HOME": "{person}/.qwen"},
    model_env={"OPENAI_MODEL": "{model}"},
    ask_mode="default",
    end_code=1,
)
ACP_PRESETS: Mapping[str, AcpPreset] = {p.name: p for p in (_GEMINI, _OPENCODE, _QWEN)}
