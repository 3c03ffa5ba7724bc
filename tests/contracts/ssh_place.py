"""A real SSH server on a loopback port with keys and a configuration of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
from tests.house.patience import PATIENCE
from tests.house.ports import free_port

from muster.runtimes.ssh import SshRuntime
from muster.runtimes.ssh_hosts import Host, hosts, keep

HOME = "MUSTER_TEST_SSH_HOME"
"""Names the home whose one host a runtime of the tests uses, also in another process."""
SSHD = "/usr/sbin/sshd"


def _key(path: Path) -> str:
    """A key pair; the public line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True
    )
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


class Sshd:
    """The server, and the far home in which it lets us work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.far = folder / "far"
        self.far.mkdir(parents=True)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for program in ("git", "sh", "env", "sleep", "cat", "true"):
            (self.bin / program).symlink_to(str(shutil.which(program)))
        (self.bin / "python3").symlink_to(sys.executable)
        self.contained = True
        self.path = f"{self.bin}:/usr/bin:/bin"
        self.host_key = _key(folder / "host")
        self.own_key = _key(folder / "own")
        (folder / "authorized").write_text(f"{self.own_key}\n")
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> Host:
        user = os.environ.get("USER") or "root"
        key = str(self.folder / "own")
        return Host("box", "127.0.0.1", self.port, user, self.host_key, key, self.contained)

    def start(self) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        config = self.folder / "config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\n"
            f"PidFile {self.folder}/pid\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"SetEnv HOME={self.far} PATH={self.path}\nMaxStartups 100\n"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End the server and every connection of it."""
        self.cut()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def connections(self) -> list[int]:
        """The server's processes for single connections."""
        assert self._process
        parents = {self._process.pid}
        found: list[int] = []
        for folder in sorted(Path("/proc").iterdir(), key=lambda p: p.name):
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            name, _, rest = stat.partition("(")[2].rpartition(")")
            if int(rest.split()[1]) in parents and name == "sshd":
                found.append(int(folder.name))
        return found

    def processes(self) -> set[int]:
        """All that runs for its connections."""
        found = [psutil.Process(pid).children(recursive=True) for pid in self.connections()]
        return {process.pid for below in found for process in below}

    def cut(self) -> int:
        """Kill -9 what serves the connections; how many there were."""
        if self._process is None:
            return 0
        found = self.connections()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def new_host_key(self) -> None:
        """The server shows another key from its next start on."""
        for path in (self.folder / "host", self.folder / "host.pub"):
            path.unlink()
        self.host_key = _key(self.folder / "host")

    def trust(self, home: Path) -> None:
        """Put the host into a home as it is now, and name that home to runtimes of the tests."""
        keep(home, self.host)
        os.environ[HOME] = str(home)


class FarBox(SshRuntime):
    """The runtime of that host; made anew it knows the same runs."""

    def __init__(self) -> None:
        super().__init__(hosts(Path(os.environ[HOME]))["box"], "ssh:box")
