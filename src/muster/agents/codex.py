"""The driver of Codex, through its app-server (`codex app-server`, JSON-RPC on standard streams).

Facts, measured with 0.169.0 on Linux:
    Program   npm `@openai/codex` (a launcher of node around one static binary).
    Protocol  `codex app-server generate-json-schema --out DIR` prints it; called experimental, so a
              test checks every message of ours against it. See `codex_session.py`.
    Exit      0 when standard input is closed. A turn that failed does not end the program: only
              `turn/completed` tells, with a typed `codexErrorInfo`.
    Sign-in   OPENAI_API_KEY or CODEX_API_KEY, else the login in `$CODEX_HOME/auth.json` (default
              `~/.codex`), whose tokens rotate: a copy of it would end the other one.
    Config    `$CODEX_HOME/config.toml`: providers, MCP servers; threads are kept there too. It must
              not lie under the temporary folder, else no command runs in Codex's sandbox.
    Resume    `thread/resume` and `thread/fork`, only under the same CODEX_HOME at the same path; in
              any workspace. It finds a thread though it was killed in the middle of a turn.
    Retries   of a request and of a stream, 4 and 5 unless the provider's table says less. A
              `retry-after` of an hour is waited for in silence.
    Asking    `approvalPolicy` "never" asks nothing; "untrusted" asks before every command that is
              not known to be harmless, "on-request" when the model wants out of the sandbox.
    MCP       servers connect beside the first turn; the model finds their tools by `tool_search`
              only. `bearer_token_env_var` names a variable. One that does not answer is no error.
    Cost      tokens only; the price table knows some models.

Where muster contains the run, Codex's own sandbox is off (`danger-full-access`): a sandbox within a
sandbox fails on many machines.

A repository is a stranger: by itself the app-server marks every folder as trusted that it may
write to, and then runs the servers and hooks of its `.codex`. Where the command line says that it
is not trusted, neither these nor AGENTS.md are read; the prompt points at the latter.

Credentials: with a key or an address of the service in the server's environment the run gets
exactly these and a CODEX_HOME of its own below its home. Without, it is pointed at the person's own
login, with the person's own settings; a contained run is lent the login alone. It writes that file
in place, so that tokens it renews are the person's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.agents import options
from muster.agents.base import Capabilities, Found, Job, Launch, Session
from muster.agents.codex_session import CodexSession, Start
from muster.agents.instructions import pointer
from muster.agents.program import find_program, version_of
from muster.agents.services import OPENAI, place_of
from muster.agents.skill import skill_in
from muster.domain.agent import Usage
from muster.domain.errors import Invalid, Refused

INSTALL = "npm install -g @openai/codex, then `codex login`"
TESTED = "0.169.0"
PLACES = (".local/bin/codex",)

CREDENTIALS = ("OPENAI_API_KEY", "CODEX_API_KEY")
_PASSED_ON = (
    *CREDENTIALS,
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
_BASE_URL = "OPENAI_BASE_URL"
_OFFICIAL = "https://api.openai.com/v1"
_KNOWN = frozenset({"args", "env", "pass_env"})
_TOOL_SECONDS = 330
_LOGIN = "auth.json"
_QUIET = """\
check_for_update_on_startup = false

