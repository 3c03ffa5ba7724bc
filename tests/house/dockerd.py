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
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it and all that it runs, and remove what it kept."""
        if containers := self.docker("ps", "--all", "--quiet").stdout.split():
            self.docker("rm", "--force", *containers, check=False)
        assert self._process
        self._process.terminate()
        self._process.wait(SECONDS)
        # With live restore it leaves the process that holds containers behind.
        holder = self.folder / "exec/containerd/containerd.pid"
        if holder.exists() and (pid := int(holder.read_text())):
            if "containerd" in Path(f"/proc/{pid}/comm").read_text():
                os.kill(pid, signal.SIGTERM)
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
def dockerd() -> Iterator[Dockerd]:
    """An engine that has the usual image, as the one that runtimes use."""
    engine = Dockerd(Path(tempfile.mkdtemp(prefix="mu-docker-")))
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{engine.socket}"
    try:
        engine.start()
        asyncio.run(image.assembled(IMAGE))
        yield engine
    finally:
        engine.stop()
        del os.environ["DOCKER_HOST"]
        if before is not None:
            os.environ["DOCKER_HOST"] = before
