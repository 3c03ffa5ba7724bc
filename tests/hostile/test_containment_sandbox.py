"""A hostile agent in the sandbox tries to get out, and an honest one gets its work done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.runtime import living
from hostile import honest
from hostile.sandboxed import SECRET, House
from house.all_files import called
from house.patience import until
from muster.runtimes.base import Limits
from muster.runtimes.decoys import laid_out
from muster.runtimes.engine_decoy import ENGINE
from muster.runtimes.knocks import PORT
from muster.runtimes.refusals import CONNECTION
from muster.runtimes.tripwires import DEVICE, FILE, PROCESS
from muster.runtimes.visible import Mount, Show

pytestmark = pytest.mark.needs_bubblewrap


# --- files ----------------------------------------------------------------------------------------

OUTSIDE = [
    "token", "muster.db", "runs/other/agent/home/diary", "runs/mine/spec.json", "runs/mine/out",
    "workspaces/spaces/other/tree/work.txt", "workspaces/spaces/mine/record.json",
    "workspaces/spaces/mine/control/state", "workspaces/spaces/other/agent.git/config",
]  # fmt: skip


async def test_nothing_of_the_home_can_be_read_but_its_own(house: House) -> None:
    paths = [str(house.home / name) for name in OUTSIDE]
    folders = " ".join(f"{house.home}/{name}" for name in ("", "runs", "workspaces/spaces"))
    line = f'for p in "$@"; do grep -q . "$p" && echo "READ $p"; done; ls -A {folders};'
    ended = await house.shell(f"{line} cat work.txt $HOME/diary", *paths)
    assert "READ" not in ended.out
    assert SECRET not in ended.out
    assert "other" not in ended.out
    assert ended.out.endswith("workmine")
    # That it looked is known: of its own, and of what others have there.
    home, spaces = str(house.home), str(house.home / "workspaces" / "spaces")
    looked = {home, f"{home}/token", f"{home}/runs", spaces}
    assert {one.what for one in ended.refused if one.kind == FILE} == looked


async def test_the_empty_decoys_that_it_opens_are_written_down_each_once(house: House) -> None:
    names = (".ssh", ".ssh/id_ed25519", ".ssh/id_rsa")
    keys = [*(f"{Path.home()}/{name}" for name in names), f"{house.home}/token"]
    ended = await house.shell(
        'cat "$@"; cat "$@"; grep -r . "$1"; for p in "$@"; do echo x > "$p"; done; echo done',
        *keys,
    )
    assert ended.out == "done\n"
    assert sorted(one.what for one in ended.refused) == sorted(keys)
    assert {(one.kind, one.count) for one in ended.refused} == {(FILE, 1)}
    assert (house.home / "token").read_text() == SECRET


async def test_no_decoy_stands_where_something_is_shown(house: House) -> None:
    ended = await house.shell(
        f"ls -A . {house.home}; cat {house.home}/token; echo done", readable=(str(house.home),)
    )
    assert SECRET in ended.out
    assert not ended.refused
    there = ["muster.db", "runs", "token", "workspaces"]
    assert sorted(path.name for path in house.home.iterdir()) == there
    shown = [Mount(str(house.home), Show.READ), Mount(f"{Path.home()}/.netrc/x", Show.READ)]
    made = laid_out(house.spec("mine", "true"), house.home / "runs" / "mine", shown)
    decoys = [*made["files"], *made["folders"]]
    assert f"{Path.home()}/.ssh/id_rsa" in decoys
    assert not [path for path in decoys if path.startswith(f"{house.home}/")]
    assert f"{Path.home()}/.netrc" not in decoys  # a file there would be in the way


async def test_what_finds_no_way_past_the_proxy_is_counted(house: House) -> None:
    code = (
        "import socket\n"
        "for host in ('169.254.169.254', '10.0.0.1', 'fd00::1', '127.0.0.1'):\n"
        "    try: socket.create_connection((host, 9), 5)\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    ended = await house.python(code)
    assert ended.out.split("\n")[0] == "Network is unreachable"
    (one,) = ended.refused
    assert one.kind == CONNECTION
    assert one.count in {2, 3}  # a kernel without IPv6 counts nothing of it


async def test_only_what_is_opened_is_heard_and_not_what_is_looked_at(
    house: House, server: int
) -> None:
    looks = (
        "import os, socket\n"
        "for folder in ('/dev', '/run', '/proc/1'): os.listdir(folder)\n"
        "for path in ('/dev/mem', '/dev/vda', '/run/docker.sock', '/var/run/docker.sock',\n"
        "             '/run/podman/podman.sock', '/proc/1/environ'): os.stat(path)\n"
        "with socket.create_server(('127.0.0.1', 0)) as free: port = free.getsockname()[1]\n"
        "try: socket.create_connection(('127.0.0.1', port), 5)\n"
        "except ConnectionRefusedError: print('looked')\n"
    )
    ended = await house.python(looks)
    assert (ended.out, ended.refused) == ("looked\n", []), ended.err
    opens = (
        "import socket, sys\n"
        "for path in ('/dev/mem', '/dev/vda', '/proc/1/environ'): open(path, 'rb').read()\n"
        "for host in ('127.0.0.1', '::1') * 3:\n"
        "    try: socket.create_connection((host, int(sys.argv[1])), 5)\n"
        "    except ConnectionRefusedError: print('refused')\n"
        "for path in ('/run/podman/podman.sock', '/var/run/docker.sock'):\n"
        "    with socket.socket(socket.AF_UNIX) as s:\n"
        "        s.connect(path); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
        "        print(s.recv(100).split()[1].decode())\n"
    )
    ended = await house.python(opens, str(server))
    assert ended.out.split() == [*["refused"] * 6, "403", "403"], ended.err
    assert sorted((one.kind, one.what) for one in ended.refused) == sorted(
        [
            *((DEVICE, "/dev/mem"), (DEVICE, "/dev/vda"), (PROCESS, "/proc/1/environ")),
            *((PORT, f"port {server} of this machine"), (ENGINE, "/run/docker.sock")),
        ]
    )


@pytest.mark.parametrize(
    "path",
    ["/root/.gnupg", "/root/.bashrc", "/srv", "/etc/shadow", "/etc/sudoers", "/var/lib", "/var/log",
     "/var/run/dbus", "/run/dbus", "/sys/kernel", "/boot", "/mnt", "/dev/kmsg", "/dev/fuse",
     "/dev/kvm", "/proc/1/root/etc/shadow",
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
    tops = ("/usr", "/etc", "/opt", sys.base_prefix, "/root", str(house.home))
    ended = await house.python(code, word, *tops)
    assert ended.out == "True\n"
    own = (house.tree, house.git, house.private, house.private / "tmp")
    planted = [path.parent for path in called(word, house.home)]
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
    "request_key": 249, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298,
    "io_uring_setup": 425,
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
    assert ended.exit.limits == ("processes",)
    await until(lambda: not living(word))


@pytest.mark.parametrize("where", ["/dev/shm", "/tmp"])
async def test_memory_of_the_sandboxs_own_folders_counts_as_its_memory(
    house: House, where: str
) -> None:
    record = await house.start(
        *("sh", "-c", f"read x; head -c 300000000 /dev/zero > {where}/full && echo wrote all"),
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
    assert ended.exit.limits == ("memory",)


async def test_files_and_folders_of_the_sandbox_have_a_largest_size(house: House) -> None:
    ended = await house.shell(
        "head -c 100000 /dev/zero > big; stat -c %s big; df -B1 --output=size /tmp /dev/shm",
        limits=Limits(file_bytes=50_000),
    )
    size, *folders = (int(word) for word in ended.out.split() if word.isdigit())
    assert size == 50_000
    assert ended.exit.limits == ()
    grows = (
        "import signal as s; s.signal(s.SIGXFSZ, s.SIG_DFL); open('big', 'wb').write(bytes(99_999))"
    )
    ended = await house.python(grows, limits=Limits(file_bytes=50_000))
    assert ended.exit.limits == ("file",)
    assert all(folder < 2_001_000_000 for folder in folders)


# --- honest work ----------------------------------------------------------------------------------


async def test_the_honest_work_of_an_agent_can_be_done(
    house: House, index: int, other_index: int
) -> None:
    honest.put(house.tree)
    python = sys.executable
    line = honest.work(python, index, other_index, first="git init -q .")
    ended = await house.shell(line, network=(f"127.0.0.1:{index}",))
    honest.proves(house.tree, ended.out, ended.err)
    told = honest.line_that_allows(house.runtime, house.runs[-1], ended.exit.code, index)
    *words, rules = told
    assert words == ["muster", "project", "set", "repo", "network"]
    assert rules == f"127.0.0.1:{index},127.0.0.1:{other_index}"
    again = honest.installs(f"{python} -m pip", other_index, "more")
    ended = await house.shell(again, network=tuple(rules.split(",")))
    assert ended.exit.code == 0, ended.err
    assert (house.tree / "more" / "tinydep.py").exists()


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
        f"{sys.executable} -m venv --without-pip env &&"
        " env/bin/python -c 'import sys; print(sys.prefix)'"
        " && { command -v cc >/dev/null || exit 0; echo 'int main(void) { return 0; }' > a.c;"
        " cc -o a a.c && ./a; }"
    )
    ended = await house.shell(line)
    assert ended.exit.code == 0, ended.err
    assert ended.out == f"{house.tree}/env\n"
