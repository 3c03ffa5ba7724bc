"""Programs in a sandbox: their own files, processes and network, and nothing else of the machine.

What contains them is bubblewrap (https://github.com/containers/bubblewrap, LGPL-2.0-or-later, 0.8
or newer), called as a program: namespaces for users, processes, files, network, IPC and names, no
capabilities, and `seccomp` on top. Its facts:

- `--args FD` takes its arguments from a file, `--block-fd` holds the program until that ends, and
  `--json-status-fd` tells the process id of the sandbox and whether the program ran.
- A program that died of a signal is told as 128 and the signal's number, as a shell does; a program
  that ends with such a status by itself looks the same.
- What a program leaves behind dies with it, unseen: nobody can count it.
- `--die-with-parent` takes hold when the program starts, not before: a shim that is killed in that
  very millisecond leaves its sandbox to `wait`, which finds it by its box and its mark.
- The network is empty but for 127.0.0.1; a process outside opens the proxy's socket in there
  (`doorway`). Ports of this machine that are allowed stand there under their own number.

Where no user namespace can be made (some containers, Ubuntu's AppArmor) `landlock` takes its place;
`describe` says what is weaker then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from typing_extensions import override

from muster.domain.errors import Invalid, Refused
from muster.runtimes import landlock, seccomp
from muster.runtimes.alarms import ENGINE
from muster.runtimes.base import Distance, RunSpec
from muster.runtimes.caged import BWRAP, LANDLOCK
from muster.runtimes.decoys import git_folder, laid_out
from muster.runtimes.egress import mirrored, rules
from muster.runtimes.gated import PROXY
from muster.runtimes.supervised import Supervised, why_no_shims
from muster.runtimes.visible import Mount, Show, given, system, system_files, system_links

_USER = 1000
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - folders of the sandbox's own
_TEMPORARY_BYTES = 2_000_000_000
_SHARED_BYTES = 1_000_000_000
_PROBE_SECONDS = 20.0
_FILES = {
    "/etc/passwd": (
        f"root:x:0:0:root:/nonexistent:/bin/sh\nmuster:x:{_USER}:{_USER}:muster:/tmp:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    ),
    "/etc/group": f"root:x:0:\nmuster:x:{_USER}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "/etc/resolv.conf": "",
}
_ISOLATION = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL", "--uid", str(_USER), "--gid", str(_USER), "--hostname", "sandbox"),
    "--clearenv",
)
_HIDDEN_PROC = ("/proc/timer_list", "/proc/keys")
_LANDLOCK_READ = ("/proc", "/sys/devices/system/cpu", "/etc/passwd", "/etc/group", "/etc/hosts")
_LANDLOCK_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
_OLDEST_LANDLOCK = 4


class SandboxRuntime(Supervised):
    """Runs programs in bubblewrap, or under Landlock where that cannot be."""

    name = "sandbox"
    distance = Distance(contains=True)
    zygote = "caged"

    @cached_property
    def _kind(self) -> tuple[str, str]:
        """Which of the two works here, and why not the better one."""
        bwrap = shutil.which("bwrap")
        why = _why_no_bwrap(bwrap) if bwrap else "bubblewrap is not installed"
        if not why:
            return BWRAP, ""
        return (LANDLOCK if landlock.abi() >= _OLDEST_LANDLOCK else ""), why

    def available(self) -> str:
        """An empty string when this place can be used here, else the reason why not."""
        if why := why_no_shims():
            return why
        kind, why = self._kind
        if not kind:
            return (
                f"{why} (apt-get install bubblewrap), and the kernel has no Landlock of version 4"
            )
        return ""

    def describe(self) -> str:
        """How far a program is contained here."""
        kind, why = self._kind
        if kind == BWRAP:
            filtered = seccomp.program(os.uname().machine) is not None
            return (
                "contained by bubblewrap: sees its workspace and the system's programs, reaches "
                "what is allowed through a proxy"
                + ("" if filtered else "; system calls are not filtered on this processor")
            )
        return (
            f"contained by Landlock only ({why}): names of files and processes can be seen, a "
            "server that listens on the port of the run's proxy can be reached at any address, "
            "and what is read-only inside the workspace is not"
        )

    @override
    def cage(self, spec: RunSpec, run_dir: Path) -> dict[str, Any]:
        """What the shim shall contain the program by.

        Raises:
            Invalid: a rule of its network is none.
            Refused: nothing here can contain a program.
        """
        if why := self.available():
            raise Refused(
                f"nothing on this machine can contain an agent: {why}",
                hint="`muster doctor` says more; --runtime process runs it uncontained",
            )
        allowed = rules(spec.network)
        if PROXY[1] in [port for _, port in mirrored(allowed)]:
            raise Invalid(
                f"port {PROXY[1]} of this machine cannot be allowed",
                hint="inside a sandbox it is the proxy's; let the server listen on another",
            )
        mounts = given(spec, run_dir, _find(spec))
        both = {"network": list(spec.network), "git": git_folder(spec)}
        if self._kind[0] == LANDLOCK:
            return {"kind": LANDLOCK, **both, **_landlocked(mounts)}
        decoys = laid_out(spec, run_dir, mounts)
        return {
            "kind": BWRAP,
            "bwrap": shutil.which("bwrap"),
            "arguments": [
                *(*_ISOLATION, *_of_the_system(), *_folders(decoys["folders"])),
                *_sockets(decoys["sockets"], f"{run_dir.absolute()}/{ENGINE}"),
            ],
            "decoys": decoys,
            "given": [*_mounted(mounts), "--chdir", spec.cwd],
            "files": _FILES,
            "copies": system_files(),
            **both,
        }


def _find(spec: RunSpec) -> str | None:
    """The program's file as the server sees it."""
    if not spec.argv or not spec.argv[0]:
        return None
    name = spec.argv[0]
    search = spec.env.get("PATH", os.defpath)
    return shutil.which(str(Path(spec.cwd) / name) if "/" in name else name, path=search)


