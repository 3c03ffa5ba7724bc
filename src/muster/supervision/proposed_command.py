"""A command that a model proposes as a check: an argument list of a known runner, and no more.

muster never gives it to a shell. What passes here may still do harm, as any test may: it is for
a contained run only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from muster.supervision.command_line import commands

_MOST, _LONGEST = 40, 400
_SHELL = re.compile(r"[;&|<>$`\n\r\\]|[^\S ]")
_ANY = re.compile(r".*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][\w:.-]*")
_RUNNERS: Mapping[str, re.Pattern[str] | None] = {
    **dict.fromkeys(("pytest", "tox", "nox", "ruff", "mypy", "flake8", "jest", "vitest")),
    **dict.fromkeys(("eslint", "tsc", "rspec", "phpunit", "ctest")),
    **dict.fromkeys(("python", "python3"), re.compile(r"-m (?:pytest|unittest|doctest)\b")),
    **dict.fromkeys(("npm", "pnpm", "yarn"), re.compile(r"(?:test|run (?:test|lint)[\w:-]*)\b")),
    "npx": re.compile(r"(?:jest|vitest|tsc|eslint)\b"),
    "go": re.compile(r"(?:test|vet|build)\b"),
    "cargo": re.compile(r"(?:test|check|build|clippy|nextest)\b"),
    "dotnet": re.compile(r"(?:test|build)\b"),
    "make": re.compile(rf"(?:{_NAME.pattern})?"),
    "mvn": re.compile(r"(?:test|verify)\b"),
    "gradle": re.compile(r"(?:test|check)\b"),
}
"""Known runners, and how their arguments must begin where they can do anything else besides."""
_RUNS_MORE = frozenset(
    {
        *("-c", "-e", "-exec", "--exec", "--eval", "-toolexec", "-vettool", "--config", "-p"),
        *("--rootdir", "--prefix", "--cwd", "-C", "--directory", "--manifest-path", "-overlay"),
        *("--plugin", "--plugins", "--rulesdir", "--resolve-plugins-relative-to", "-f", "--file"),
    }
)
"""Options by which a runner is made to run or read something else than the repository's tests."""


def fault_of_command(argv: Sequence[str], programs: Collection[str] = ()) -> str:
    """Why a proposed command is not taken; empty where it is.

    `programs` are those that the project's own settings run.
    """
    if not argv or not argv[0]:
        return "names no program"
    if fault := _fault_of_words(argv):
        return fault
    if argv[0] in programs:
        return ""
    if argv[0] not in _RUNNERS:
        return f"runs '{argv[0][:40]}', which is no known test runner"
    return _fault_of_arguments(argv[0], argv[1:])


def _fault_of_words(argv: Sequence[str]) -> str:
    """What no program may be given."""
    if len(argv) > _MOST or any(len(word) > _LONGEST for word in argv):
        return "is too long"
    if any(_SHELL.search(word) or not word.isprintable() for word in argv):
        return "holds signs that a shell would read; give plain arguments"
    if len(list(commands(" ".join(argv)))) != 1:
        return "is more than one command"
    if any(_leaves(word) for word in argv[1:]):
        return "names a place outside of the repository"
    return ""


def _fault_of_arguments(program: str, rest: Sequence[str]) -> str:
    if not (_RUNNERS[program] or _ANY).match(" ".join(rest)):
        return f"is none that '{program}' may be asked for"
    if found := next((word for word in rest if word.partition("=")[0] in _RUNS_MORE), ""):
        return f"uses {found.partition('=')[0]}, by which it could run anything"
    if program == "make" and any(not _NAME.fullmatch(word) for word in rest):
        return "gives make more than names of targets"
    return ""


def _leaves(word: str) -> bool:
    """Whether an argument, or the value of one, is a path outside."""
    value = word.partition("=")[2] or word
    return value.startswith(("/", "~")) or ".." in value.split("/") or "://" in value
