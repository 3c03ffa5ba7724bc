"""What a run of a project's own command is given besides: variables, files, a place to report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

GIVEN = "{given}"
"""Stands, in the values of `Beside`, for the folder with the files that a run is given."""
REPORT = "{report}"
"""Stands there for the path in MUSTER_JUNIT, quoted as one word for a shell."""
_OWN = Path(__file__).parent / "given"
_JOINED = (("PYTEST_ADDOPTS", " "), ("PYTHONPATH", ":"), ("NODE_OPTIONS", " "))


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run is given besides its command.

    `files` are put into a folder of the run's own, which `{given}` names in the values of `env` and
    in `report`, and the variable MUSTER_GIVEN in the run; MUSTER_TREE is where it works. `report`
    is the file that the run is to leave, by a path in its workspace unless it begins with
    `{given}`. `seconds` is how long it may take, within the project's own limit.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    report: str = ""
    seconds: float | None = None

    @property
    def digest(self) -> str:
        """The same for the same things given."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def also(self, other: Beside) -> Beside:
        """Both; options of pytest and node, and folders of modules, are joined."""
        env = {**self.env, **other.env}
        for name, between in _JOINED:
            both = dict.fromkeys(filter(None, (self.env.get(name), other.env.get(name))))
            env |= {name: between.join(both)} if both else {}
        files = {**self.files, **other.files}
        report, stdin = other.report or self.report, other.stdin or self.stdin
        return Beside(env, files, stdin, report, other.seconds or self.seconds)


def own_file(name: str) -> str:
    """The text of one of the programs that are given to runs."""
    return (_OWN / name).read_text("utf-8")
