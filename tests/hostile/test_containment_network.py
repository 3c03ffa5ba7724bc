"""A hostile agent tries the one way out of its sandbox, and an honest one uses it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hostile.sandboxed import ASK, House
from house.patience import until
from muster.domain.errors import Invalid
from muster.runtimes.base import Why
from muster.runtimes.rundir import RunDir

pytestmark = pytest.mark.needs_bubblewrap


async def test_without_an_allow_list_there_is_no_network_at_all(house: House, server: int) -> None:
    code = (
        "import socket, sys\n"
        "for host, port in (('127.0.0.1', int(sys.argv[1])), ('127.0.0.1', 3128), ('::1', 3128),\n"
        "                   ('1.1.1.1', 443), ('169.254.169.254', 80), ('fd00:ec2::254', 80)):\n"
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
             "[fd00:ec2::254]", "224.0.0.1", "255.255.255.255",
             "[::ffff:169.254.169.254]"]  # fmt: skip
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
    began = time.time()
    ended = await house.ask(*lines, network=("*.good.example", f"127.0.0.1:{server}"))
    assert ended.out.splitlines() == ["403 Forbidden"] * len(lines)
    assert len(ended.refused) == len(lines)
    first = ended.refused[0]
    assert (first.host, first.port, first.why) == ("evil.example", 443, "is not on the allow-list")
    assert int(began) <= first.time <= time.time()


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
     "GET http://a/ HTTP/1.1\r\nX: " + "x" * 100_000, "CONNECT [::1 HTTP/1.1",
     "CONNECT a:b:c HTTP/1.1"],
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


async def test_much_goes_both_ways_at_once_and_either_may_end_first(house: House) -> None:
    size = 20_000_000
    code = (
        "import socket, sys, threading\n"
        "s = socket.create_connection(('127.0.0.1', 3128))\n"
        "s.sendall(f'CONNECT 127.0.0.1:{sys.argv[1]} HTTP/1.1\\r\\n\\r\\n'.encode())\n"
        "assert b'200' in s.recv(39)\n"
        f"def say(): s.sendall(bytes({size})); s.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=say).start()\n"
        "got = 0\n"
        "while piece := s.recv(65536): got += len(piece)\n"
        "print(got)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as echo:

        def answer() -> None:
            with echo.accept()[0] as client:
                while piece := client.recv(65536):
                    client.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        port = echo.getsockname()[1]
        ended = await house.python(code, str(port), network=(f"127.0.0.1:{port}",))
        thread.join()
    assert ended.out == f"{size}\n", ended.err


AS_NOBODY = """
import json, os, socket, subprocess, sys
from muster.runtimes.doorway import open_inside
os.setgroups([]); os.setgid(65534); os.setuid(65534)
hold, let_go = os.pipe(); status, tell = os.pipe()
argv = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/usr", "/usr",
        "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
        "/lib64", "--proc", "/proc", "--block-fd", str(hold), "--json-status-fd", str(tell), "--",
        "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3128; read -u 3 line; echo $line"]
inside = subprocess.Popen(argv, pass_fds=(hold, tell), stdout=subprocess.PIPE)
(door,), ears = open_inside(
    json.loads(open(status).readline())["child-pid"], [("127.0.0.1", 3128)])
os.close(let_go); os.close(hold)
client, _ = door.accept()
client.sendall(b"hello from outside\\n")
print(os.getuid(), len(ears), inside.communicate()[0].decode().strip())
"""


@pytest.mark.needs_root
def test_a_server_that_is_not_root_opens_the_network_of_its_sandboxes_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "65534 2 hello from outside\n", done.stderr


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
