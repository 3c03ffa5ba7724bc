"""The driver of Claude Code without its terminal (`claude -p`), spoken with or run in one go.

Facts, measured with 2.1.329 on Linux:
    Program   npm `@anthropic-ai/claude-code`, or the native installer (`~/.local/bin/claude`).
    Prompt    on standard input, waited for a few seconds only; 150 kB are fine there, while an
              argument over 128 KiB is not.
    Output    `--output-format stream-json --verbose`; see `stream_json.py`. Lines of 320 kB occur.
    Exit      0 done, 1 any error that it reports, 143 after SIGTERM. SIGINT in mid-turn gives 0 and
              no result. An error of the service is a result of subtype "success": only `is_error`
              tells them apart.
    Sign-in   ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKEN, else the login in
              `$CLAUDE_CONFIG_DIR/.credentials.json` (default `~/.claude`; on macOS the keychain).
    Config    `$CLAUDE_CONFIG_DIR`: settings, sessions (`projects/`), the login.
    Resume    `--resume ID`, only under the same CLAUDE_CONFIG_DIR; the id stays, `total_cost_usd`
              goes on from the earlier runs, `--max-budget-usd` counts from zero.
    Two ways  `--input-format stream-json`; see `stream_json_session.py`. It ends when its standard
              input is closed. Asks over the same stream with `--permission-prompt-tool stdio`.
              A run of three steps takes 1.4 s of processor time so, 1.3 s one way, and no longer;
              muster runs it so always, since else nobody could tell it anything.
    Retries   10 with doubling delay unless CLAUDE_CODE_MAX_RETRIES says less.
    MCP       `--mcp-config` with the text itself; `${NAME}` in it is the variable. `alwaysLoad`
              shows the tools at once, else a search brings them; `--allowedTools` allows their use.
    Hooks     `--settings` with the text itself; one of type "http" starts no process, its headers
              name variables. What does not answer decides nothing. `mcp/hooks.py` answers.
    Root      refuses `--dangerously-skip-permissions` unless IS_SANDBOX=1.

A repository is a stranger: by default its `.claude/settings.json` runs hooks, sets variables and an
`apiKeyHelper`, and its `.mcp.json` starts servers, all without a question. `--setting-sources user`
with `--strict-mcp-config` leaves all of that alone, and its skills, agents and instructions too.
The instructions are wanted: `--add-dir` of the workspace brings back CLAUDE.md (with what it
includes) and nothing else, when CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD is 1. AGENTS.md is not
read that way, so it is appended to the system prompt where there is no CLAUDE.md.

Notes that the program would keep for later sessions (auto memory) are switched off: what one run
learned must not steer another unseen.

Credentials: with a key, token or address of the service in the server's environment, the run gets
exactly these and a configuration folder of its own below its home. Without, it is pointed at the
person's own login, which it can refresh and read, with the person's own settings and hooks; a
contained run is lent the login alone, in a folder of its own. Either way the program passes its
variables on to every command that it runs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from muster.agents import options
from muster.agents.base import Capabilities, Found, Job, Launch, Reader
from muster.agents.program import find_program, version_of
from muster.agents.services import ANTHROPIC
from muster.agents.skill import skill_in
from muster.agents.stream_json import StreamJsonReader
from muster.agents.stream_json_session import StreamJsonSession
from muster.domain.agent import Usage
from muster.domain.errors import Invalid, Refused
from muster.domain.redact import SHORTEST

INSTALL = "npm install -g @anthropic-ai/claude-code, then `claude` once to sign in"
TESTED = "2.1.329"
PLACES = (".local/bin/claude", ".claude/local/claude")

CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_OWN_SERVICE = (*CREDENTIALS, "ANTHROPIC_BASE_URL")
_PASSED_ON = (
    *_OWN_SERVICE,
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",
}
# Tools that reach out of the attempt: other sessions on the machine, later times, other worktrees.
_WITHOUT = (
    *("SendMessage", "ListAgents", "CronCreate", "CronDelete", "CronList", "ScheduleWakeup"),
    *("EnterWorktree", "ExitWorktree"),
)
_LOGIN = ".credentials.json"
_KNOWN = frozenset({"args", "env", "pass_env"})
_SESSION = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class ClaudeDriver:
    """Drives Claude Code: one prompt and a stream of events, or a conversation where wanted."""

    name = "claude"
    capabilities = Capabilities(
        structured=True,
        two_way=True,
        turns=True,
        steer=True,
        interrupt=True,
        resume=True,
        fork=True,
        permissions=True,
        edited=True,
        reports_usage=True,
        reports_cost=True,
    )

    def find(self, environ: Mapping[str, str]) -> Found:
        """Where the program is, its version, and whether there is a sign-in; none is opened."""
        path = find_program("claude", environ, PLACES)
        if path is None:
            return Found(None, hint=INSTALL)
        signed_in = _signed_in(environ)
        hint = "" if signed_in else f"run `claude` once to sign in, or set {CREDENTIALS[0]}"
        return Found(path, version_of(path, environ), signed_in, hint, TESTED, INSTALL)

    def launch(self, job: Job) -> Launch:
        """The command for a job; see the facts above for each flag."""
        options.refuse_unknown(job.options, _KNOWN)
        path = find_program("claude", job.environ, PLACES)
        if path is None:
            raise Refused("Claude Code (`claude`) is not on this machine", hint=INSTALL)
        env = {**_QUIET, **_credentials(job), "PWD": str(job.workspace)}
        if os.geteuid() == 0:
            env["IS_SANDBOX"] = "1"
        own = options.environment(job.options, job.environ)
        argv = (
            *(path, "-p", "--output-format", "stream-json", "--verbose"),
            *_conversation(job),
            *("--strict-mcp-config", *_server(job), "--setting-sources", "user"),
            *("--add-dir", str(job.workspace), "--disallowedTools", ",".join(_WITHOUT)),
            *_instructions(job.workspace),
            *_of_the_job(job),
            *options.words(job.options, "args"),
        )
        return Launch(
            argv=argv,
            env={**env, **own},
            stdin=self._session(job).opening() if job.two_way else _prompt(job).encode(),
            interactive=job.two_way,
            files=_files(job, env),
            secrets=tuple(sorted({*_secrets(env), *options.secrets_in(own)})),
            network=ANTHROPIC,
            logins=_logins(job, env),
        )

    def reader(self, job: Job) -> Reader:
        """A fresh reader, that is a session where the job wants to be spoken with."""
        if job.two_way:
            return self._session(job)
        return StreamJsonReader(str(job.workspace), _resumed(job))

    def _session(self, job: Job) -> StreamJsonSession:
        return StreamJsonSession(job.run_id, _prompt(job), str(job.workspace), _resumed(job))


def _prompt(job: Job) -> str:
    """The prompt as valid text."""
    return job.prompt.encode("utf-8", "replace").decode()


def _resumed(job: Job) -> Usage | None:
    """What the session to resume had used; None for a new one."""
    return job.resume_usage or Usage() if job.resume_session else None


def _conversation(job: Job) -> tuple[str, ...]:
    """How it takes its input, and whether it asks; only somebody who can answer is asked."""
    if not job.two_way:
        if job.ask:
            raise Invalid("an agent that asks must be spoken with", hint="set two_way for the job")
        return ("--dangerously-skip-permissions",)
    asks = ("--permission-prompt-tool", "stdio", "--permission-mode", "default")
    how = asks if job.ask else ("--dangerously-skip-permissions",)
    return ("--input-format", "stream-json", "--replay-user-messages", *how)


def _config_dir(environ: Mapping[str, str]) -> Path | None:
    """The person's own configuration folder, if it can be told."""
    given, home = environ.get("CLAUDE_CONFIG_DIR"), environ.get("HOME")
    if given:
        return Path(given)
    return Path(home, ".claude") if home else None


