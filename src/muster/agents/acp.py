"""The driver of any agent of the Agent Client Protocol (JSON-RPC on standard streams).

Facts, of Gemini CLI 0.61.0, OpenCode 1.18.33 and Qwen Code 0.24.4 (see `acp_presets.py`):
    Protocol  version 1. See `acp_session.py`; a test checks every message of ours with the schema
              of the protocol's own Python package.
    Exit      when standard input is closed: 0, but 1 of Qwen. Some do not end by that at all.
    Success   the answer to `session/prompt` with `stopReason` "end_turn". After a refusal by a
              person OpenCode ends its turn with it as well: the checks tell.
    Resume    `session/load`, where the agent has it; it tells its past again. What cannot be loaded
              is begun anew. The three find a session only from the folder in which it was begun, at
              the same path (OpenCode loads it elsewhere too, and then no turn of it succeeds).
    Errors    JSON-RPC errors, with the status of the service as their code (Gemini) or in words.
    Asking    `session/request_permission` with options of the agent's own; no edited input.
    MCP       servers over HTTP are named in `session/new`, with their headers by value, where the
              agent says that it takes them.
    Cost      some tell it; else the price table knows some models.

Options: `preset` (a known agent), or `command` (argv that begins to speak ACP), with `env`,
`pass_env` (names of variables of the server), `model_args` (with `{model}`, when the task names a
model), `ask_mode` (the id of the mode in which the agent asks), `refuse_files` (files of a
repository that the agent would obey). Variables are added to those of a preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.agents import options
from muster.agents.acp_presets import ACP_PRESETS, AcpPreset
from muster.agents.acp_session import AcpSession, Start
from muster.agents.base import Capabilities, Found, Job, Launch, Session
from muster.agents.instructions import pointer
from muster.agents.program import find_program, version_of
from muster.agents.skill import skill_in
from muster.agents.strangers import refuse_files
from muster.domain.agent import Usage
from muster.domain.errors import Invalid, Refused

_KNOWN = frozenset(
    {"preset", "command", "env", "pass_env", "model_args", "ask_mode", "refuse_files"}
)
_EXAMPLE = 'for example command = ["my-agent", "--acp"]'
_LONGEST_SESSION = 200


class AcpDriver:
    """Drives an agent that speaks ACP, both ways."""

    name = "acp"
    capabilities = Capabilities(
        structured=True,
        two_way=True,
        turns=True,
        interrupt=True,
        resume=True,
        permissions=True,
        reports_usage=True,
    )

    def find(self, environ: Mapping[str, str]) -> Found:
        """The first preset that is here; any other agent is named in the settings."""
        hint = f"name an agent in [agents.NAME], {_EXAMPLE}"
        for preset in ACP_PRESETS.values():
            if path := find_program(preset.command[0], environ):
                signed_in = any(environ.get(key) for key in preset.keys)
                return Found(path, version_of(path, environ), signed_in or None, hint)
        presets = "; ".join(f"{p.name}: {p.install}" for p in ACP_PRESETS.values())
        return Found(None, hint=f"{hint}; or {presets}")

    def launch(self, job: Job) -> Launch:
        """The agent's command; everything about the job is said over its standard input."""
        preset = _preset(job.options)
        argv = options.words(job.options, "command") or preset.command
        if not argv or not argv[0]:
            raise Invalid("command is missing: the agent and its arguments", hint=_EXAMPLE)
        refuse_files(_refused(job.options, preset), job.workspace)
        keyed = any(job.environ.get(key) for key in preset.keys)
        own = options.environment(job.options, job.environ)
        passed = {n: job.environ[n] for n in preset.pass_env if job.environ.get(n)}
        lent = job.contained and not keyed
        env = {**preset.env, **(preset.keyed_env if keyed or lent else preset.login_env)}
        env |= preset.ask_env if job.ask else {}
        model = options.model_name(job.model)
        if model:
            argv = (*argv, *preset.model_args, *options.words(job.options, "model_args"))
            env |= preset.model_env
        files = {**preset.files, **(preset.keyed_files if keyed else {})}
        files |= preset.login_files if lent else {}
        skill = skill_in(job.home / ".agents")
        names = {"{home}": str(job.home), "{model}": model or "", "{person}": _person(job)}
        env = {name: _filled(value, names) for name, value in env.items()} | passed
        resume = _resumed(job)
        if resume and preset.before_resume is not None:
            preset.before_resume(Path(env[preset.user_env]), resume)
        return Launch(
            argv=(_program(argv[0], job, preset), *(_filled(part, names) for part in argv[1:])),
            env={**env, **own, "PWD": str(job.workspace)},
            stdin=self.reader(job).opening(),
            interactive=True,
            files={**{Path(_filled(path, names)): text for path, text in files.items()}, **skill},
            secrets=tuple(sorted({*options.secrets_in(env), *options.secrets_in(own)})),
            network=preset.network,
            readable=options.files_in(argv[1:], job.workspace, job.home),
            logins={
                Path(_filled(at, names)): Path(_filled(own, names))
                for at, own in (preset.logins if lent else {}).items()
            },
        )

    def reader(self, job: Job) -> Session:
        """A fresh session."""
        options.refuse_unknown(job.options, _KNOWN)
        preset, resume = _preset(job.options), _resumed(job)
        if resume and (not resume.isprintable() or len(resume) > _LONGEST_SESSION):
            raise Invalid("that is not a session's id")
        if job.fork:
            raise Invalid("a session cannot be forked over ACP", hint="begin a new one")
        return AcpSession(
            Start(
                prompt=job.prompt.encode("utf-8", "replace").decode(),
                workspace=str(job.workspace),
                ask=job.ask,
                mode=options.text(job.options, "ask_mode") or preset.ask_mode,
                model=options.model_name(job.model) or "",
                resume=resume,
                before=(job.resume_usage if resume else None) or Usage(),
                end_code=preset.end_code,
                pointer=pointer(job.workspace, *preset.pages),
                servers=_servers(job),
            )
        )


