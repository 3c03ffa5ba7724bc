"""`muster init`: register a repository, asking what only a person can say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.indexes import indexes_of, line_to_open
from muster.cli.line import Line, command
from muster.cli.look import Ink
from muster.cli.project import project_page
from muster.cli.reach import reach
from muster.domain.errors import Invalid

_LARGEST = 256 * 1024


@command("init")
@click.argument("path", default=".", type=click.Path(exists=True, file_okay=False))
@click.option("--yes", is_flag=True, help="Ask nothing: trust it and take what was guessed.")
@click.option("--name", metavar="NAME", help="The project's name [the directory's].")
@click.option("--branch", metavar="BRANCH", help="Where accepted work goes [the current one].")
@click.option("--test", "test_command", metavar="COMMAND", help="What runs the tests.")
@click.option("--setup", "setup_command", metavar="COMMAND", help="What prepares a workspace.")
@click.option("--lint", "lint_command", metavar="COMMAND", help="What runs the linter.")
@click.option("--types", "type_command", metavar="COMMAND", help="What checks the types.")
@click.option("--agent", metavar="NAME", help="The agent that works here.")
def init(
    line: Line, path: str, yes: bool, name: str | None, branch: str | None, **given: str | None
) -> None:
    """Register the repository at PATH. Nothing is written into it.

    A repository's own files may name commands to run; they count only once you trust it.
    """
    folder = Path(path).absolute()
    settings: dict[str, Any] = {key: value for key, value in given.items() if value}
    with reach(line) as muster:
        muster.health()  # before the questions: an answer to a server that is not there is lost
        if not yes:
            _refuse_silence()
        if "test_command" not in settings:
            guess = guess_test_command(_root(folder))
            settings["test_command"] = guess if yes else _ask_tests(guess)
        if wanted := indexes_of(settings.get("setup_command", "")):
            settings["setup_network"] = wanted if yes or _ask_indexes(wanted) else None
        trust = yes or ask_trust(folder)
        done = muster.add_project(
            folder,
            name=name,
            branch=branch,
            settings={key: value for key, value in settings.items() if value},
            trust=trust,
        )
    if line.json:
        out.document(done)
        return
    out.say(line, project_page(Ink(line.colour), done))
    if closed := line_to_open(done):
        out.tell(line, closed)
    if not done["settings"].get("test_command"):
        out.tell(
            line, "Without a test command no work can be proven: muster will ask you each time."
        )
        out.tell(line, "Set one: muster project set test_command 'COMMAND'")
    out.tell(line, 'Submit work: muster do "what should be done"')


def _refuse_silence() -> None:
    if not sys.stdin.isatty():
        raise Invalid(
            "there are questions and no terminal to ask them on",
            hint="add --yes to trust this repository and take what was guessed",
        )


def _ask_tests(guess: str | None) -> str:
    answer: str = click.prompt(
        "Which command runs the tests? (empty: none)", default=guess or "", err=True
    )
    return answer.strip()


def _ask_indexes(wanted: list[str]) -> bool:
    return click.confirm(
        f"May the setup command reach {', '.join(wanted)}? Agents may not by that",
        default=True,
        err=True,
    )


def ask_trust(folder: Path) -> bool:
    """Whether the person lets the files of a repository name commands."""
    return click.confirm(
        f"Do you trust {folder}? Its own .muster/config.toml may then set commands that run,"
        " its .muster/breakpoints.yaml change rules, and its .muster/prompts what agents are told",
        default=False,
        err=True,
    )


def _root(folder: Path) -> Path:
    """The top of the work tree that holds `folder`, or the folder itself."""
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    return folder


def guess_test_command(root: Path) -> str | None:
    """What most likely runs a repository's tests, judged by the files at its top."""
    if _has_pytest(root):
        return "python -m pytest -q"
    if _package_test(root):
        return "npm test"
    if any(line.startswith(("test:", "test :")) for line in _text(root / "Makefile").splitlines()):
        return "make test"
    for name, command_line in (("go.mod", "go test ./..."), ("Cargo.toml", "cargo test")):
        if (root / name).is_file():
            return command_line
    return "python -m unittest" if any(root.glob("test*.py")) else None


def _has_pytest(root: Path) -> bool:
    if (root / "pytest.ini").is_file() or (root / "conftest.py").is_file():
        return True
    words = _text(root / "pyproject.toml") + _text(root / "setup.cfg") + _text(root / "tox.ini")
    listed = any("pytest" in _text(path) for path in root.glob("requirements*.txt"))
    tests = any(root.glob("test_*.py")) or any(root.glob("tests/**/test_*.py"))
    return "pytest" in words or listed or tests


def _package_test(root: Path) -> bool:
    try:
        package = json.loads(_text(root / "package.json") or "{}")
    except ValueError:
        return False
    scripts = package.get("scripts") if isinstance(package, dict) else None
    test = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(test, str) and "no test specified" not in test


def _text(path: Path) -> str:
    """A small file's text; nothing when it is not there or is no such file."""
    try:
        if path.stat().st_size > _LARGEST:
            return ""
        return path.read_text(errors="replace")
    except OSError:
        return ""
