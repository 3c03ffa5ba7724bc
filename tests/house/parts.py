"""Parts of a machine that some tests need and not every machine has, and how to get each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SECONDS = 30
"""How long a probe may take; they answer in milliseconds, but a loaded machine is slow."""


@dataclass(frozen=True)
class Part:
    """Something a test may need: how to see that it is missing, and what enables it."""

    name: str
    what: str
    why_absent: Callable[[], str]
    enable: str


DISK_BYTES = 400 * 1024 * 1024
"""The smallest that both file systems like; the file is sparse."""


def _runs(*argv: str) -> str:
    """Why a command does not succeed here, or nothing when it does."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    return "" if done.returncode == 0 else f"{argv[0]}: status {done.returncode}: {last}"


def _program(*names: str) -> Callable[[], str]:
    def why_absent() -> str:
        return "" if any(map(shutil.which, names)) else f"no {' or '.join(names)} on PATH"

    return why_absent


def chromium() -> str | None:
    """The browser that page tests drive, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def postgres_folder() -> Path | None:
    """The folder with initdb and postgres, or None; Debian keeps them off PATH."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = Path(on_path) if on_path else (debian[-1] if debian else None)
    return found.parent if found else None


AXE = Path(__file__).resolve().parents[2] / "build" / "axe.min.js"
"""The accessibility checker that page tests load into the browser."""


def _no_root() -> str:
    return "" if os.geteuid() == 0 else "the tests do not run as root"


def _no_postgres() -> str:
    return "" if postgres_folder() else "no PostgreSQL server programs"


def _no_sshd() -> str:
    if why := _no_root():
        return why
    return "" if Path("/usr/sbin/sshd").exists() else "no OpenSSH server"


def _no_overlay() -> str:
    """Why no kernel overlay can be mounted below the folder for temporary files."""
    if why := _no_root():
        return why
    with tempfile.TemporaryDirectory(prefix="mu-") as folder:
        for name in ("lower", "upper", "work", "merged"):
            (Path(folder) / name).mkdir()
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        merged = f"{folder}/merged"
        try:
            return _runs("mount", "-t", "overlay", "overlay", "-o", options, merged)
        finally:
            _runs("umount", "--lazy", merged)


def _no_userns() -> str:
    """Why an ordinary user can mount no overlay in a namespace of its own."""
    script = "mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w,userxattr m"
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if os.geteuid() == 0:
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    with tempfile.TemporaryDirectory(prefix="mu-") as folder:
        Path(folder).chmod(0o777)
        return _runs(*argv, f"cd {folder} && {script}")


def _no_disk(kind: str) -> Callable[[], str]:
    """Why no disk of this kind can be made in a file and mounted."""

    def why_absent() -> str:
        if why := _no_root() or _program(f"mkfs.{kind}")():
            return why
        with tempfile.TemporaryDirectory(prefix="mu-") as folder:
            image, at = Path(folder, "image"), Path(folder, "at")
            at.mkdir()
            try:
                return make_disk(kind, image) or _runs("mount", "-o", "loop", str(image), str(at))
            finally:
                _runs("umount", "--lazy", str(at))

    return why_absent


def make_disk(kind: str, image: Path) -> str:
    """Make a small empty `btrfs` or `xfs` in a file; why that did not work."""
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    return _runs(f"mkfs.{kind}", "-q", str(image))


def _no_docker() -> str:
    """Why the tests cannot start a Docker engine of their own."""
    programs = ("dockerd", "docker", "containerd", "runc")
    missing = [name for name in programs if not shutil.which(name)]
    return _no_root() or (f"no {' and no '.join(missing)} on PATH" if missing else "")


PARTS = {
    part.name: part
    for part in (
        Part("claude", "the real Claude Code CLI", _program("claude"), "scripts/ci-setup claude"),
        Part("codex", "the real Codex CLI", _program("codex"), "scripts/ci-setup codex"),
        Part("gemini", "the real Gemini CLI", _program("gemini"), "scripts/ci-setup gemini"),
        Part("opencode", "the real OpenCode", _program("opencode"), "scripts/ci-setup opencode"),
        Part("qwen", "the real Qwen Code", _program("qwen"), "scripts/ci-setup qwen"),
        Part("vitest", "the real vitest", _program("vitest"), "scripts/ci-setup vitest"),
        Part("aider", "the real aider", _program("aider"), "scripts/ci-setup aider"),
        Part(
            "chromium",
            "a browser, headless",
            lambda: "" if chromium() else "no chromium on PATH",
            "scripts/ci-setup chromium",
        ),
        Part(
            "axe",
            "the accessibility checker axe-core",
            lambda: "" if AXE.exists() else "no build/axe.min.js",
            "scripts/ci-setup axe",
        ),
        Part("overlay", "kernel overlay mounts", _no_overlay, "run the tests as root on Linux"),
        Part(
            "userns",
            "an ordinary user's namespaces with overlays in them",
            _no_userns,
            "Linux 5.11, user.max_user_namespaces above 0, and as root: scripts/ci-setup base",
        ),
        Part("btrfs", "a btrfs disk", _no_disk("btrfs"), "as root: scripts/ci-setup disks"),
        Part("xfs", "an XFS disk", _no_disk("xfs"), "as root: scripts/ci-setup disks"),
        Part("root", "root's rights", _no_root, "run the tests as root"),
        Part(
            "systemd",
            "systemd's own reader of units",
            _program("systemd-analyze"),
            "scripts/ci-setup base",
        ),
        Part("tmux", "tmux", _program("tmux"), "scripts/ci-setup tmux"),
        Part("docker", "a Docker engine to start", _no_docker, "as root: scripts/ci-setup docker"),
        Part("bubblewrap", "the bwrap sandbox", _program("bwrap"), "apt-get install bubblewrap"),
        Part("sshd", "an SSH server", _no_sshd, "scripts/ci-setup ssh"),
        Part("postgres", "a PostgreSQL server", _no_postgres, "apt-get install postgresql"),
    )
}


@cache
def why_absent(name: str) -> str:
    """Why a part is not there, or nothing when it is; probed once in a process."""
    return PARTS[name].why_absent()


def is_required(name: str, required: str) -> bool:
    """Whether `MUSTER_REQUIRE` (`all`, or names with commas) makes a missing part a failure."""
    wanted = {word.strip() for word in required.split(",")}
    return bool(wanted & {"all", name})
