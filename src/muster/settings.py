"""Settings: read once, from the environment, the home's `config.toml` and each project's own."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from muster.domain.casting import named_roles
from muster.domain.errand import MOST_WORKERS
from muster.domain.errors import Invalid
from muster.domain.model_name import split_model
from muster.domain.permission import Permissions, rule_of
from muster.domain.project import OFF, ON, ProjectSettings
from muster.domain.task import Autonomy

DEFAULT_PORT = 3020
NO_MODEL = "none"
"""Where a model could be named: none, whatever an outer setting names."""
NO_STAGE = "none"
_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_LARGEST = 256 * 1024


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        raise Invalid(f"{name} must be a text that is not empty", hint=f"got {value!r}")
    return value


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def parse(name: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if isinstance(value, bool) or not low <= number <= high:
            raise Invalid(
                f"{name} must be a number from {low:g} to {high:g}", hint=f"got {value!r}"
            )
        return number

    return parse


def _count(low: int, high: int) -> Callable[[str, Any], int]:
    parse = _number(low, high)

    def whole(name: str, value: Any) -> int:
        number = parse(name, value)
        if number != int(number):
            raise Invalid(f"{name} must be a whole number", hint=f"got {value!r}")
        return int(number)

    return whole


def _flag(name: str, value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = words.get(str(value).lower())
    if found is None:
        raise Invalid(f"{name} must be true or false", hint=f"got {value!r}")
    return found


def _http(name: str, value: Any) -> str:
    text = _text(name, value)
    if not text.startswith(("http://", "https://")):
        raise Invalid(
            f"{name} must be an address of HTTP",
            hint="for example http://127.0.0.1:4318/v1/traces",
        )
    return text


def _choice(*names: str) -> Callable[[str, Any], str]:
    def parse(name: str, value: Any) -> str:
        if value not in names:
            raise Invalid(f"{name} must be one of {', '.join(names)}", hint=f"got {value!r}")
        return str(value)

    return parse


def _globs(name: str, value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) for p in parts):
        raise Invalid(f"{name} must be a list of patterns", hint='for example ["tests/", "test_*"]')
    return tuple(p.strip() for p in parts if p.strip())


def _stages(name: str, value: Any) -> tuple[str, ...]:
    """Names of stages, `none` for none at all; which there are is for plugins to say."""
    try:
        names = _globs(name, value)
    except Invalid:
        names = ("",)
    if names == (NO_STAGE,):
        return ()
    if not all(_STAGE.fullmatch(part) for part in names) or NO_STAGE in names:
        raise Invalid(
            f"{name} must be a list of stages", hint='for example ["flaky", "coverage"], or "none"'
        )
    return tuple(dict.fromkeys(names))


def _file_inside(name: str, value: Any) -> str:
    text = _text(name, value)
    if text.startswith(("/", "~", "{")) or ".." in text.split("/"):
        raise Invalid(
            f"{name} must be a path inside the project", hint='for example "coverage/lcov.info"'
        )
    return text


def _paths(name: str, value: Any) -> tuple[str, ...]:
    paths = _globs(name, value)
    for path in paths:
        if not path.startswith(("/", "~/")) or ".." in path.split("/") or "\x00" in path:
            raise Invalid(
                f"{name} must hold whole paths, and {path!r} is none",
                hint='for example ["~/.cargo", "/srv/toolchain"]',
            )
    return paths


def _rules(name: str, value: Any) -> tuple[str, ...]:
    """Rules in their order; one to a line where they are one text."""
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
        raise Invalid(f"{name} must be a list of rules", hint='for example ["allow Edit"]')
    return tuple(rule_of(line).text for line in lines if line.strip())


def _model(name: str, value: Any) -> str:
    """The name of a model as `KIND:MODEL@URL`; which kinds there are is for plugins to say."""
    text = _text(name, value)
    if text != NO_MODEL:
        split_model(text)
    return text


def _permissions(name: str, value: Any) -> Permissions:
    return Permissions(_choice(*map(str, Permissions))(name, value))


def _name(name: str, value: Any) -> str:
    """A name as files have it; which there are is for the project to say."""
    text = _text(name, value)
    if not _STAGE.fullmatch(text):
        raise Invalid(f"{name} must be a name", hint="small letters, digits and dashes")
    return text


def _roles(name: str, value: Any) -> tuple[str, ...]:
    words = _globs(name, value)
    named_roles(words)
    return words


def _autonomy(name: str, value: Any) -> Autonomy:
    return Autonomy(_choice(*map(str, Autonomy))(name, value))


PROJECT_KEYS: Mapping[str, Callable[[str, Any], Any]] = {
    "autonomy": _autonomy,
    "accept_at": _number(0.0, 1.0),
    "agent": _text,
    "runtime": _text,
    "network": _globs,
    "setup_network": _globs,
    "readable": _paths,
    "image": _text,
    "permissions": _permissions,
    "permission_rules": _rules,
    "playbook": _name,
    "role_agents": _roles,
    "same_program": _choice(ON, OFF),
    "deploy_command": _text,
    "verify_command": _text,
    "test_command": _text,
    "setup_command": _text,
    "lint_command": _text,
    "type_command": _text,
    "test_paths": _globs,
    "evidence": _stages,
    "coverage_report": _file_inside,
    "mutant_seconds": _number(1.0, 100_000.0),
    "acceptance_tests": _choice(ON, OFF),
    "acceptance_agent": _text,
    "max_concurrent": _count(1, 1000),
    "max_workers": _count(1, MOST_WORKERS),
    "max_attempts": _count(1, 20),
    "fallback_agents": _globs,
    "fallback_after": _count(1, 20),
    "roll_back": _flag,
    "split_after": _count(0, 20),
    "budget_usd": _number(0.0, 1_000_000.0),
    "timeout_minutes": _number(0.001, 100_000.0),
    "check_timeout_minutes": _number(0.001, 100_000.0),
    "disk_mb": _count(1, 1_000_000_000),
    "memory_mb": _count(20, 1_000_000_000),
    "processes": _count(10, 1_000_000),
    "cpus": _number(0.1, 10_000.0),
    "merge_method": _choice("merge", "rebase"),
    "merge_batch": _count(1, 20),
    "ports": _count(0, 1000),
    "model": _text,
    "supervisor": _model,
    "embedding": _model,
    "model_calls_per_hour": _count(0, 100_000),
    "review": _choice("on", "off"),
    "review_votes": _count(1, 9),
    "git_user_name": _text,
    "git_user_email": _text,
}

NEEDS_TRUST = frozenset(
    {
        *("test_command", "setup_command", "lint_command", "type_command", "agent"),
        *("fallback_agents", "split_after"),
        *("playbook", "role_agents", "same_program", "deploy_command", "verify_command"),
        *("runtime", "network", "setup_network", "readable", "image"),
        *("permissions", "permission_rules"),
        *("autonomy", "accept_at", "test_paths", "budget_usd"),
        *("acceptance_tests", "acceptance_agent"),
        *("disk_mb", "memory_mb", "processes", "cpus"),
        *("evidence", "coverage_report", "mutant_seconds"),
        *("supervisor", "embedding", "review", "review_votes"),
    }
)
"""Settings that a repository's own file may only set in a version that the user trusts.

