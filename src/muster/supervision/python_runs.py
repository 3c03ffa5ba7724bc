"""How a project's own test command is brought to run pytest or unittest as a stage needs it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from muster.supervision.checks import runs_pytest
from muster.supervision.stage import GIVEN, Beside, own_file

_OWN_PATH = re.compile(r"\bPYTHONPATH=(?=[^\s;&|])")
_OWN_OPTIONS = re.compile(r"\bPYTEST_ADDOPTS=")
_UNITTEST = re.compile(r"(?<=\s)-m\s+unittest(?=\s|$)")
_PYTHON = re.compile(r"python(?:\d[\d.]*)?")


def with_pytest(command: str, plugin: str) -> tuple[str, Beside] | None:
    """The command with one of our plugins; None when it does not visibly start pytest once."""
    if runs_pytest(command) != 1 or _OWN_OPTIONS.search(command):
        return None
    name = PurePosixPath(plugin).stem
    env = {"PYTHONPATH": GIVEN, "PYTEST_ADDOPTS": f"-p {name}"}
    shown = _OWN_PATH.sub('PYTHONPATH="$MUSTER_GIVEN":', command)
    return shown, Beside(env, {plugin: own_file(plugin)})


def with_unittest(command: str, program: str) -> tuple[str, Beside] | None:
    """The command with one of our programs in front of unittest; None when it does not start it."""
    if len(_UNITTEST.findall(command)) != 1:
        return None
    shown = _UNITTEST.sub(f'"$MUSTER_GIVEN/{program}"', command)
    return shown, Beside(files={program: own_file(program)})


def only(command: str, tests: Iterable[str]) -> tuple[str, Beside] | None:
    """The command so that it runs some tests of pytest, by their ids; None when it cannot be."""
    found = with_pytest(command, "muster_only.py")
    if found is None:
        return None
    listed = Beside({"MUSTER_ONLY": "only.json"}, {"only.json": json.dumps(sorted(tests))})
    return found[0], found[1].also(listed)


def interpreter(command: str) -> str:
    """The Python that a command names, as a word for the shell; `python3` when it names none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return "python3"
    named = (word for word in words if _PYTHON.fullmatch(PurePosixPath(word).name))
    return shlex.quote(next(named, "python3"))
