"""A hostile agent in a container tries to get out or to take the machine; an honest one works."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conftest import run_git
from contracts.runtime import Place, living
from hostile import honest
from house.patience import PATIENCE
from muster.runtimes.base import Limits, RunSpec, Why
from muster.runtimes.decoys import devices
from muster.runtimes.docker import DockerRuntime
from muster.runtimes.knocks import PORT
from muster.runtimes.refusals import CONNECTION, read_refusals
from muster.runtimes.rundir import RunDir
from muster.runtimes.tripwires import DEVICE, FILE

pytestmark = [pytest.mark.needs_docker, pytest.mark.usefixtures("docker_engine")]

SECRET = "the-token-of-muster-42"
HEAD = """
import ctypes, errno, json, os, pathlib, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
told = {}
def attempt(name, act):
    try:
        told[name] = ("done", repr(act())[:200])
    except BaseException as error:
        told[name] = ("refused", type(error).__name__, str(error)[:200])
def call(number, *args):
    ctypes.set_errno(0)
    if libc.syscall(number, *args) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""
TAIL = "\nprint(json.dumps(told))\n"


class Cell:
    """A home with things worth stealing, and an agent's own corner of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tree = home / "workspaces" / "own" / "tree"
        self.private = home / "runs" / "own" / "agent"
        self.others = home / "workspaces" / "other" / "tree"
        for folder in (self.tree, self.private / "tmp", self.others, home / "runs" / "other"):
            folder.mkdir(parents=True)
        (home / "token").write_text(SECRET)
        (self.others / "secret.txt").write_text(SECRET)
        (home / "runs" / "other" / "out").write_text(SECRET)
        self.runtime = DockerRuntime()
        self.place = Place(self.runtime, home / "runs", "python3")

    def spec(self, *argv: str, **more: Any) -> RunSpec:
        """The agent's run."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.private), "LANG": "C.UTF-8"}
        more.setdefault("env", env)
        return RunSpec("own", argv, str(self.tree), writable=(str(self.private),), **more)

    async def run(self, *argv: str, **more: Any) -> tuple[RunDir, Why, int | None]:
        """Run it to its end."""
        run_dir = self.home / "runs" / "own"
        await self.runtime.start(self.spec(*argv, **more), run_dir)
        ended = await asyncio.wait_for(self.runtime.wait(run_dir), 2 * PATIENCE)
        return RunDir(run_dir), ended.why, ended.code

    async def tries(self, code: str, *args: str, **more: Any) -> dict[str, list[str]]:
        """What came of what a Python program attempted, by name."""
        record, _, exited = await self.run("python3", "-c", HEAD + code + TAIL, *args, **more)
        out = record.read("out", 0, 1 << 20).data
        assert exited == 0, (out, record.read("err", 0, 1 << 20).data)
        assert SECRET.encode() not in out
        return json.loads(out)


def all_refused(told: dict[str, list[str]]) -> None:
    """Every attempt failed, and there was at least one."""
    assert told
    assert {name: how for name, how in told.items() if how[0] != "refused"} == {}


@pytest.fixture
async def cell(home: Path) -> AsyncIterator[Cell]:
    """A cell; what a failed test left in it is killed."""
    made = Cell(home)
    yield made
    run_dir = home / "runs" / "own"
    if RunDir(run_dir).started():
        await made.runtime.kill(run_dir)
        await made.runtime.wait(run_dir)
    await made.runtime.close()


async def test_nothing_of_the_machine_can_be_read_but_the_runs_own(cell: Cell) -> None:
    shadow = Path("/etc/hostname").resolve()
    all_refused(
        await cell.tries(
            "home, others, run_dir, door = sys.argv[1:5]\n"
            "read = lambda path: open(path, 'rb').read()\n"
            "attempt('listing', lambda: os.listdir(home + '/runs/other'))\n"
            "attempt('others', lambda: read(others + '/secret.txt'))\n"
            "attempt('output of others', lambda: read(home + '/runs/other/out'))\n"
            "attempt('own record', lambda: read(run_dir + '/spec.json'))\n"
            "attempt('control socket', lambda: socket.socket(socket.AF_UNIX)"
            ".connect(run_dir + '/ctl'))\n"
            "attempt('door', lambda: socket.socket(socket.AF_UNIX).connect('/.muster/door/s'))\n"
            "attempt('docker', lambda: socket.socket(socket.AF_UNIX).connect(door))\n"
            "attempt('usual docker', lambda: socket.socket(socket.AF_UNIX)"
            ".connect('/var/run/docker.sock'))\n"
            "attempt('shadow', lambda: read('/etc/shadow'))\n"
            "attempt('packages', lambda: os.listdir('/.muster/lib/python3.%d/site-packages'"
            " % sys.version_info[1])[0])\n"
            "os.symlink(others + '/secret.txt', 'link')\n"
            "attempt('link out', lambda: read('link'))\n"
            "attempt('dots', lambda: read('../../other/tree/secret.txt'))\n",
            *(str(cell.home), str(cell.others), str(cell.home / "runs" / "own")),
            str(Path(shadow).parent / "docker.sock"),
        )
    )