They say what is run, how far it is contained, what it may do unasked, what proves it, what it may
cost, and who is sent its code.
"""


def refuse_unknown_setting(name: str) -> None:
    """Raise `Invalid`, listing the settings there are, if there is none of this name."""
    if name not in PROJECT_KEYS:
        raise Invalid(f"there is no setting '{name}'", hint=f"settings: {', '.join(PROJECT_KEYS)}")


def parse_project_setting(name: str, value: Any) -> Any:
    """A project setting from outside, checked.

    Raises:
        Invalid: no such setting, or a value it cannot have.
    """
    refuse_unknown_setting(name)
    return PROJECT_KEYS[name](name, value)


def parse_project_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Several project settings from outside, checked."""
    return {name: parse_project_setting(name, value) for name, value in values.items()}


def plain_value(value: Any) -> Any:
    """A parsed setting as the database gives it back."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's own settings. `environ` is what drivers may pick variables from, by name."""

    home: Path
    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    database_url: str = ""
    workspaces_dir: Path | None = None
    workspace_backend: str = "auto"
    projects_dir: Path | None = None
    event_dir: Path | None = None
    queue_processor: bool = True
    multi_agent_events: bool = False
    disk_floor_mb: int = 1000
    log_format: str = "text"
    otel_endpoint: str = ""
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notify: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    project_defaults: Mapping[str, Any] = field(default_factory=dict)
    project_environment: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def workspaces(self) -> Path:
        """Where agents work."""
        return self.workspaces_dir or self.home / "workspaces"

    @property
    def events(self) -> Path:
        """Where event files are dropped."""
        return self.event_dir or self.home / "events"

    @property
    def runs(self) -> Path:
        """Where run directories lie."""
        return self.home / "runs"


