"""What a container may see and use: the configuration that the engine makes it from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid, Refused
from muster.runtimes.base import RunSpec
from muster.runtimes.decoys import in_container
from muster.runtimes.kit import DOOR, Kit

RUN, RUN_DIR = "muster.run", "muster.run_dir"
"""The labels that say whose a container is."""

_ITS_OWN = 2
"""Processes beside the program's: the container's first, and one while it starts the program."""
_TMPFS = {"/tmp": "1g", "/var/tmp": "1g", "/run": "16m"}  # noqa: S108 - inside a container
_MOUNTED = "rw,nosuid,nodev,exec,mode=1777"
_OF_THE_KERNEL = ("/proc", "/sys", "/dev")


def configuration(
    spec: RunSpec, run_dir: Path, kit: Kit, image: str, network: str, engine: Path
) -> dict[str, Any]:
    """The configuration of a run's container; `engine` is the socket that none may see.

    Raises:
        Invalid: a folder that is to be shown would show the engine or the kernel.
        Refused: a folder that is to be shown is not there.
    """
    limits, decoys = spec.limits, in_container(spec, run_dir)
    memory = limits.memory_bytes or 0
    return {
        "Image": image,
        "Entrypoint": list(kit.command),
        "Cmd": [],
        "User": f"{os.getuid()}:{os.getgid()}",
        "WorkingDir": "/",
        "Labels": {RUN: spec.run_id, RUN_DIR: str(run_dir)},
        "HostConfig": {
            # Not AutoRemove: an engine that is started again kills such containers (20.10).
            "AutoRemove": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "NetworkMode": network,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "LogConfig": {"Type": "none"},
            "Memory": memory,
            "MemorySwap": memory,
            # The engine refuses more than there are.
            "NanoCpus": int(min(limits.cpus or 0, os.cpu_count() or 1) * 1e9),
            "PidsLimit": limits.processes + _ITS_OWN,
            "Tmpfs": {
                **{path: f"{_MOUNTED},size={size}" for path, size in _TMPFS.items()},
                **dict.fromkeys(decoys["scratch"], _scratch()),
            },
            # Made by the engine, since nobody in there may make one; the first process listens.
            "Devices": [_nothing(path) for path in decoys["devices"]],
            "Mounts": [
                *_shown(spec, engine),
                *_hidden(spec, run_dir),
                _bind(str(run_dir / "door"), DOOR, writable=False),
                *(_bind(path, at, writable=False) for path, at in kit.shown),
                *(_empty(at) for at in kit.hidden),
            ],
        },
    }


def _shown(spec: RunSpec, engine: Path) -> Iterator[dict[str, Any]]:
    # A working directory that is not there is the program's own fault, and told as such.
    writable = [spec.cwd] if spec.cwd != "/" and Path(spec.cwd).is_dir() else []
    writable += [path for path in spec.writable if path not in (*writable, *spec.readable)]
    readable = [path for path in spec.readable if path not in writable]
    for path in (*writable, *readable):
        yield _bind(_checked(path, engine), path, writable=path in writable)


def _hidden(spec: RunSpec, run_dir: Path) -> Iterator[dict[str, Any]]:
    """A run's own record, where something that is shown holds it."""
    shown = (Path(path).resolve() for path in (spec.cwd, *spec.writable, *spec.readable))
    if any(run_dir.resolve().is_relative_to(path) for path in shown if path != Path("/")):
        yield _empty(str(run_dir))


def _checked(path: str, engine: Path) -> str:
    """Where a path really is, if that may be shown."""
    if not Path(path).is_absolute() or os.path.normpath(path) != path:
        raise Invalid(f"{path!r} cannot be shown to a container", hint="name an absolute path")
    real = Path(path).resolve()
    if not real.exists():
        raise Refused(f"{path}, which the run needs, is not there", hint="make it first")
    if engine.resolve().is_relative_to(real) or str(real).startswith(_OF_THE_KERNEL):
        raise Invalid(
            f"{path} cannot be shown to a container: it leads to the machine itself",
            hint="name the folders that the run needs, one by one",
        )
    return str(real)


def _scratch() -> str:
    return f"rw,nosuid,nodev,noexec,mode=0700,uid={os.getuid()},gid={os.getgid()},size=64k"


def _nothing(path: str) -> dict[str, str]:
    """A device that is empty and takes all, under another's name."""
    return {"PathOnHost": os.devnull, "PathInContainer": path, "CgroupPermissions": "rw"}


def _bind(source: str, target: str, *, writable: bool) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": not writable,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _empty(target: str) -> dict[str, Any]:
    options = {"SizeBytes": 4096, "Mode": 0o555}
    return {"Type": "tmpfs", "Target": target, "ReadOnly": True, "TmpfsOptions": options}