async def test_decoys_of_what_is_worth_stealing_are_empty_and_heard(cell: Cell) -> None:
    token = str(cell.home / "token")
    told = await cell.tries(
        "read = lambda path: open(path, 'rb').read()\n"
        "for folder in ('/dev', '/run'): os.listdir(folder)\n"
        "for path in ('/dev/vda', '/run/docker.sock'): os.stat(path)\n"
        "for path in (sys.argv[1], '/dev/mem'): attempt(path, lambda: read(path))\n",
        token,
    )
    assert told == {path: ["done", "b''"] for path in (token, "/dev/mem")}
    heard = [(one.kind, one.what) for one in read_refusals(cell.home / "runs" / "own")[0]]
    assert heard == [(FILE, token), (DEVICE, "/dev/mem")]


async def test_a_run_cannot_say_how_it_ended(cell: Cell) -> None:
    forged = '{"code": 0, "why": "exit", "detail": "forged"}'
    run_dir = cell.home / "runs" / "own"
    record, why, code = await cell.run(
        "sh",
        "-c",
        f"for name in exit.json place.json out; do echo '{forged}' > {run_dir}/$name; done; "
        "echo true; exit 9",
    )
    assert (why, code) == (Why.EXIT, 9)
    assert record.read("out", 0, 1000).data == b"true\n"
    for name in ("exit.json", "place.json", "out"):
        assert b"forged" not in (run_dir / name).read_bytes()


async def test_nothing_can_be_written_but_the_runs_own(cell: Cell) -> None:
    told = await cell.tries(
        "def write(path):\n"
        "    with open(path, 'w') as file: file.write('x')\n"
        "for path in ('/x', '/usr/bin/x', '/etc/x', '/.muster/x', '/.muster/source/muster/x',\n"
        "             '/.muster/bin/x', '/.muster/door/x', '/proc/sys/kernel/core_pattern',\n"
        "             '/proc/sysrq-trigger', '/sys/kernel/uevent_helper',\n"
        "             '/sys/fs/cgroup/memory/memory.limit_in_bytes',\n"
        "             '/sys/fs/cgroup/pids/pids.max', '/proc/1/oom_score_adj'):\n"
        "    attempt(path, lambda: write(path))\n"
    )
    all_refused(told)
    assert [path.name for path in cell.others.iterdir()] == ["secret.txt"]


async def test_other_processes_are_neither_seen_nor_reached(cell: Cell) -> None:
    word = f"{time.monotonic_ns()}"
    host = await asyncio.create_subprocess_exec("sleep", word, env={"STOLEN": SECRET})
    try:
        told = await cell.tries(
            "pids = [int(n) for n in os.listdir('/proc') if n.isdigit()]\n"
            "print(sorted(pids), file=sys.stderr)\n"
            "read = lambda path: open(path, 'rb').read(100)\n"
            "attempt('environment of 1', lambda: read('/proc/1/environ'))\n"
            "attempt('memory of 1', lambda: open('/proc/1/mem', 'r+b'))\n"
            "for fd in os.listdir('/proc/1/fd'):\n"
            "    attempt('descriptor ' + fd, lambda: os.open('/proc/1/fd/' + fd, os.O_RDWR))\n"
            "attempt('root of 1', lambda: os.listdir('/proc/1/root/'))\n"
            "attempt('ptrace of 1', lambda: call(101, 16, 1, 0, 0))\n"
            f"attempt('a process of the machine', lambda: os.kill({host.pid}, 9))\n"
        )
        assert host.returncode is None
    finally:
        host.kill()
        await host.wait()
    all_refused(told)
    seen = json.loads(RunDir(cell.home / "runs" / "own").read("err", 0, 1000).data)
    assert len(seen) == 2


async def test_the_first_process_cannot_be_ended_from_within(cell: Cell) -> None:
    record, why, code = await cell.run(
        "python3", "-c", "import os, time\nfor n in (9, 15, 19, 2): os.kill(1, n)\n"
        "time.sleep(0.2); print('here', flush=True); os._exit(5)"
    )  # fmt: skip
    assert (record.read("out", 0, 100).data, why, code) == (b"here\n", Why.EXIT, 5)


