"""Files of a repository that a program would obey: it is not started beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from muster.domain.errors import Refused


def refuse_files(names: Sequence[str], workspace: Path) -> None:
    """Raise `Refused` where the repository holds a file that would steer the program."""
    for name in names:
        if (workspace / name).is_symlink() or (workspace / name).exists():
            raise Refused(
                f"the repository holds {name}, which this agent would obey",
                hint="remove it, or if you trust it: refuse_files = [] in [agents.NAME]",
            )
