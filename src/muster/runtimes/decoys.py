"""What a thief looks for, laid out empty in a sandbox: whoever opens it is heard (`alarms`).

They stand where the real ones stand on this machine, which a sandbox does not show. They cost no
mount. None may stand where something is shown: that would be made in the real place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from muster.runtimes.base import RunSpec
from muster.runtimes.visible import MACHINE, Mount

_OF_MUSTER = ("token", "agents.key")
_OF_A_PERSON = (".ssh/id_ed25519", ".ssh/id_rsa", ".netrc", ".git-credentials", ".aws/credentials")
_RUNS = "runs"


def laid_out(spec: RunSpec, run_dir: Path, mounts: Sequence[Mount]) -> dict[str, list[str]]:
    """The `files` and the `folders` to make, before the run is given its `mounts`."""
    shown = [mount.path for mount in mounts]
    return {
        "files": [
            path
            for path in _apart(_files(run_dir), shown)
            if not any(f"{one}/".startswith(f"{path}/") for one in shown)
        ],
        "folders": list(_apart(_folders(spec, run_dir), shown)),
    }


def _home(run_dir: Path) -> Path | None:
    """The folder that holds the folder of all runs, here and on another machine."""
    runs = next((path for path in run_dir.absolute().parents if path.name == _RUNS), None)
    return runs and runs.parent


def _files(run_dir: Path) -> Iterator[Path]:
    home = _home(run_dir)
    yield from (home / name for name in _OF_MUSTER if home)
    yield from (Path.home() / name for name in _OF_A_PERSON)


def _folders(spec: RunSpec, run_dir: Path) -> Iterator[Path]:
    home = _home(run_dir)
    yield from (home, home / _RUNS) if home else ()
    yield from Path(spec.cwd).parents[1:2]  # where the workspaces of others lie beside its own
    yield Path.home() / ".ssh"


def _apart(paths: Iterator[Path], shown: Sequence[str]) -> Iterator[str]:
    """Those that stand where nothing of the machine and nothing of the run's own is shown."""
    taken = tuple(f"{one}/" for one in (*MACHINE, "/dev", *shown))
    for path in dict.fromkeys(map(os.path.normpath, paths)):
        if path.count("/") > 1 and not f"{path}/".startswith(taken):
            yield path