async def test_no_right_is_had_or_can_be_gained(cell: Cell) -> None:
    told = await cell.tries(
        "status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)\n"
        "names = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp')\n"
        "print(json.dumps([status[name].strip() for name in names]), file=sys.stderr)\n"
        "attempt('mount', lambda: call(165, b'x', b'/tmp', b'tmpfs', 0, 0))\n"
        "attempt('remount', lambda: call(165, 0, b'/', 0, 4128, 0))\n"
        "attempt('unmount', lambda: call(166, b'/etc/hosts', 0))\n"
        "for name, flag in dict(user=0x10000000, mount=0x20000, net=0x40000000,\n"
        "                       pid=0x20000000).items():\n"
        "    attempt('unshare ' + name, lambda: call(272, flag))\n"
        "attempt('setns', lambda: call(308, os.open('/proc/self/ns/net', os.O_RDONLY), 0))\n"
        "attempt('chroot', lambda: os.chroot('/tmp'))\n"
        "attempt('device', lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0)))\n"
        "attempt('memory device', lambda: os.mknod('/tmp/mem', 0o20600, os.makedev(1, 1)))\n"
        "attempt('chown', lambda: os.chown('/tmp', 12, 12))\n"
        "attempt('become another', lambda: os.setuid(12))\n"
        "attempt('keys', lambda: call(250, 0, -3, 1))\n"
        "attempt('bpf', lambda: call(321, 0, 0, 0))\n"
        "attempt('userfaultfd', lambda: call(323, 0))\n"
        "attempt('modules', lambda: call(313, 0, b'', 0))\n"
        "attempt('clock', lambda: call(227, 0, (ctypes.c_long * 2)(0, 0)))\n"
        "attempt('reboot', lambda: call(169, 0xfee1dead, 672274793, 0, 0))\n"
        "attempt('raw socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))\n"
        "import fcntl\n"
        "attempt('typing into a terminal', lambda: fcntl.ioctl(0, 0x5412, b'x'))\n"
        "attempt('a terminal', lambda: open('/dev/tty'))\n"
    )
    all_refused(told)
    none = "0" * 16
    said = json.loads(RunDir(cell.home / "runs" / "own").read("err", 0, 1000).data)
    assert said == [none] * 5 + ["1", "2"]


async def test_the_devices_are_the_harmless_ones(cell: Cell) -> None:
    record, _, _ = await cell.run("ls", "/dev")
    there = set(record.read("out", 0, 10_000).data.decode().split())
    there -= {path.removeprefix("/dev/") for path in devices()}  # which are all /dev/null
    harmless = {"core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"}
    assert there <= harmless | {"stderr", "stdin", "stdout", "tty", "urandom", "zero", "console"}


