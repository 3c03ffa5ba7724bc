"""The sandbox where only Landlock can contain: what every place does, and what it still refuses."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.landlocked import LandlockedRuntime
from contracts.runtime import Place
from contracts.supervised import SupervisedContract
from house.patience import PATIENCE
from house.trees import ROOT
from muster.runtimes import landlock
from muster.runtimes.refusals import read_refusals
from muster.runtimes.sandbox import SandboxRuntime

pytestmark = pytest.mark.skipif(
    landlock.abi() < 6, reason="the kernel has no Landlock of version 6"
)


@pytest.mark.long  # by what the sandbox's own suite shows of the same shim
class TestLandlockedRuntime(SupervisedContract):
    """The suite for places of this machine."""

    @pytest.fixture(autouse=True)
    def found_by_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another process that starts a run finds the class too."""
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))

    def make_runtime(self) -> LandlockedRuntime:
        """A fresh object; all of them know each other's runs."""
        return LandlockedRuntime()


@pytest.fixture
async def place(home: Path) -> AsyncIterator[Place]:
    """The runtime, with a workspace for its runs that holds nothing else."""
    runtime = LandlockedRuntime()
    (home / "tree").mkdir()
    (home / "token").write_text("the token")
    yield Place(runtime, home)
    await runtime.close()


async def tried(place: Place, code: str, *args: str, **more: Any) -> str:
    """What a Python program in the workspace prints."""
    more.setdefault("cwd", str(place.folder / "tree"))
    await place.python(code, *args, **more)
    ended = await asyncio.wait_for(place.runtime.wait(place.dir()), PATIENCE)
    err = (place.dir() / "err").read_text()
    assert ended.code == 0, err
    return place.out().decode()


async def test_it_says_what_is_weaker(place: Place) -> None:
    said = LandlockedRuntime().describe()
    assert "Landlock only (so that it is tried)" in said
    assert "any address" in said
    assert "Landlock" not in SandboxRuntime().describe() or SandboxRuntime()._kind[1]


async def test_files_outside_can_neither_be_read_nor_written(place: Place) -> None:
    code = (
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_DIRECTORY):\n"
        "        try: os.close(os.open(path, flags)); print('OPENED', path, flags)\n"
        "        except OSError: pass\n"
        "open('mine', 'w').write('x'); os.symlink(sys.argv[1], 'link')\n"
        "try: open('link').read(); print('READ')\n"
        "except OSError: print('tried')\n"
    )
    paths = [str(place.folder / "token"), str(place.folder / "run" / "exit.json"), "/etc/shadow",
             "/root/.bashrc", "/root", "/home", str(place.folder), "/dev/vda", "/dev/mem",
             "/run/docker.sock"]  # fmt: skip
    assert await tried(place, code, *paths) == "tried\n"
    assert (place.folder / "tree" / "mine").read_text() == "x"


async def test_root_has_no_rights_left_and_others_are_out_of_reach(place: Place) -> None:
    code = (
        "import os, sys\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line[:3] == 'Cap'])\n"
        "for act in (lambda: os.kill(int(sys.argv[1]), 9),\n"
        "            lambda: open(f'/proc/{sys.argv[1]}/environ', 'rb').read(),\n"
        "            lambda: open(f'/proc/{sys.argv[1]}/mem', 'rb').read(1),\n"
        "            lambda: os.setuid(1), lambda: os.chroot('.')):\n"
        "    try: act(); print('DONE')\n"
        "    except OSError: print('refused')\n"
    )
    with subprocess.Popen(["sleep", "600"], env={"SECRET": "x"}) as victim:
        said = await tried(place, code, str(victim.pid))
        assert victim.poll() is None
        victim.kill()
    assert said.splitlines() == [str(["0" * 16] * 5), *["refused"] * 5]


async def test_the_network_is_the_proxy_and_the_ports_that_are_named(place: Place) -> None:
    code = (
        "import os, socket, sys\n"
        "def reach(port, kind=socket.SOCK_STREAM, proto=0):\n"
        "    try:\n"
        "        s = socket.socket(socket.AF_INET, kind, proto)\n"
        "        s.connect(('127.0.0.1', port)); return s\n"
        "    except OSError: return None\n"
        "named, other = map(int, sys.argv[1:])\n"
        "print(bool(reach(named)), bool(reach(other)), bool(reach(other, socket.SOCK_DGRAM)),\n"
        "      bool(reach(other, proto=262)))\n"
        "fast = socket.socket(socket.AF_INET)\n"
        "try: fast.sendto(b'x', 0x20000000, ('127.0.0.1', other)); print('SENT')\n"
        "except OSError: pass\n"
        "proxy = reach(int(os.environ['HTTP_PROXY'].rpartition(':')[2]))\n"
        "proxy.sendall(b'CONNECT evil.example:443 HTTP/1.1\\r\\n\\r\\n')\n"
        "print(proxy.recv(99)[:12].decode())\n"
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as named,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [door.getsockname()[1] for door in (named, other)]
        said = await tried(place, code, *map(str, ports), network=(f"127.0.0.1:{ports[0]}",))
    assert said == "True False False False\nHTTP/1.1 403\n"
    assert [one.host for one in read_refusals(place.dir())[0]] == ["evil.example"]


async def test_without_an_allow_list_no_port_is_reached(place: Place) -> None:
    code = (
        "import socket, sys\n"
        "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); print('REACHED')\n"
        "except OSError: print('refused')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await tried(place, code, str(server.getsockname()[1])) == "refused\n"


async def test_git_and_python_work(place: Place) -> None:
    line = (
        "git init -q . && echo x > f && git add f &&"
        " git -c user.name=x -c user.email=x@y commit -qm first && git log --format=%s"
        f" && {sys.executable} -c 'import subprocess; print(subprocess.check_output([\"true\"]))'"
    )
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(place.folder / "tree"),
        "GIT_CONFIG_NOSYSTEM": "1",  # git gives up on a file that is there and cannot be read
    }
    await place.shell(line, cwd=str(place.folder / "tree"), env=env)
    ended = await place.end()
    assert (ended.code, place.out()) == (0, b"first\nb''\n"), (place.dir() / "err").read_text()
    assert json.loads((place.dir() / "spec.json").read_text())["argv"][0] == "sh"
