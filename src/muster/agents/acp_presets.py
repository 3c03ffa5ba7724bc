"""Agents of the Agent Client Protocol that muster knows by name, as data.

gemini (run here: 0.61.0, node 20): with a key it still wants its kind of sign-in named in a
`settings.json`; `GEMINI_CLI_NO_RELAUNCH` leaves out a child that would keep the pipes open. How its
sessions are loaded is in `gemini_sessions.py`. It waits out limits in silence, ten times over,
unless `maxAttempts` in the settings of the user says less (those of the system are not heard for
this, and none for models of Gemini 3); and as long as the service tells it to, up to five minutes.
opencode (run here: 1.18.33): uses PWD rather than the folder it was started in; asks only for what
its configuration says; a rejected permission ends its turn; tells the tokens of a turn's last
request alone, and the cost of the whole session. It asks a service that failed five times more, in
silence: for about 75 seconds, or as long as `retry-after` says; only a plugin hears of that
(`opencode_plugin.py`). It tries to write through us what it wrote itself.
qwen (run here: 0.24.4, node 22): begins in a mode that asks little; ends with status 1 when its
standard input is closed; tells tokens beside what it says. It asks a service that failed six times
more, in silence: for about 75 seconds, or as long as `retry-after` says; `maxRetries` is of rounds
of these, a minute and more apart.

Silence for longer is ended by the engine, as waiting for the service (`engine/watch.py`).

A repository is a stranger: by themselves all three run the servers, hooks and plugins that its
settings name, and gemini and qwen load its `.env`. They are told not to trust the folder (settings
of the system, that go before all others), opencode to read no settings of the project; it loads the
plugins of one all the same, so that a repository that holds any is refused. The repository's
instructions are not read either then: the prompt points at them. Gemini and Qwen do not connect to
any MCP server then, muster's own included; OpenCode does.

Texts may hold `{home}` (the run's own folder), `{person}` (the home of whoever runs muster) and
`{model}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muster.agents.gemini_sessions import make_older
from muster.agents.opencode_plugin import FILES
from muster.agents.services import ANY, GOOGLE, OPENAI, QWEN
from muster.agents.skill import SKILL

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_NO_TEXTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class AcpPreset:
    """An agent, and how it is started, signed in, told its model, and made to ask.

    `keys` are the variables of which any one signs it in. With one of them the run gets `keyed_env`
    and `keyed_files`, a configuration of its own; without, `login_env` points at the person's.
    A contained run without a key gets `keyed_env` too, with `login_files`, and is lent the person's
    `logins`, which it looks for at the paths they are named by. `network` is whom it asks.
    `pages` are the instructions of a repository that are meant for it alone.
    `before_resume` makes a session ready to be loaded: it gets the variable `user_env` as a path.
    """

    name: str
    install: str
    tested: str
    command: tuple[str, ...]
    keys: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    files: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    keyed_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    keyed_files: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    login_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    login_files: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    logins: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    network: tuple[str, ...] = ANY
    model_args: tuple[str, ...] = ()
    model_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    ask_env: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    ask_mode: str = ""
    pages: tuple[str, ...] = ()
    refuse_files: tuple[str, ...] = ()
    end_code: int = 0
    user_env: str = ""
    before_resume: Callable[[Path, str], None] | None = None


def _gemini_settings(sign_in: str) -> str:
    """What its user has set, where muster is the user."""
    security = {"auth": {"selectedType": sign_in}, "folderTrust": {"enabled": True}}
    return json.dumps({"security": security, "general": {"maxAttempts": 2}})


_GEMINI = AcpPreset(
    name="gemini",
    install="npm install -g @google/gemini-cli, then `gemini` once to sign in",
    tested="0.61.0",
    command=("gemini", "--acp"),
    keys=("GEMINI_API_KEY",),
    pass_env=("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", *_PROXIES),
    env={
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH": "{home}/gemini-settings.json",
    },
    files={
        "{home}/gemini-settings.json": json.dumps(
            {
                "security": {"folderTrust": {"enabled": True}},
                "general": {
                    "enableAutoUpdate": False,
                    "enableAutoUpdateNotification": False,
                },
                "privacy": {"usageStatisticsEnabled": False},
                "telemetry": {"enabled": False},
            }
        )
    },
    keyed_env={"GEMINI_CLI_HOME": "{home}/gemini"},
    keyed_files={
        "{home}/gemini/.gemini/settings.json": _gemini_settings("gemini-api-key"),
        # It takes this folder for the home of its user.
        "{home}/gemini/.agents/skills/muster/SKILL.md": SKILL,
    },
    login_env={"GEMINI_CLI_HOME": "{person}"},
    login_files={"{home}/gemini/.gemini/settings.json": _gemini_settings("oauth-personal")},
    logins={
        f"{{home}}/gemini/.gemini/{name}": f"{{person}}/.gemini/{name}"
        for name in ("oauth_creds.json", "google_accounts.json")
    },
    network=GOOGLE,
    model_args=("-m", "{model}"),
    pages=("GEMINI.md",),
    user_env="GEMINI_CLI_HOME",
    before_resume=make_older,
)
_OPENCODE = AcpPreset(
    name="opencode",
    install="npm install -g opencode-ai, then `opencode auth login`",
    tested="1.18.33",
    command=("opencode", "acp"),
    keys=("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
    pass_env=(
        *("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
        *("GEMINI_API_KEY", "OPENROUTER_API_KEY", *_PROXIES),
    ),
    env={
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    },
    keyed_files=FILES,
    login_env={"XDG_DATA_HOME": "{person}/.local/share", "XDG_CONFIG_HOME": "{person}/.config"},
    login_files=FILES,
    logins={
        "{home}/.local/share/opencode/auth.json": "{person}/.local/share/opencode/auth.json",
    },
    refuse_files=tuple(f".opencode/{kind}" for kind in ("plugin", "plugins", "tool", "tools")),
    model_env={"OPENCODE_CONFIG_CONTENT": '{"model": "{model}"}'},
    ask_env={"OPENCODE_PERMISSION": json.dumps({"edit": "ask", "bash": "ask", "webfetch": "ask"})},
)
_QWEN = AcpPreset(
    name="qwen",
    install="npm install -g @qwen-code/qwen-code (node 22), then `qwen` once to sign in",
    tested="0.24.4",
    command=("qwen", "--acp"),
    keys=("OPENAI_API_KEY",),
    pass_env=("OPENAI_API_KEY", "OPENAI_BASE_URL", *_PROXIES),
    env={"QWEN_CODE_SYSTEM_SETTINGS_PATH": "{home}/qwen-settings.json"},
    files={
        "{home}/qwen-settings.json": json.dumps(
            {
                "security": {"folderTrust": {"enabled": True}},
                "general": {"enableAutoUpdate": False},
                "model": {"generationConfig": {"maxRetries": 0}},
                "privacy": {"usageStatisticsEnabled": False},
                "telemetry": {"enabled": False},
            }
        )
    },
    keyed_env={"QWEN_HOME": "{home}/qwen"},
    login_env={"QWEN_HOME": "{person}/.qwen"},
    login_files={
        "{home}/qwen/settings.json": json.dumps(
            {"security": {"auth": {"selectedType": "qwen-oauth"}}}
        )
    },
    logins={"{home}/qwen/oauth_creds.json": "{person}/.qwen/oauth_creds.json"},
    network=(*QWEN, *OPENAI),
    model_env={"OPENAI_MODEL": "{model}"},
    ask_mode="default",
    pages=("QWEN.md",),
    end_code=1,
)
ACP_PRESETS: Mapping[str, AcpPreset] = {p.name: p for p in (_GEMINI, _OPENCODE, _QWEN)}
