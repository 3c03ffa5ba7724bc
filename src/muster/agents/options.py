"""The options of `[agents.NAME]`, checked; every message names the option that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.secret_names import secrets_in as secrets_in

OF_THE_ENGINE = frozenset(
    {"driver", "timeout_minutes", "model", "budget_usd", "runtime", "permissions"}
    | {"network", "readable"}
)
"""Options of every agent that no driver reads."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL = re.compile(r"[A-Za-z0-9][\w.:/@+\[\]-]{0,199}")


def refuse_unknown(options: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise `Invalid` for an option that nothing reads."""
    strange = sorted(set(options) - known - OF_THE_ENGINE)
    if strange:
        raise Invalid(
            f"there is no option '{strange[0]}' for this agent",
            hint=f"options: {', '.join(sorted(known | OF_THE_ENGINE))}",
        )


def environments(agents: Iterable[Any]) -> Iterator[dict[str, str]]:
    """The variables that the options of agents give them, of each that gives any."""
    for options in agents:
        env = options.get("env") if isinstance(options, Mapping) else None
        if isinstance(env, Mapping):
            yield {str(name): str(value) for name, value in env.items()}


def words(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts; empty when the option is not given."""
    value = options.get(name, ())
    fine = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    if not fine or any("\x00" in v for v in value):
        raise Invalid(f"{name} must be a list of texts", hint=f'for example {name} = ["a", "b"]')
    return tuple(value)


def text(options: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text."""
    value = options.get(name, default)
    if not isinstance(value, str) or "\x00" in value:
        raise Invalid(f"{name} must be a text", hint=f"got {value!r}")
    return value


def choice(options: Mapping[str, Any], name: str, *allowed: str) -> str:
    """One of some words, the first when the option is not given."""
    value = options.get(name, allowed[0])
    if value not in allowed:
        raise Invalid(f"{name} must be one of {', '.join(allowed)}", hint=f"got {value!r}")
    return str(value)


def number(options: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """A number within bounds."""
    value = options.get(name, default)
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fine or not low <= value <= high:
        raise Invalid(f"{name} must be a number from {low:g} to {high:g}", hint=f"got {value!r}")
    return float(value)


def environment(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables an own agent gets: `pass_env` by name from the server's, `env` as given."""
    given = options.get("env", {})
    fine = isinstance(given, Mapping) and all(
        isinstance(k, str) and isinstance(v, str) and "\x00" not in v for k, v in given.items()
    )
    if not fine:
        raise Invalid("env must be a table of texts", hint='for example env = { NAME = "value" }')
    passed = words(options, "pass_env")
    for name in (*given, *passed):
        if not _NAME.fullmatch(name):
            raise Invalid(f"'{name}' is not the name of a variable", hint="correct env or pass_env")
    return {name: environ[name] for name in passed if environ.get(name)} | dict(given)


_OWN = (Path("/dev"), Path("/proc"))


def files_in(argv: Sequence[str], *not_in: Path) -> tuple[str, ...]:
    """The files that a command of the person's own names by their whole paths.

    Not those that every process has of its own, such as /dev/stdout.
    """
    files = (Path(word) for word in argv if word.startswith("/") and "\n" not in word)
    return tuple(
        str(path)
        for path in files
        if not any(path.is_relative_to(folder) for folder in (*_OWN, *not_in)) and _is_file(path)
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its name is too long
        return False


def model_name(model: str | None) -> str | None:
    """A model's name that cannot be taken for an option or a path out of its place."""
    if model is not None and not _MODEL.fullmatch(model):
        raise Invalid(f"'{model}' cannot be the name of a model", hint="see the agent's own list")
    return model