[analytics]
enabled = false
"""
_THREAD = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class CodexDriver:
    """Drives Codex, both ways: turns and answers go in, items and requests come out."""

    name = "codex"
    capabilities = Capabilities(
        structured=True,
        two_way=True,
        turns=True,
        steer=True,
        interrupt=True,
        resume=True,
        fork=True,
        permissions=True,
        reports_usage=True,
    )

    def find(self, environ: Mapping[str, str]) -> Found:
        """Where the program is, its version, and whether there is a sign-in; none is opened."""
        path = find_program("codex", environ, PLACES)
        if path is None:
            return Found(None, hint=INSTALL)
        login = _login(environ)
        signed_in = _own_key(environ) or (login is not None and (login / _LOGIN).is_file())
        hint = "" if signed_in else f"run `codex login`, or set {CREDENTIALS[0]}"
        return Found(path, version_of(path, environ), signed_in, hint, TESTED, INSTALL)

    def launch(self, job: Job) -> Launch:
        """The app-server; everything about the job is said over its standard input."""
        options.refuse_unknown(job.options, _KNOWN)
        path = find_program("codex", job.environ, PLACES)
        if path is None:
            raise Refused("Codex (`codex`) is not on this machine", hint=INSTALL)
        env = {name: job.environ[name] for name in _PASSED_ON if job.environ.get(name)}
        own = options.environment(job.options, job.environ)
        home, login = job.home / "codex", _login(job.environ)
        files, logins = dict(skill_in(job.home / ".agents")), dict[Path, Path]()
        base_url = job.environ.get(_BASE_URL, "")
        if login is None or _own_key(job.environ) or base_url:
            files[home / "config.toml"] = _config(job.environ)
        elif job.contained:
            files[home / "config.toml"] = _QUIET
            logins[home / _LOGIN] = login / _LOGIN
        else:
            home = login
        return Launch(
            argv=(
                *(path, "app-server", "-c", _distrust(job), *_server(job)),
                *options.words(job.options, "args"),
            ),
            env={**env, "CODEX_HOME": str(home), "PWD": str(job.workspace), **own},
            stdin=self.reader(job).opening(),
            interactive=True,
            files=files,
            secrets=tuple(sorted({*options.secrets_in(env), *options.secrets_in(own)})),
            network=(*OPENAI, *filter(None, [place_of(base_url)])),
            logins=logins,
        )

    def reader(self, job: Job) -> Session:
        """A fresh session."""
        begin, params = "thread/start", _thread(job)
        resumes = bool(job.resume_session) and "home" not in job.moved
        if job.resume_session and resumes:
            if not _THREAD.fullmatch(job.resume_session):
                raise Invalid(f"'{job.resume_session}' is not a session of Codex")
            begin = "thread/fork" if job.fork else "thread/resume"
            params["threadId"] = job.resume_session
        before = job.resume_usage if resumes else None
        prompt = job.prompt.encode("utf-8", "replace").decode()
        place, page = str(job.workspace), pointer(job.workspace)
        return CodexSession(Start(prompt, place, begin, params, before or Usage(), page))


def _distrust(job: Job) -> str:
    """A setting by which the repository's own configuration is left alone."""
    return f'projects={{ {json.dumps(str(job.workspace))} = {{ trust_level = "untrusted" }} }}'


def _server(job: Job) -> tuple[str, ...]:
    """Muster's own MCP server; a call may wait for a person."""
    if not job.mcp_url:
        return ()
    config = (
        f'url = {json.dumps(job.mcp_url)}, bearer_token_env_var = "MUSTER_TOKEN",'
        f' tool_timeout_sec = {_TOOL_SECONDS}, default_tools_approval_mode = "approve"'
    )
    return ("-c", f"mcp_servers.muster={{ {config} }}")


def _thread(job: Job) -> dict[str, Any]:
    """What the thread works with."""
    params: dict[str, Any] = {
        "cwd": str(job.workspace),
        "approvalPolicy": "untrusted" if job.ask else "never",
        "sandbox": "danger-full-access",
    }
    if model := options.model_name(job.model):
        params["model"] = model
    return params


def _login(environ: Mapping[str, str]) -> Path | None:
    """The person's own configuration folder, if it can be told."""
    given, home = environ.get("CODEX_HOME"), environ.get("HOME")
    if given:
        return Path(given)
    return Path(home, ".codex") if home else None


def _own_key(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in CREDENTIALS)


def _config(environ: Mapping[str, str]) -> str:
    """A configuration that names the service, bounds the retries and keeps quiet."""
    key = next((name for name in CREDENTIALS if environ.get(name)), CREDENTIALS[0])
    url = json.dumps(environ.get(_BASE_URL) or _OFFICIAL)
    return f"""\
model_provider = "muster"
{_QUIET}
[model_providers.muster]
name = "OpenAI"
base_url = {url}
env_key = "{key}"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
supports_websockets = false
"""