_SERVER_KEYS: Mapping[str, Callable[[str, Any], Any]] = {
    "port": _count(0, 65535),
    "host": _text,
    "allowed_hosts": _globs,
    "database_url": _text,
    "workspaces_dir": lambda n, v: Path(_text(n, v)).expanduser().absolute(),
    "workspace_backend": _text,
    "projects_dir": lambda n, v: Path(_text(n, v)).expanduser().absolute(),
    "event_dir": lambda n, v: Path(_text(n, v)).expanduser().absolute(),
    "queue_processor": _flag,
    "multi_agent_events": _flag,
    "disk_floor_mb": _count(0, 10_000_000),
    "log_format": _choice("text", "json"),
    "otel_endpoint": _http,
}


def environment() -> dict[str, str]:
    """The process's environment, read once here and passed on by hand."""
    return dict(os.environ)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, or nothing when it is not there.

    Raises:
        Invalid: it is too large or not TOML; the message names the file and the line.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}", hint="make it a file that you may read"
        ) from error
    return parse_toml(data, str(path))


def parse_toml(data: bytes, name: str) -> dict[str, Any]:
    """The values in a TOML document called `name`.

    Raises:
        Invalid: it is too large or not TOML.
    """
    if len(data) > _LARGEST:
        raise Invalid(
            f"{name} is larger than {_LARGEST} bytes", hint="it should hold settings only"
        )
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{name} is not valid TOML: {error}", hint="correct the file") from error


def load(home: Path, environ: Mapping[str, str], **flags: Any) -> Settings:
    """The server's settings: flag, environment, home's `config.toml`, default.

    Raises:
        Invalid: a setting has a value it cannot have; the message names it.
    """
    document = read_toml(home / "config.toml")
    values: dict[str, Any] = {}
    projects: dict[str, Any] = {}
    for name, value in document.items():
        if name in {"agents", "notify"}:
            continue
        target = values if name in _SERVER_KEYS else projects
        target[name] = value
    values.update(_from_environment(environ, _SERVER_KEYS))
    values.update({k: v for k, v in flags.items() if v is not None})
    parsed = {name: _SERVER_KEYS[name](name, value) for name, value in values.items()}
    return Settings(
        home=home,
        agents=parse_agents(document.get("agents", {}), str(home / "config.toml")),
        notify=parse_notifiers(document.get("notify", {}), str(home / "config.toml")),
        project_defaults=parse_project_settings(projects),
        project_environment=parse_project_settings(_from_environment(environ, PROJECT_KEYS)),
        environ=dict(environ),
        **parsed,
    )


def _from_environment(environ: Mapping[str, str], keys: Mapping[str, Any]) -> dict[str, str]:
    named = {name: environ.get(f"MUSTER_{name.upper()}") for name in keys}
    return {name: value for name, value in named.items() if value}


_OF_AGENTS = (
    *("model", "budget_usd", "timeout_minutes", "runtime", "network", "readable", "permissions"),
)


def parse_agents(document: Any, name: str) -> dict[str, dict[str, Any]]:
    """The own agents of a configuration file; what a driver reads is the driver's to check.

    Raises:
        Invalid: no tables, or a value that no agent can have.
    """
    if not isinstance(document, dict) or not all(isinstance(v, dict) for v in document.values()):
        raise Invalid(f"[agents] in {name} must hold tables", hint="for example [agents.mine]")
    for agent, options in document.items():
        if not isinstance(options.get("driver", "command"), str):
            raise Invalid(
                f"[agents.{agent}] driver in {name} must be a name", hint='for example "command"'
            )
        for key in _OF_AGENTS:
            if key in options:
                PROJECT_KEYS[key](f"[agents.{agent}] {key} in {name}", options[key])
    return document


def parse_notifiers(document: Any, name: str) -> dict[str, dict[str, Any]]:
    """The notifiers of a configuration file; what one reads is its own to check.

    Raises:
        Invalid: no tables.
    """
    if not isinstance(document, dict) or not all(isinstance(v, dict) for v in document.values()):
        raise Invalid(f"[notify] in {name} must hold tables", hint="for example [notify.mine]")
    return document


def resolve(
    settings: Settings, overrides: Mapping[str, Any], file_settings: Mapping[str, Any]
) -> tuple[ProjectSettings, dict[str, str]]:
    """A project's settings and where each came from: environment, database, project, home, default.

    `file_settings` is what counts of its own `.muster/config.toml` (`own_file`).
    """
    layers: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("environment", settings.project_environment),
        ("database", overrides),
        ("project", file_settings),
        ("home", settings.project_defaults),
    )
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for item in fields(ProjectSettings):
        sources[item.name] = "default"
        for source, layer in layers:
            if layer.get(item.name) is not None:
                values[item.name] = parse_project_setting(item.name, layer[item.name])
                sources[item.name] = source
                break
    return ProjectSettings(**values), sources
