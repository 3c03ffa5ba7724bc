"""The driver of any program that takes a prompt, works in its folder and ends with a status.

Facts: the outcome is the exit status alone, 0 or not; what the program says is shown and never
changes a state. Only of a preset that keeps a record of its own more is known. The program works in
the workspace, finds the prompt on standard input or in the file that MUSTER_PROMPT_FILE names, and
may leave a structured result at the path in MUSTER_RESULT.
There is no session to resume and no account of tokens or cost.

Options: `command` (with `{prompt_file}` and `{model}`), `prompt` (stdin or file), `env` (variables
as given), `pass_env` (names of variables of the server), `model_args` (added when the task names a
model), `preset` (a known program to start from), `refuse_files` (files of a repository that the
program would obey, so that it is not started beside them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from muster.agents import options
from muster.agents.aider import AiderReader
from muster.agents.base import Capabilities, Found, Job, Launch, Reader
from muster.agents.mini import MiniReader
from muster.agents.plain_text import PlainTextReader
from muster.agents.presets import PRESETS, find_preset
from muster.agents.program import find_program
from muster.agents.services import ANY
from muster.agents.strangers import refuse_files
from muster.domain.errors import Invalid, Refused

_READERS: Mapping[str, Callable[[], Reader]] = {"aider": AiderReader, "mini": MiniReader}
_KNOWN = frozenset({"command", "prompt", "env", "pass_env", "preset", "model_args", "refuse_files"})
_EXAMPLE = 'for example command = ["my-agent", "--file", "{prompt_file}"]'


class CommandDriver:
    """Drives the program that `command` of `[agents.NAME]` names, or a preset."""

    name = "command"
    capabilities = Capabilities()

    def find(self, environ: Mapping[str, str]) -> Found:
        """The first preset that is here; any other program is named in the settings."""
        hint = f"name a program in [agents.NAME], {_EXAMPLE}"
        for preset in PRESETS.values():
            found = find_preset(preset, environ)
            if preset.driver == self.name and found.path:
                return Found(found.path, found.version, None, hint)
        presets = "; ".join(f"{p.name}: {p.install}" for p in PRESETS.values())
        return Found(None, hint=f"{hint}; or {presets}")

    def launch(self, job: Job) -> Launch:
        """The command with its placeholders filled in."""
        chosen = _with_preset(job.options)
        refuse_files(options.words(chosen, "refuse_files"), job.workspace)
        by_file = options.choice(chosen, "prompt", "stdin", "file") == "file"
        own = options.environment(chosen, job.environ)
        argv = _argv(chosen, job)
        preset = PRESETS.get(options.text(chosen, "preset"))
        program = find_program(preset.program, job.environ) if preset else None
        return Launch(
            argv=argv,
            env={
                **own,
                "MUSTER_PROMPT_FILE": str(job.prompt_file),
                "MUSTER_RESULT": str(job.result_file),
                "PWD": str(job.workspace),
            },
            stdin=b"" if by_file else job.prompt.encode("utf-8", "replace"),
            secrets=options.secrets_in(own),
            network=ANY,
            readable=(
                *options.files_in(argv[1:], job.workspace, job.home),
                *([program] if program else []),
            ),
        )

    def reader(self, job: Job) -> Reader:
        """A fresh reader."""
        return _READERS.get(options.text(job.options, "preset"), PlainTextReader)()


def _with_preset(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options with those of their preset below them; variables are joined one by one."""
    options.refuse_unknown(given, _KNOWN)
    name = options.text(given, "preset")
    if not name:
        return given
    if name not in PRESETS:
        raise Invalid(f"there is no preset '{name}'", hint=f"presets: {', '.join(PRESETS)}")
    base = PRESETS[name].options
    own = {"env": given["env"]} if "env" in given else {}
    env = {**base.get("env", {}), **options.environment(own, {})}
    passed = [*base.get("pass_env", ()), *options.words(given, "pass_env")]
    return {**base, **given, "env": env, "pass_env": passed}


def _argv(chosen: Mapping[str, Any], job: Job) -> tuple[str, ...]:
    command = options.words(chosen, "command")
    if not command or not command[0]:
        raise Invalid("command is missing: the program and its arguments", hint=_EXAMPLE)
    model = options.model_name(job.model)
    if model:
        command = (*command, *options.words(chosen, "model_args"))
    elif any("{model}" in part for part in command):
        raise Invalid("command needs a {model} and the task names none", hint="give --model")
    return (_program(command[0], job, chosen), *_filled(command[1:], job, model or ""))


def _filled(parts: Sequence[str], job: Job, model: str) -> list[str]:
    file = str(job.prompt_file)
    return [part.replace("{prompt_file}", file).replace("{model}", model) for part in parts]


def _program(name: str, job: Job, chosen: Mapping[str, Any]) -> str:
    """The whole path of the program; one with a slash in it is taken from the workspace."""
    if name.startswith("~/") and job.environ.get("HOME"):
        name = str(Path(job.environ["HOME"], name[2:]))
    looked_for = str(job.workspace / name) if "/" in name else name
    path = find_program(looked_for, job.environ)
    if path is None:
        preset = PRESETS.get(options.text(chosen, "preset"))
        hint = preset.install if preset else "install it, or correct command in [agents.NAME]"
        raise Refused(f"the program '{name}' is not on this machine", hint=hint)
    return path
