"""What is said to agents and models: templates of Jinja2 beside each other, filled in with facts.

There is one for each part of a prompt, by role (`coding`, `acceptance`, `manager`, `model`) and by
the task's type. They are rendered in Jinja2's sandbox, and what strangers wrote is only ever a
fact, never a template: `data` and the filters `fenced`, `line` and `named` mark it as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from muster.domain.plain import fence, plain, plain_line

FOLDER = Path(__file__).with_name("templates")
_LINE = "=" * 3


@cache
def environment() -> Any:
    """Jinja2's sandbox over the templates, made once; loaded when first used, as it is heavy."""
    jinja2: Any = import_module("jinja2")
    sandbox: Any = import_module("jinja2.sandbox")
    made = sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"line": plain_line, "fenced": fence, "named": named}
    return made


def render(name: str, **facts: object) -> str:
    """The template of this name with its facts, without blank lines around it.

    Raises:
        jinja2.UndefinedError: a fact is missing.
    """
    text: str = environment().get_template(f"{name}.j2").render(facts)
    return text.strip("\n")


@dataclass(frozen=True, slots=True)
class Templates:
    """Where the words of a prompt are taken from; `render` is called as the one above."""

    render: Callable[..., str]


BUILT_IN = Templates(render)


def named(paths: Iterable[str]) -> str:
    """Paths or patterns in one line, each marked as one."""
    return ", ".join(f"`{plain_line(path)}`" for path in paths)


def data(text: str, most: int = 20_000) -> str:
    """What a stranger wrote, cut where it is long, between lines that nothing in it passes for."""
    clean = plain(text).strip("\n")
    shown = clean if len(clean) <= most else f"{clean[:most]}\n[{len(clean) - most} more left out]"
    longest = max(
        (len(line) for line in shown.split("\n") if set(line.strip()) == {"="}), default=2
    )
    line = "=" * max(len(_LINE), longest + 1)
    return f"{line}\n{shown}\n{line}"


def listed(lines: list[str], most: int) -> str:
    """Lines until they are too long together; how many were left out is said."""
    shown, left = list[str](), most
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    more = len(lines) - len(shown)
    return "\n".join([*shown, f"[{more} more left out]"] if more else shown)
