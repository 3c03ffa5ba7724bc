"""The SSH runtime against a real server: the suite for all places, and what only a network does."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.ssh_place import HOME, FarBox, Sshd

from contracts.runtime import Place, RuntimeContract, living
from engine.houses import git, town
from house.patience import PATIENCE, until
from muster.domain.errors import Invalid, Refused, Unreachable
from muster.runtimes.base import RunSpec, Why
from muster.runtimes.frames import Lost
from muster.runtimes.rundir import RunDir
from muster.runtimes.ssh import SshRuntime
from muster.runtimes.ssh_hosts import Host, parse_address

pytestmark = pytest.mark.needs_sshd


@pytest.fixture
def sshd(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.setenv(HOME, str(home))
    server = Sshd(home.with_name(f"{home.name}-s"))
    server.start()
    server.trust(home.with_name(f"{home.name}-s"))
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


class TestSshRuntime(RuntimeContract):
    """The suite; the far side is this machine, so that it sees the far processes."""

    @pytest.fixture(autouse=True)
    def _server(self, sshd: Sshd) -> None:
        self.sshd = sshd

    def make_runtime(self) -> FarBox:
        return FarBox()

    counts_what_is_left = False
    shim_is_shown_elsewhere = True

    def limits_memory(self, record: RunDir) -> None:
        return None  # that is the other machine's affair

    async def test_a_fresh_runtime_adopts_a_live_run(self, place: Place) -> None:
        await place.shell("echo ready; read line; echo got $line; exit 5", interactive=True)
        await place.runtime.close()
        fresh = self.make_runtime()
        # Here output arrives only while somebody follows.
        waiting = asyncio.ensure_future(fresh.wait(place.dir()))
        await place.says(b"ready")
        await fresh.send(place.dir(), b"hello\n")
        assert (await asyncio.wait_for(waiting, PATIENCE)).code == 5
        assert place.out() == b"ready\ngot hello\n"
        await fresh.close()

    # --- what the shim does, and the way home could undo ---

    async def test_a_gap_is_named_at_home_too(self, place: Place) -> None:
        await self.test_a_flood_keeps_its_head_and_tail_and_names_the_gap(place)

    async def test_watchers_at_home_hear_of_output(self, place: Place) -> None:
        await self.test_watchers_hear_of_output_and_can_follow_it_live(place)

    # --- what only a network does ---

    async def test_a_run_outlives_its_cut_connections_and_no_byte_is_lost(
        self, place: Place
    ) -> None:
        go = place.folder / "go"
        talks = f"n=0; while [ ! -e {go} ]; do n=$((n + 1)); echo line $n; sleep 0.02; done"
        record = await place.shell(f"{talks}; echo last; exit 17")
        waiting = asyncio.ensure_future(place.end())
        for _ in range(5):
            before = record.size("out")
            await until(lambda before=before: record.size("out") > before)
            await until(self.sshd.cut)
        go.touch()
        ended = await waiting
        assert (ended.code, ended.why) == (17, Why.EXIT)
        *lines, last = place.out().decode().splitlines()
        assert lines == [f"line {n + 1}" for n in range(len(lines))]
        assert last == "last"
        items = record.log(0, 10_000_000).items
        assert "".join(item.text for item in items) == place.out().decode()

    async def test_the_cut_itself_has_the_run_read_on(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        await place.shell("while read line; do echo $line; done", interactive=True)
        await place.runtime.send(place.dir(), b"one\n")
        await place.says(b"one")
        assert isinstance(place.runtime, FarBox)
        old = place.runtime._wire
        caplog.set_level(logging.INFO, "muster.runtimes")
        self.sshd.cut()
        await until(lambda: place.runtime._wire not in {None, old} and place.runtime._wire.alive)
        # A look was broken off by the news of the cut, and not for its length.
        noticed, *_ = [one for one in caplog.records if "is not in reach" in one.getMessage()]
        assert noticed.args
        assert isinstance(noticed.args[1], Lost)
        assert noticed.args[1].__cause__ is None
        await place.runtime.send(place.dir(), b"two\n")
        await place.says(b"two")
        await place.runtime.kill(place.dir())
        await place.end()

    async def test_a_run_goes_on_while_the_host_is_away(self, place: Place) -> None:
        go, word = place.folder / "go", f"6{time.monotonic_ns()}"
        waits = f"while [ ! -e {go} ]; do sleep 0.02; done"
        await place.start("sh", "-c", f"echo ready; {waits}; echo done; exit 4", word)
        waiting = asyncio.ensure_future(place.end())
        await place.says(b"ready")
        self.sshd.stop()
        go.touch()
        await until(lambda: not living(word))
        assert not waiting.done()
        self.sshd.start()
        assert (await waiting).code == 4
        assert place.out() == b"ready\ndone\n"

    async def test_a_stop_that_the_host_did_not_hear_is_told_when_it_is_back(
        self, place: Place
    ) -> None:
        word = f"5{time.monotonic_ns()}"
        await place.shell(f"echo ready; sleep {word}")
        await place.says(b"ready")
        self.sshd.stop()
        await place.runtime.stop(place.dir())
        await place.runtime.close()
        assert living(word)
        self.sshd.start()
        fresh = self.make_runtime()
        assert (await place.end(runtime=fresh)).why is Why.STOPPED
        assert not living(word)
        await fresh.close()

    async def test_a_changed_host_key_ends_all_talk_with_a_clear_word(self, place: Place) -> None:
        await place.shell("echo ready; sleep 600")
        await place.says(b"ready")
        self.sshd.stop()
        self.sshd.new_host_key()
        self.sshd.start()
        with pytest.raises(Refused) as refused:
            await place.end()
        assert refused.value.code == "host-key-changed"
        assert "SHA256:" in refused.value.detail
        with pytest.raises(Refused, match="trusted"):
            await place.start("true", name="other")
        assert not RunDir(place.dir("other")).started()
        self.sshd.trust(Path(os.environ[HOME]))
        fresh = self.make_runtime()
        await fresh.kill(place.dir())
        assert (await place.end(runtime=fresh)).why is Why.KILLED
        await fresh.close()

    async def test_a_far_side_without_python_or_with_an_old_one_is_named(
        self, place: Place
    ) -> None:
        python = self.sshd.bin / "python3"
        python.unlink()
        python.write_text("#!/bin/sh\nexit 127\n")
        python.chmod(0o755)
        with pytest.raises(Refused, match="there is no python3 on box") as refused:
            await place.start("true")
        assert "install Python" in refused.value.hint
        python.write_text("#!/bin/sh\necho 'muster: this is Python 3.9' >&2; exit 1\n")
        with pytest.raises(Refused, match=r"too old a Python: Python 3\.9"):
            await place.start("true")
        python.write_text("#!/bin/sh\necho hello; echo welcome to box; exit 3\n")
        with pytest.raises(Refused, match="no helper could be started"):
            await place.start("true")
        python.unlink()
        python.symlink_to(sys.executable)
        await place.shell("exit 3")
        assert (await place.end()).code == 3

    async def test_a_stranger_is_not_let_in_and_nobody_at_home_is_told_apart(
        self, place: Place
    ) -> None:
        (self.sshd.folder / "authorized").write_text("")
        with pytest.raises(Refused, match="does not let"):
            await place.start("true")
        self.sshd.stop()
        with pytest.raises(Unreachable):
            await place.start("true")
        self.sshd.start()

    # --- folders ---

    async def test_folders_go_there_and_come_back_as_they_became(
        self, place: Place, tmp_path: Path
    ) -> None:
        tree, private = tmp_path / "tree", tmp_path / "private"
        (tree / "deep").mkdir(parents=True)
        private.mkdir()
        (tree / ".gitignore").write_text("ignored\n")
        (tree / ".gitattributes").write_text("* text eol=crlf filter=evil\n")
        (tree / "ignored").write_text("kept all the same\n")
        (tree / "same").write_bytes(b"a\nb\r\n\xff\x00")
        (tree / "gone").write_text("x")
        (tree / "deep" / "run.sh").write_text("#!/bin/sh\n")
        (tree / "deep" / "run.sh").chmod(0o755)
        (tree / "link").symlink_to("same")
        (tree / ".git").write_text("gitdir: /nowhere\n")
        (private / "prompt.md").write_text("do it")
        line = (
            "set -e; pwd; cat $PROMPT; cat ignored; test -x deep/run.sh; test -h link;"
            " git status --short; git log --oneline | wc -l;"
            " rm gone; printf 'new\\r\\n' > deep/new; rm link; ln -s gone2 link;"
            " echo result > $RESULT; rm -rf .git; mkdir .git; echo evil > .git/config"
        )
        env = {
            "PATH": "/nowhere",
            "PROMPT": f"{private}/prompt.md",
            "RESULT": f"{private}/result.json",
        }
        spec = RunSpec(
            "run", ("/usr/bin/sh", "-c", line), str(tree), env, folders=(str(tree), str(private))
        )
        await place.runtime.start(spec, place.dir())
        ended = await place.end()
        said = place.out().decode()
        assert ended.code == 0, RunDir(place.dir()).read("err", 0, 9999).data
        assert str(tree) not in said
        assert str(self.sshd.far) in said
        assert "do it" in said
        assert said.split()[-1] == "1"
        assert (tree / "same").read_bytes() == b"a\nb\r\n\xff\x00"
        assert (tree / "deep" / "new").read_bytes() == b"new\r\n"
        assert os.readlink(tree / "link") == "gone2"
        assert not (tree / "gone").exists()
        assert (tree / "ignored").read_text() == "kept all the same\n"
        assert (tree / ".git").read_text() == "gitdir: /nowhere\n"
        assert (private / "result.json").read_text() == "result\n"
        left = (self.sshd.far / ".local/share/muster-far/runs").rglob("*")
        assert {path.name for path in left if path.is_file()} == {"started", "exit.json"}

    async def test_a_start_that_comes_after_all_was_brought_home_starts_nothing(
        self, place: Place
    ) -> None:
        run_dir = place.dir()
        spec = place.spec("sh", "-c", f"echo x >> {place.folder}/count")
        await place.runtime.start(spec, run_dir)
        await place.runtime.wait(run_dir)
        # As a server would ask that died before it knew of its run.
        (run_dir / "started").unlink()
        await place.runtime.start(spec, run_dir)
        await asyncio.sleep(0.5)
        assert (place.folder / "count").read_text() == "x\n"

    async def test_what_a_run_is_told_names_its_folders_as_they_are_there(
        self, place: Place, tmp_path: Path
    ) -> None:
        tree = tmp_path / "tree"
        tree.mkdir()
        spec = RunSpec(
            *("run", ("sh", "-c", "pwd; cat"), str(tree), {}),
            stdin=f"at first {tree}/a\n".encode(),
            interactive=True,
            folders=(str(tree),),
        )
        await place.runtime.start(spec, place.dir())
        await place.runtime.send(place.dir(), f"then {tree}\n".encode())
        await place.runtime.end_input(place.dir())
        assert (await place.end()).code == 0
        there, first, second = place.out().decode().splitlines()
        assert (first, second) == (f"at first {there}/a", f"then {there}")
        assert there.startswith(str(self.sshd.far))

    async def test_the_folder_for_temporary_files_is_there_though_it_is_empty(
        self, place: Place, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        (home / "tmp").mkdir(parents=True)
        env = {"TMPDIR": str(home / "tmp"), "PATH": os.environ["PATH"]}
        argv = ("sh", "-c", "mktemp")
        spec = RunSpec("run", argv, str(home), env, folders=(str(home),))
        await place.runtime.start(spec, place.dir())
        assert (await place.end()).code == 0, place.out()
        assert "/tmp/tmp." in place.out().decode()

    async def test_a_run_that_follows_another_finds_its_folders_under_the_same_paths(
        self, place: Place, tmp_path: Path
    ) -> None:
        folders = [tmp_path / name for name in ("tree", "home", "more")]
        for folder in folders:
            folder.mkdir()
        tree, home, more = map(str, folders)

        async def run(name: str, *own: str, **changes: str) -> list[str]:
            line = 'pwd; cd "$1"; pwd; ls; touch "$2"'
            argv = ("sh", "-c", line, "sh", home, name)
            await place.runtime.start(
                RunSpec(name, argv, tree, {}, folders=own, **changes), place.dir(name)
            )
            assert (await place.end(name)).code == 0
            return place.out(name).decode().splitlines()

        first = await run("one", tree, home)
        (folders[0] / "mine").touch()
        assert place.runtime.stays(place.dir("one"))
        second = await run("two", tree, home, more, follows=str(place.dir("one")))
        assert second == [*first, "one"]
        assert {path.name for path in folders[1].iterdir()} == {"one", "two"}
        third = await run("three", tree, home)
        assert third[:2] != first[:2]
        # Of the runs that are over only that they were started and have ended is left there.
        left = {path.name for path in self.sshd.far.glob("**/runs/*/*")}
        assert left == {"run"}
        assert not place.runtime.stays(place.dir("never"))

    async def test_this_side_knows_what_a_run_was_told_as_soon_as_it_has_caught_up(
        self, place: Place
    ) -> None:
        record = await place.shell("cat", stdin=b"one\n", interactive=True)
        await place.runtime.send(record.path, b"two\n")
        await place.runtime.close()
        fresh = self.make_runtime()
        await fresh.catch_up(record.path)
        assert record.told() == b"one\ntwo\n"
        await fresh.end_input(record.path)
        assert (await place.end(runtime=fresh)).code == 0
        await fresh.close()

    async def test_folders_come_back_though_this_side_was_replaced_meanwhile(
        self, place: Place, tmp_path: Path
    ) -> None:
        tree = tmp_path / "tree"
        tree.mkdir()
        (tree / "a").write_text("a")
        spec = RunSpec(
            "run", ("sh", "-c", "sleep 0.5; echo b > b"), str(tree), {}, folders=(str(tree),)
        )
        await place.runtime.start(spec, place.dir())
        await place.runtime.close()
        fresh = self.make_runtime()
        assert (await place.end(runtime=fresh)).code == 0
        assert (tree / "b").read_text() == "b\n"
        await fresh.close()


async def test_a_runtime_without_a_host_says_how_to_add_one(tmp_path: Path) -> None:
    runtime = SshRuntime.places(tmp_path)["ssh"]
    assert "muster host add" in runtime.available()
    with pytest.raises(Refused, match="no host is known"):
        await runtime.start(RunSpec("run", ("true",), "/"), tmp_path / "run")


async def test_a_helper_call_begins_no_process_over_there(sshd: Sshd, tmp_path: Path) -> None:
    runtime = FarBox()
    await runtime.start(RunSpec("run", ("true",), "/", {}), tmp_path / "warm")
    await runtime.wait(tmp_path / "warm")
    before = sshd.processes()
    assert len(before) > 1
    for _ in range(50):
        await runtime._wire.call("hello")
    assert sshd.processes() == before
    await runtime.close()


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "u@-x", "h:99999", "h:0", "a@b@c"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_address("box", text)
    assert refused.value.hint


def test_an_address_is_read() -> None:
    assert parse_address("box", "me@[::1]:2222") == Host("box", "::1", 2222, "me")


async def test_a_task_is_done_over_there_checked_there_and_merged_here(
    sshd: Sshd, tmp_path: Path
) -> None:
    line = (
        "pwd > where.txt; env | grep -o '^MUSTER_[TU][A-Z]*' | sort > told.txt;"
        """ echo '{"type": "own.file"}' > $MUSTER_MAILBOX/events/1.json;"""
        " cp $MUSTER_PROMPT prompt.txt; git status --short | wc -l"
    )
    agents = {"far": {"driver": "command", "command": ["/bin/sh", "-c", line]}}
    async with town(tmp_path, agents, test_command="pwd | grep -q muster-far") as place:
        place.house.tools.runtimes["ssh:box"] = FarBox()  # type: ignore[index]
        place.house.tools.url = "http://127.0.0.1:1"
        place.service._own.runtime_names |= {"ssh:box"}
        task = await place.do("far", "go far", type="chore", runtime="ssh:box")
        assert task["status"] == "completed", (task["reason"], task["breakpoint"], task["verdicts"])
        assert "muster-far" in git(place.repo, "show", "main:where.txt")
        # Whoever listens over there at the address of our door is a stranger.
        assert git(place.repo, "show", "main:told.txt") == "MUSTER_TASK"
        assert len((await place.service.list_events(0, type="own.file"))["items"]) == 1
        await place.house.tools.runtimes["ssh:box"].close()