def _of_the_system() -> list[str]:
    """The file system that every sandbox has, as arguments of bubblewrap, in their order."""
    said = ["--proc", "/proc", "--dev", "/dev"]
    for path in [path for path in _HIDDEN_PROC if Path(path).exists()]:
        said += ["--ro-bind", "/dev/null", path]
    # The whole machine's settings lie in /proc/sys, and to the kernel a sandbox of root is root.
    said += ["--remount-ro", "/proc"]
    said += ["--perms", "1777", "--size", str(_SHARED_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108 - the sandbox's own
    for path in _TEMPORARY:
        said += ["--perms", "1777", "--size", str(_TEMPORARY_BYTES), "--tmpfs", path]
    said += ["--dir", "/run"]
    for path in system():
        said += ["--ro-bind", path, path]
    for path, target in system_links():
        said += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    return said


def _folders(paths: list[str]) -> list[str]:
    return [word for path in paths for word in ("--perms", "0700", "--dir", path)]


def _sockets(paths: list[str], engine: str) -> list[str]:
    """A socket that stands in for a container engine's at the first of them, and links to it."""
    if not paths:
        return []
    said = ["--ro-bind-try", engine, paths[0], "--symlink", "/run", "/var/run"]
    for path in paths[1:]:
        said += ["--symlink", paths[0], path]
    return said


def _mounted(mounts: list[Mount]) -> list[str]:
    """What a run was given, as such arguments; after it nothing may be made any more."""
    said: list[str] = []
    for mount in mounts:
        match mount.show:
            case Show.READ:
                said += ["--ro-bind", mount.path, mount.path]
            case Show.WRITE:
                said += ["--bind", mount.path, mount.path]
            case Show.EMPTY:
                said += ["--perms", "0700", "--size", "4096", "--tmpfs", mount.path]
    for path in [mount.path for mount in mounts if mount.show is Show.EMPTY]:
        said += ["--remount-ro", path]  # now that what lies inside it has its place
    return said


def _landlocked(mounts: list[Mount]) -> dict[str, list[str]]:
    linked = [path for path, target in system_links() if not target]
    read = [mount.path for mount in mounts if mount.show is Show.READ]
    write = [mount.path for mount in mounts if mount.show is Show.WRITE]
    devices = [f"/dev/{name}" for name in _LANDLOCK_DEVICES]
    return {
        "read": [*system(), *system_files(), *linked, *_LANDLOCK_READ, *read],
        "write": [*devices, *write],
    }


def _why_no_bwrap(bwrap: str) -> str:
    """Run `true` in it: whether it works depends on user, kernel and container."""
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        spec = RunSpec("probe", ("true",), folder)
        mounts = [*_of_the_system(), *_mounted(given(spec, Path(folder) / "run", None))]
        argv = [bwrap, *_ISOLATION, *mounts, "--remount-ro", "/", "--", "/usr/bin/true"]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=_PROBE_SECONDS, env={})
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"bubblewrap cannot be used: {error}"
    if done.returncode == 0:
        return ""
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
    return f"bubblewrap 0.8 or newer cannot make a sandbox here: {last[0]}"