async def test_no_network_is_reached(cell: Cell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        told = await cell.tries(
            "for host, port in (('127.0.0.1', int(sys.argv[1])), ('169.254.169.254', 80),\n"
            "                   ('fd00:ec2::254', 80), ('192.0.2.1', 443), ('172.17.0.1', 22)):\n"
            "    attempt(host, lambda: socket.create_connection((host, port), 2))\n"
            "attempt('names', lambda: socket.getaddrinfo('example.org', 443))\n"
            "attempt('datagrams', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
            ".sendto(b'x', ('192.0.2.1', 53)))\n"
            "links = [l.split(':')[0].strip() for l in open('/proc/net/dev') if ':' in l]\n"
            "print(json.dumps(links), file=sys.stderr)\n",
            str(listener.getsockname()[1]),
        )
        with pytest.raises(TimeoutError):
            listener.accept()
    all_refused(told)
    said = RunDir(cell.home / "runs" / "own").read("err", 0, 1000).data
    assert "lo" in json.loads(said)
    port, one = read_refusals(cell.home / "runs" / "own")[0]
    assert (port.kind, one.kind) == (PORT, CONNECTION)
    assert one.count >= 4


async def test_the_network_is_what_was_allowed_and_a_refusal_is_recorded(cell: Cell) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    servers = [await asyncio.start_server(answer, "127.0.0.1", 0) for _ in range(2)]
    allowed, other = (server.sockets[0].getsockname()[1] for server in servers)
    told = await cell.tries(
        "import urllib.request as u\n"
        "allowed, other = sys.argv[1:3]\n"
        "by_proxy = u.build_opener(u.ProxyHandler({'http': os.environ['HTTP_PROXY']}))\n"
        "get = lambda url: u.urlopen(url, timeout=10).read()\n"
        "print(get(f'http://127.0.0.1:{allowed}/'), file=sys.stderr)\n"
        "attempt('another port', lambda: get(f'http://127.0.0.1:{other}/'))\n"
        "for host in (f'127.0.0.1:{other}', f'localhost:{other}', '169.254.169.254',\n"
        "             'example.org', '10.0.0.1', '[fd00:ec2::254]'):\n"
        "    attempt(host, lambda: by_proxy.open(f'http://{host}/', timeout=10).read())\n",
        str(allowed),
        str(other),
        network=(f"127.0.0.1:{allowed}",),
    )
    all_refused(told)
    run_dir = cell.home / "runs" / "own"
    assert RunDir(run_dir).read("err", 0, 1000).data == b"b'hello'\n"
    refused = (run_dir / "refused").read_text()
    assert "169.254.169.254" in refused
    assert "fd00:ec2::254" in refused
    assert "example.org" in refused
    for server in servers:
        server.close()


async def test_ten_thousand_processes_end_at_the_limit_and_none_is_left(cell: Cell) -> None:
    word = f"1{time.monotonic_ns()}"
    record, _, _ = await cell.run(
        "python3",
        "-c",
        "import os, sys\n"
        "made = 0\n"
        "for _ in range(10_000):\n"
        "    try:\n"
        "        if os.fork() == 0: os.setsid(); os.execlp('sleep', 'sleep', sys.argv[1])\n"
        "        made += 1\n"
        "    except BlockingIOError: break\n"
        "print(made)\n",
        word,
        limits=Limits(processes=100),
    )
    assert 50 < int(record.read("out", 0, 100).data) <= 100
    ended = record.exit()
    assert ended
    assert ended.limits == ("processes",)
    assert not living(word)


async def test_too_much_memory_ends_the_program_alone(cell: Cell) -> None:
    record, why, code = await cell.run(
        "python3", "-c", "x = b'x' * 1_000_000_000", limits=Limits(memory_bytes=100_000_000)
    )
    assert (why, code) == (Why.MEMORY, -9)
    ended = record.exit()
    assert ended
    assert ended.limits == ("memory",)


async def test_the_disk_is_taken_by_one_file_up_to_its_limit_and_else_from_memory(
    cell: Cell,
) -> None:
    record, _, _ = await cell.run(
        "sh",
        "-c",
        "head -c 9000000 /dev/zero > big; wc -c < big; head -c 9000000 /dev/zero > /x; "
        "for i in $(seq 30); do head -c 9000000 /dev/zero > /run/$i; done; du -sk /run",
        limits=Limits(file_bytes=5_000_000),
    )
    first, rest = record.read("out", 0, 1000).data.split(b"\n", 1)
    assert int(first) == 5_000_000
    assert int(rest.split()[0]) <= 16 * 1024
    assert b"Read-only file system" in record.read("err", 0, 10_000).data


async def test_the_honest_work_of_an_agent_can_be_done(
    cell: Cell, index: int, other_index: int
) -> None:
    run_git(cell.tree, "init", "--quiet", "--initial-branch=main")
    honest.put(cell.tree)
    venv, pip = cell.private / "venv", cell.private / "pip"
    # The image has no pip, but Python brings one along; taken out it is quicker than installed.
    bundled = "import ensurepip as e; print(*e.__path__, sep='')"
    first = (
        f"python3 -m venv --without-pip {venv} &&"
        f' python3 -m zipfile -e "$(python3 -c "{bundled}")"/_bundled/pip-*.whl {pip}'
    )
    line = honest.work(
        f"{venv}/bin/python",
        index,
        other_index,
        first,
        pip=f"PYTHONPATH={pip} {venv}/bin/python -m pip",
    )
    record, _, code = await cell.run("sh", "-c", line, network=(f"127.0.0.1:{index}",))
    out, err = (record.read(s, 0, 1 << 20).data.decode() for s in ("out", "err"))
    honest.proves(cell.tree, out, err)
    told = honest.line_that_allows(cell.runtime, record.path, code, index)
    assert told[-2:] == ["network", f"127.0.0.1:{index},127.0.0.1:{other_index}"]
    assert run_git(cell.tree, "log", "--format=%s") == "Work"
    assert (venv / "bin" / "python").is_symlink()


async def test_a_program_that_was_made_in_scratch_space_runs(cell: Cell) -> None:
    record, why, code = await cell.run(
        "sh", "-c", "printf '#!/bin/sh\necho ran' > /tmp/tool; chmod +x /tmp/tool; /tmp/tool"
    )
    assert (why, code) == (Why.EXIT, 0), record.read("err", 0, 10_000).data
    assert record.read("out", 0, 1000).data == b"ran\n"
