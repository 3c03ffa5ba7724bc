"""How a project's own test command is brought to run pytest or unittest as somebody needs it."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from muster.supervision.beside import GIVEN, Beside, own_file

_PYTEST = re.compile(r"(?<![\w./=-])(?:[\w./-]*/)?py\.?test(?![\w.=/-])")
_OWN_PATH = re.compile(r"\bPYTHONPATH=(?=[^\s;&|])")
_OWN_OPTIONS = re.compile(r"\bPYTEST_ADDOPTS=")
_UNITTEST = re.compile(r"(?<=\s)-m\s+unittest(?=\s|$)")
_PYTHON = re.compile(r"python(?:\d[\d.]*)?")
_BEFORE_UNITTEST = "muster_unittest.py"


def runs_pytest(test_command: str) -> int:
    """How many times the command visibly starts pytest."""
    return len(_PYTEST.findall(test_command))


def runs_unittest(test_command: str) -> int:
    """How many times the command visibly starts unittest."""
    return len(_UNITTEST.findall(test_command))


def with_pytest(command: str, plugin: str) -> tuple[str, Beside] | None:
    """The command with one of our plugins; None when it does not visibly start pytest once."""
    if runs_pytest(command) != 1 or _OWN_OPTIONS.search(command):
        return None
    name = PurePosixPath(plugin).stem
    env = {"PYTHONPATH": GIVEN, "PYTEST_ADDOPTS": f"-p {name}"}
    shown = _OWN_PATH.sub('PYTHONPATH="$MUSTER_GIVEN":', command)
    return shown, Beside(env, {plugin: own_file(plugin)})


def with_unittest(command: str) -> tuple[str, Beside] | None:
    """The command with our program in front of unittest; None when it does not start it once.

    One that has it already stays as it is.
    """
    if _BEFORE_UNITTEST in command:
        return command, Beside()
    if runs_unittest(command) != 1:
        return None
    shown = _UNITTEST.sub(f'"$MUSTER_GIVEN/{_BEFORE_UNITTEST}"', command)
    return shown, Beside(files={_BEFORE_UNITTEST: own_file(_BEFORE_UNITTEST)})


def interpreter(command: str) -> str:
    """The Python that a command names, as a word for the shell; `python3` when it names none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return "python3"
    named = (word for word in words if _PYTHON.fullmatch(PurePosixPath(word).name))
    return shlex.quote(next(named, "python3"))
