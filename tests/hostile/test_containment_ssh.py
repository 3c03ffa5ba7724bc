"""A hostile agent on another machine tries to get at what is there; an honest one works.

That machine is this one, reached by SSH: what is to be stolen lies where the far side sees it.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.runtime import living, until
from contracts.ssh_place import HOME, FarBox, Sshd
from hostile import honest
from hostile.sandboxed import ASK, SECRET, Tried
from house.all_files import called
from muster.runtimes.base import Limits, RunSpec, Why
from muster.runtimes.refusals import CONNECTION, NETWORK
from muster.runtimes.ssh_hosts import hosts, keep
from muster.runtimes.ssh_wire import _archive
from muster.runtimes.tripwires import FILE

pytestmark = [pytest.mark.needs_sshd, pytest.mark.needs_bubblewrap]


class Abroad(Tried):
    """A host with a person's secrets and another agent's run, and one agent that is tried there."""

    def __init__(self, home: Path, sshd: Sshd) -> None:
        super().__init__(home, FarBox(), "python")
        self.sshd = sshd
        self.tree = home / "tree"
        self.private = home / "private"
        self.tree.mkdir()
        (self.tree / ".git").write_text("gitdir: /nowhere\n")
        (self.private / "tmp").mkdir(parents=True)
        self.far = sshd.far / ".local" / "share" / "muster-far"

    def spec(self, name: str, *argv: str, **more: Any) -> RunSpec:
        """A run as the engine asks for it."""
        env = {"HOME": str(self.private), "TMPDIR": str(self.private / "tmp"), "LANG": "C.UTF-8"}
        folders = (str(self.tree), str(self.private))
        return RunSpec(name, argv, str(self.tree), env, folders=folders, **more)


@pytest.fixture
async def abroad(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Abroad]:
    monkeypatch.setenv(HOME, str(home))
    sshd = Sshd(home.with_name(f"{home.name}-s"))
    sshd.path += f":{Path(sys.executable).parent}"
    sshd.start()
    sshd.trust(home)
    made = Abroad(home, sshd)
    yield made
    await made.close()
    sshd.stop()
    shutil.rmtree(sshd.folder, ignore_errors=True)


async def test_nothing_of_the_person_and_of_other_agents_can_be_read(abroad: Abroad) -> None:
    diary = abroad.sshd.far / ".ssh" / "id_ed25519"
    diary.parent.mkdir()
    diary.write_text(SECRET)
    other = await abroad.start(
        *("sh", "-c", f"echo {SECRET} > work; echo begun; read x"), interactive=True
    )
    await until(lambda: b"begun" in other.read("out", 0, 100).data)
    (work,) = abroad.far.glob("runs/*/f0/work")
    (token := abroad.home / "token").write_text(SECRET)
    ended = await abroad.shell(
        'for p in "$@"; do grep . "$p" && echo "READ $p"; done; cat /proc/[0-9]*/environ;'
        f" ln -s {work} link; cat link; ls {abroad.far}/runs {abroad.sshd.far};"
        f" ls -d /root/.gnupg /home /etc/shadow /var/run/docker.sock /dev/mem {abroad.far}/code;"
        " echo tried",
        *map(str, (diary, work, token, work.parents[1] / "run" / "spec.json")),
    )
    assert SECRET not in ended.out
    assert "READ" not in ended.out
    assert "SSH_CONNECTION" not in ended.out
    # Of the folder of all runs it sees its own, and of that person's home what leads there.
    assert ended.out.split("\n")[-2] == "tried"
    assert work.parents[1].name not in ended.out
    looked = {one.what for one in ended.refused if one.kind == FILE}
    assert looked == {str(abroad.far / "runs"), str(diary)}
    await abroad.runtime.end_input(other.path)
    await abroad.end(other)


async def test_only_its_own_folders_can_be_written(abroad: Abroad) -> None:
    ended = await abroad.shell(
        f"cd ..; echo x > planted; echo x > run/exit.json; echo x > {abroad.sshd.far}/.bashrc;"
        f" echo x > {abroad.far}/code/planted; echo x > /etc/planted; mknod $HOME/node b 254 0;"
        " cd $HOME && echo mine > own; echo done"
    )
    assert ended.out == "done\n"
    assert ended.exit.code == 0
    assert (abroad.private / "own").read_text() == "mine\n"
    assert not called("planted", abroad.sshd.far) + called("node", abroad.sshd.far)
    assert not (abroad.sshd.far / ".bashrc").exists()


async def test_hooks_and_filters_that_it_plants_are_run_by_nobody_there(abroad: Abroad) -> None:
    proof = abroad.home / "ran"
    ended = await abroad.shell(
        f"evil=$HOME/evil; printf '#!/bin/sh\\necho x > {proof}; cat' > $evil; chmod +x $evil;"
        " for name in filter.evil.clean core.fsmonitor core.editor diff.evil.textconv; do"
        " git config $name $evil; done; mkdir -p .git/hooks; cp $evil .git/hooks/post-index-change;"
        " echo '* filter=evil diff=evil' > .gitattributes; echo work > work; git config core.editor"
    )
    assert ended.out.endswith("/evil\n"), ended.err
    assert (abroad.tree / "work").read_text() == "work\n"
    assert not proof.exists()


async def test_the_network_is_what_was_allowed_and_a_refusal_is_told_here(
    abroad: Abroad, server: int
) -> None:
    code = ASK.rpartition("for line in")[0] + (
        "port = int(sys.argv[1])\n"
        "print('here is /plain' in ask(f'GET http://127.0.0.1:{port}/plain HTTP/1.1'))\n"
        "for host, at in (('169.254.169.254', 80), ('127.0.0.1', port + 1), ('10.0.0.1', 443),\n"
        "                 ('192.0.2.1', 443)):\n"
        "    try: socket.create_connection((host, at), 2); print('REACHED', host)\n"
        "    except OSError: pass\n"
        "for line in sys.argv[2:]:\n"
        "    print(ask(line).split('\\r\\n')[0].split(' ', 1)[1])\n"
    )
    hosts = ("169.254.169.254", "[fd00:ec2::254]", "evil.example")
    asked = [f"GET http://{host}/ HTTP/1.1" for host in hosts]
    ended = await abroad.python(code, str(server), *asked, network=(f"127.0.0.1:{server}",))
    assert ended.out.splitlines() == ["True", *["403 Forbidden"] * 3], ended.err
    asked_for = [one.host for one in ended.refused if one.kind == NETWORK]
    assert asked_for == [host.strip("[]") for host in hosts]
    assert [one.count for one in ended.refused if one.kind == CONNECTION] == [3]


@pytest.mark.long
async def test_without_an_allow_list_there_is_no_network(abroad: Abroad, server: int) -> None:
    ended = await abroad.python(
        "import socket, sys\n"
        "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); print('REACHED')\n"
        "except OSError: print('refused')\n",
        str(server),
    )
    assert ended.out == "refused\n"


@pytest.mark.long
async def test_it_has_no_rights_there_and_sees_no_other_process(abroad: Abroad) -> None:
    ended = await abroad.shell(
        "grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; id -u; ls -d /proc/[0-9]* | wc -l;"
        f" kill -9 {os.getpid()}; unshare -U true || echo refused"
    )
    words = ended.out.split()
    assert {words[words.index(f"Cap{s}:") + 1] for s in ("Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert words[words.index("Seccomp:") + 1] == "2"
    uid, seen, refused = words[-3:]
    assert (uid, refused) == ("1000", "refused")
    assert int(seen) < 10


async def test_ten_thousand_processes_and_too_much_memory_are_contained(abroad: Abroad) -> None:
    word = f"62{time.monotonic_ns()}"
    code = (
        "import os, sys\n"
        "made = 0\n"
        "for _ in range(10000):\n"
        "    try:\n"
        "        if os.fork() == 0: os.setsid(); os.execv('/bin/sleep', ['sleep', sys.argv[1]])\n"
        "        made += 1\n"
        "    except OSError: break\n"
        "print(made)\n"
    )
    ended = await abroad.python(code, word, limits=Limits(processes=100))
    assert 10 < int(ended.out) < 100
    assert ended.exit.limits == ("processes",)
    await until(lambda: not living(word))
    ended = await abroad.python("x = b'x' * 1_000_000_000", limits=Limits(memory_bytes=100_000_000))
    assert (ended.exit.why, ended.exit.code) == (Why.MEMORY, -9)
    assert ended.exit.limits == ("memory",)


async def test_the_honest_work_of_an_agent_can_be_done(
    abroad: Abroad, index: int, other_index: int
) -> None:
    honest.put(abroad.tree)
    line = honest.work("python", index, other_index)
    ended = await abroad.shell(line, network=(f"127.0.0.1:{index}",))
    honest.proves(abroad.tree, ended.out, ended.err)
    told = honest.line_that_allows(abroad.runtime, abroad.runs[-1], ended.exit.code, index)
    assert told[-2:] == ["network", f"127.0.0.1:{index},127.0.0.1:{other_index}"]


async def test_it_is_said_how_far_a_host_contains(abroad: Abroad) -> None:
    assert "where it can" in abroad.runtime.describe()
    await abroad.shell("true")
    assert "contained by bubblewrap" in abroad.runtime.describe()
    (abroad.sshd.far / "diary").write_text("open")
    before = hosts(abroad.home)["box"]
    abroad.sshd.contained = False
    keep(abroad.home, abroad.sshd.host)
    assert before.contained
    await abroad.runtime.close()
    abroad.runtime = FarBox()
    ended = await abroad.shell(f"cat {abroad.sshd.far}/diary")
    assert ended.out == "open"
    assert "not contained" in abroad.runtime.describe()


async def test_a_host_that_can_make_no_sandbox_says_so(abroad: Abroad) -> None:
    # Nothing that could contain is found there: neither program nor kernel.
    broken = "place.available = lambda: 'nothing that could'"
    python = abroad.sshd.bin / "python3"
    python.unlink()
    python.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"code = sys.argv[-1].replace('if not True', {broken + chr(10) + 'if not True'!r})\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-I', '-c', code])\n"
    )
    python.chmod(0o755)
    (abroad.sshd.far / "diary").write_text("open")
    ended = await abroad.shell(f"cat {abroad.sshd.far}/diary")
    assert ended.out == "open", ended.err
    assert "not contained" in abroad.runtime.describe()


def test_what_goes_there_needs_nothing_that_a_bare_python_has_not(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
        archive.extractall(tmp_path, filter="data")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import muster.runtimes.far, muster.runtimes.caged\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules}"
        " - set(sys.stdlib_module_names) - {'__main__'}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "['muster', 'typing_extensions']\n", done.stderr