def _resumed(job: Job) -> str:
    """The session to load; none that its agent would not find."""
    return "" if job.moved else job.resume_session or ""


def _servers(job: Job) -> tuple[Mapping[str, Any], ...]:
    """Muster's own MCP server."""
    if not job.mcp_url or not job.mcp_token:
        return ()
    bearer = {"name": "Authorization", "value": f"Bearer {job.mcp_token}"}
    return ({"type": "http", "name": "muster", "url": job.mcp_url, "headers": [bearer]},)


def _preset(given: Mapping[str, Any]) -> AcpPreset:
    options.refuse_unknown(given, _KNOWN)
    name = options.text(given, "preset")
    if name and name not in ACP_PRESETS:
        raise Invalid(f"there is no preset '{name}'", hint=f"presets: {', '.join(ACP_PRESETS)}")
    return ACP_PRESETS.get(name, AcpPreset("", "", "", ()))


def _refused(given: Mapping[str, Any], preset: AcpPreset) -> tuple[str, ...]:
    return options.words(given, "refuse_files") if "refuse_files" in given else preset.refuse_files


def _person(job: Job) -> str:
    """The home of the person whose login is used where there is no key."""
    return job.environ.get("HOME") or str(job.home)


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _program(name: str, job: Job, preset: AcpPreset) -> str:
    """The whole path of the program; one with a slash in it is taken from the workspace."""
    if name.startswith("~/"):
        name = str(Path(_person(job), name[2:]))
    path = find_program(str(job.workspace / name) if "/" in name else name, job.environ)
    if path is None:
        hint = preset.install or "install it, or correct command in [agents.NAME]"
        raise Refused(f"the agent '{name}' is not on this machine", hint=hint)
    return path