def _signed_in(environ: Mapping[str, str]) -> bool:
    if any(environ.get(name) for name in CREDENTIALS):
        return True
    folder = _config_dir(environ)
    return folder is not None and (folder / _LOGIN).is_file()


def _credentials(job: Job) -> dict[str, str]:
    """The variables that sign the run in: its own service, or the person's login."""
    env = {name: job.environ[name] for name in _PASSED_ON if job.environ.get(name)}
    login = _config_dir(job.environ)
    if login is None or job.contained or any(name in env for name in _OWN_SERVICE):
        env["CLAUDE_CONFIG_DIR"] = str(job.home / "claude")
    else:
        env["CLAUDE_CONFIG_DIR"] = str(login)
    return env


def _logins(job: Job, env: Mapping[str, str]) -> dict[Path, Path]:
    """The person's login, lent to a contained run that has no other sign-in."""
    login = _config_dir(job.environ)
    if login is None or not job.contained or any(name in env for name in _OWN_SERVICE):
        return {}
    return {job.home / "claude" / _LOGIN: login / _LOGIN}


def _secrets(env: Mapping[str, str]) -> set[str]:
    """What must not be stored: the credentials, and the values of headers of one's own."""
    values = [env[name] for name in CREDENTIALS if name in env]
    headers = env.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines()
    values += [line.partition(":")[2].strip() for line in headers]
    return {value for value in values if len(value) >= SHORTEST}


