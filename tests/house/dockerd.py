"""A Docker engine of the tests' own: private, killed and restarted at will, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muster.runtimes import image
from muster.runtimes.docker import IMAGE

SECONDS = 60


class Dockerd:
    """An engine with its own folders, no network of its own, and runs that outlive it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        argv = [
            *("dockerd", "--live-restore", "--bridge=none", "--iptables=false"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"),
            *("--host", f"unix://{self.socket}", "--pidfile", f"{self.folder}/pid"),
        ]
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + SECONDS
        while self.docker("version", check=False).returncode != 0:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-4000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would; its containers go on."""
        assert self._process
        holder = self._holder()
        self._process.kill()
        self._process.wait()
        # Its containerd dies with it, a moment later; the next engine must not take it for alive.
        deadline = time.monotonic() + SECONDS
        while holder and Path(f"/proc/{holder}").exists():
            assert time.monotonic() < deadline, "containerd does not end"
            time.sleep(0.01)

    def _holder(self) -> int:
        """The process id of its containerd, or 0."""
        pid_file = self.folder / "exec/containerd/containerd.pid"
        return int(pid_file.read_text()) if pid_file.exists() else 0

    def stop(self) -> None:
        """End it and all that it runs, and remove what it kept."""
        assert self._process
        if self._process.poll() is None:
            for container in self.docker("ps", "--all", "--quiet").stdout.split():
                self.docker("rm", "--force", container, check=False)
        holder = self._holder()
        self._process.terminate()
        self._process.wait(SECONDS)
        if holder and f"{self.folder}/" in _command(holder):
            os.kill(holder, signal.SIGTERM)  # with live restore it is left behind
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (point := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", point], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def docker(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of its client."""
        return subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *argv],
            capture_output=True,
            text=True,
            check=check,
        )


@contextmanager
def dockerd(*, empty: bool = False) -> Iterator[Dockerd]:
    """An engine that has the usual image, unless it is to be empty, as the one runtimes use."""
    engine = Dockerd(Path(tempfile.mkdtemp(prefix="mu-docker-")))
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{engine.socket}"
    try:
        engine.start()
        if not empty:
            asyncio.run(image.assembled(IMAGE))
        yield engine
    finally:
        engine.stop()
        del os.environ["DOCKER_HOST"]
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
