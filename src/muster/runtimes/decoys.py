"""What a thief looks for, laid out empty in a sandbox: whoever opens it is heard (`alarms`).

They stand where the real ones stand on this machine, which a sandbox does not show. They cost no
mount. None may stand where something is shown: that would be made in the real place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from muster.runtimes.base import RunSpec
from muster.runtimes.engine_decoy import LINKS, PLACE
from muster.runtimes.visible import MACHINE, Mount, Show

_OF_MUSTER = ("token", "agents.key")
_OF_A_PERSON = (".ssh/id_ed25519", ".ssh/id_rsa", ".netrc", ".git-credentials", ".aws/credentials")
_RUNS = "runs"
_MEMORY = ("mem", "kmem", "port")
_USUAL_DISKS = ("sda", "vda", "nvme0n1")
_DISK = re.compile(r"(?:sd|vd|xvd|hd)[a-z]+|nvme\d+n\d+|mmcblk\d+|dm-\d+|md\d+")
_MOST_DISKS = 8
_LONGEST_GITFILE = 4096


def laid_out(spec: RunSpec, run_dir: Path, mounts: Sequence[Mount]) -> dict[str, list[str]]:
    """The `files` and so on to make, before the run is given its `mounts`."""
    shown = [mount.path for mount in mounts]
    return {
        "files": [
            path
            for path in _apart(_files(run_dir), shown)
            if not any(f"{one}/".startswith(f"{path}/") for one in shown)
        ],
        "folders": list(_apart(_folders(spec, run_dir), shown)),
        "devices": [path for path in devices() if path not in shown],
        "sockets": _sockets(shown),
    }


def in_container(spec: RunSpec, run_dir: Path) -> dict[str, list[str]]:
    """The same in a container, with the `scratch` folders in memory that files are made in.

    An image may hold a home of its own, so nothing stands there beside its `.ssh`.
    """
    shown = dict.fromkeys((spec.cwd, *spec.writable, *spec.readable))
    made = laid_out(spec, run_dir, [Mount(path, Show.READ) for path in shown if path != "/"])
    scratch = [
        path
        for path in map(str, filter(None, (_home(run_dir), Path.home() / ".ssh")))
        if path in made["folders"]
    ]
    files = [path for path in made["files"] if str(Path(path).parent) in scratch]
    return {**made, "files": files, "scratch": scratch, "sockets": made["sockets"][:1]}


def devices() -> list[str]:
    """The memory of the machine, and its disks: the usual ones and those that it has."""
    has = Path("/sys/block")
    own = sorted(path.name for path in (has.iterdir() if has.is_dir() else ()))
    own = [name for name in own if _DISK.fullmatch(name)]
    names = dict.fromkeys((*_MEMORY, *_USUAL_DISKS, *own[:_MOST_DISKS]))
    return [f"/dev/{name}" for name in names]


def git_folder(spec: RunSpec) -> str:
    """The git folder of the workspace, if the run may write to it; empty where there is none."""
    there = Path(spec.cwd) / ".git"
    try:
        if not there.is_dir():
            with there.open("rb") as file:
                said = file.read(_LONGEST_GITFILE).decode("utf-8", "replace")
            there = Path(spec.cwd, said.removeprefix("gitdir:").strip())
        found = os.path.normpath(there)
    except (OSError, ValueError):
        return ""
    own = (spec.cwd, *spec.writable)
    return found if any(Path(found).is_relative_to(path) for path in own) else ""


def _sockets(shown: Sequence[str]) -> list[str]:
    """Where a container engine listens, if nothing of the machine is shown there."""
    if any(f"{path}/".startswith(("/run/", "/var/run/")) for path in shown):
        return []
    return [PLACE, *LINKS]


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
