"""What every place where processes run must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable


class Why(StrEnum):
    """Why a run is over."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    KILLED = "killed"
    MEMORY = "memory"
    DISK = "disk"
    EXEC = "exec"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use. Seconds, bytes and counts; all on by default.

    `head_bytes` and `tail_bytes` are kept of each output stream; what lies between is dropped and
    said so. `file_bytes` is the most of one file, `disk_bytes` of all that the run writes into its
    folders; what was there before does not count. `memory_bytes`, `processes` and `cpus`, the time
    of so many processors, act where the machine's cgroups allow it, and in a container.
    """

    wall_seconds: float = 7200.0
    head_bytes: int = 10_000_000
    tail_bytes: int = 10_000_000
    file_bytes: int = 2_000_000_000
    disk_bytes: int | None = 20_000_000_000
    processes: int = 512
    memory_bytes: int | None = 8_000_000_000
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One program to run, once.

    `env` is the whole environment. `secrets` are the values that must not reach a stored byte.
    Neither is ever written to disk. `stdin` is fed and closed; with `interactive` it stays open
    for `Runtime.send`. `folders` are what the program needs and may change, `cwd` among them, as
    absolute paths; a place elsewhere carries them there and back, one here uses them as they are.

    A place that contains shows `cwd` and the `writable` paths to be written, the `readable` ones
    and the system's programs to be read, and nothing else; what is `readable` inside something
    `writable` cannot be changed. `network` is what may be reached (`muster.runtimes.egress`);
    nothing when it is empty. A place that does not contain takes no notice of these three.
    `image` names the file system of a container; empty is the place's usual one. `follows` is the
    run directory of a run that is over and whose first folders these are again: a place elsewhere
    puts them where they were. `grows` is the folder of this machine in which what is written below
    `cwd` comes to lie, where that is another one, as for an overlay.
    """

    run_id: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    interactive: bool = False
    limits: Limits = Limits()
    secrets: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    image: str = ""
    folders: tuple[str, ...] = ()
    follows: str = ""
    grows: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run ended. Times are epoch seconds; sizes count the whole redacted streams.

    `code` is the exit status, negative for a signal, None when nobody saw it (`why` is `lost`).
    `left` counts the processes that outlived the program and were killed. `limits` are those that
    it was seen to run into: `memory`, `processes`, `file`, `disk`.
    """

    code: int | None
    why: Why
    left: int = 0
    started_at: float = 0.0
    ended_at: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    out_bytes: int = 0
    err_bytes: int = 0
    detail: str = ""
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a place is from this machine, its files and its people.

    `contains`: a program sees and reaches what its order says, and nothing else of the machine.
    `loopback`: it may reach what listens on this machine's loopback, where it is let. `mounted`:
    somebody else mounts the workspace, who does not share this server's view of the files, as a
    container engine. `carried`: it works on copies of the folders, at paths of its own for each
    run; such a place also has `catch_up` (`Carries`).
    """

    contains: bool = False
    loopback: bool = True
    mounted: bool = False
    carried: bool = False


class Runtime(Protocol):
    """A place. All methods are safe to call again after any crash; a run directory names a run."""

    name: str
    distance: Distance

    def available(self) -> str:
        """An empty string when this place can be used here, else the reason why not."""
        ...

    def describe(self) -> str:
        """How far a program is contained here on this machine, in a sentence for a person."""
        ...

    async def start(self, spec: RunSpec, run_dir: Path) -> None:
        """Start the program once; a run directory that was started before is left alone.

        Returns when the program was started or is known to have failed to (see `wait`).

        Raises:
            Refused: the place itself cannot start anything.
        """
        ...

    async def wait(self, run_dir: Path, on_output: Callable[[], None] | None = None) -> Exit:
        """Return when the run is over and none of its processes is left.

        Works for a run that was started by an earlier process (adoption), and for one whose shim
        was killed: then the leftovers are killed first and `why` is `lost`. `on_output` is called
        soon after output grew; it is a hint and may be called too often.
        """
        ...

    async def send(self, run_dir: Path, data: bytes) -> None:
        """Write to the standard input of an interactive run.

        Raises:
            Conflict: the run is over or takes no input.
        """
        ...

    async def end_input(self, run_dir: Path) -> None:
        """Close the standard input of an interactive run.

        Raises:
            Conflict: the run is over or takes no input.
        """
        ...

    async def stop(self, run_dir: Path) -> None:
        """Ask the run to end: SIGINT, 2 s later SIGTERM, 1 s later the whole tree is killed.

        Returns at once; the shim does it even if the caller dies. No error when already over.
        """
        ...

    async def kill(self, run_dir: Path) -> None:
        """Kill the whole tree now. No error when already over."""
        ...

    def cpu_seconds(self, run_dir: Path) -> float:
        """Processor time the live tree used so far, for the idle timer; 0.0 when unknown."""
        ...

    async def close(self) -> None:
        """Let go of helpers of this process; runs go on."""
        ...


@runtime_checkable
class Carries(Protocol):
    """What a place whose `distance` is `carried` can do beside."""

    def stays(self, run_dir: Path) -> bool:
        """Whether a run that follows the one there finds its folders under the same paths."""
        ...

    async def catch_up(self, run_dir: Path) -> None:
        """Return when all that is known of a run there is known here."""
        ...