def _instructions(workspace: Path) -> tuple[str, ...]:
    """AGENTS.md as a part of the system prompt, where no CLAUDE.md takes its place."""
    own = ("CLAUDE.md", "CLAUDE.local.md", ".claude/CLAUDE.md")
    page = workspace / "AGENTS.md"
    if any((workspace / name).exists() for name in own) or page.is_symlink() or not page.is_file():
        return ()
    return ("--append-system-prompt-file", str(page))


def _server(job: Job) -> tuple[str, ...]:
    """Muster's own MCP server, its tools shown from the start and allowed without a question."""
    if not job.mcp_url:
        return ()
    bearer = {"Authorization": "Bearer ${MUSTER_TOKEN}"}
    server = {"type": "http", "url": job.mcp_url, "headers": bearer, "alwaysLoad": True}
    config = json.dumps({"mcpServers": {"muster": server}})
    return ("--mcp-config", config, "--allowedTools", "mcp__muster", *_hooks(job))


def _files(job: Job, env: Mapping[str, str]) -> Mapping[Path, str]:
    """Muster's skill, where the configuration folder is the run's own."""
    own = job.home / "claude"
    return skill_in(own) if env["CLAUDE_CONFIG_DIR"] == str(own) else {}


def _hooks(job: Job) -> tuple[str, ...]:
    """Before a file is changed muster is asked whether another agent has locked it."""
    if not job.hooks_url or "--settings" in options.words(job.options, "args"):
        return ()
    hook = {
        "type": "http",
        "url": job.hooks_url,
        "headers": {"Authorization": "Bearer $MUSTER_TOKEN"},
        "allowedEnvVars": ["MUSTER_TOKEN"],
        "timeout": 5,
    }
    before = [{"matcher": "Edit|Write|MultiEdit|NotebookEdit", "hooks": [hook]}]
    return ("--settings", json.dumps({"hooks": {"PreToolUse": before}}))


def _of_the_job(job: Job) -> list[str]:
    argv: list[str] = []
    if model := options.model_name(job.model):
        argv += ["--model", model]
    if job.budget_usd is not None:
        if not job.budget_usd > 0:
            raise Invalid("the budget of this run is not above zero", hint="raise budget_usd")
        argv += ["--max-budget-usd", f"{job.budget_usd:.6f}"]
    if job.resume_session:
        if not _SESSION.fullmatch(job.resume_session):
            raise Invalid(f"'{job.resume_session}' is not a session of Claude Code")
        argv += ["--resume", job.resume_session, *(["--fork-session"] if job.fork else [])]
    return argv
