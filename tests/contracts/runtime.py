"""What every runtime must do: the suite that each implementation runs on real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from house.all_files import contents
from house.patience import PATIENCE, until
from muster.domain.errors import Conflict, Invalid, NotFound
from muster.runtimes.base import Exit, Limits, RunSpec, Runtime, Why
from muster.runtimes.rundir import RunDir

ENV = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

BY_THE_SHIM = pytest.mark.by_the_shim
"""What the supervisor does by itself, in the same way in every place of this machine."""

FLOOD = 100_000_000 if os.environ.get("MUSTER_LONG", "") not in {"", "0"} else 20_000_000

READY = "echo ready; "
IGNORES_ALL = (
    "import signal, sys, time\n"
    "for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)
DOUBLE_FORK = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        os.execve('/bin/sleep', ['sleep', sys.argv[1]], {})\n"
    "    os._exit(0)\n"
    "os.wait()\n"
    "print('ready', flush=True)\n"
)


_WORK_HERE: set[type] = set()
"""The suites whose place was tried on this machine: a try is a run, and takes as long."""


def living(word: str) -> list[int]:
    """The processes that live with this word in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if word.encode() in arguments and state not in "ZX":
                    found.append(int(folder.name))
    return found


class Place:
    """A runtime under test, a folder for its runs, and the usual ways to use them."""

    def __init__(self, runtime: Runtime, folder: Path, interpreter: str = sys.executable) -> None:
        self.runtime = runtime
        self.folder = folder
        self.interpreter = interpreter

    def dir(self, name: str = "run") -> Path:
        """The run directory of a run."""
        return self.folder / name

    def started(self) -> list[str]:
        """The runs that were started, by the names of their directories."""
        return [path.name for path in self.folder.iterdir() if RunDir(path).started()]

    def spec(self, *argv: str, name: str = "run", **more: Any) -> RunSpec:
        """A run with a small environment in the test's folder."""
        more.setdefault("env", ENV)
        more.setdefault("cwd", str(self.folder))
        return RunSpec(run_id=name, argv=argv, **more)

    async def start(self, *argv: str, name: str = "run", **more: Any) -> RunDir:
        """Start a run; its record."""
        await self.runtime.start(self.spec(*argv, name=name, **more), self.dir(name))
        return RunDir(self.dir(name))

    async def shell(self, line: str, name: str = "run", **more: Any) -> RunDir:
        """Start a shell line; its record."""
        return await self.start("sh", "-c", line, name=name, **more)

    async def python(self, code: str, *args: str, name: str = "run", **more: Any) -> RunDir:
        """Start a Python program; its record."""
        return await self.start(self.interpreter, "-I", "-c", code, *args, name=name, **more)

    async def end(self, name: str = "run", runtime: Runtime | None = None) -> Exit:
        """Wait for the end of a run."""
        waiting = (runtime or self.runtime).wait(self.dir(name))
        return await asyncio.wait_for(waiting, PATIENCE)

    async def says(self, text: bytes, name: str = "run") -> None:
        """Wait until a run has printed this."""
        record = RunDir(self.dir(name))
        await until(lambda: text in record.read("out", 0, 1 << 20).data)

    def out(self, name: str = "run") -> bytes:
        """All that a run printed."""
        return RunDir(self.dir(name)).read("out", 0, 1 << 26).data


class RuntimeContract:
    """Subclass it and give `make_runtime`, and say what the place can do on this machine."""

    interpreter = sys.executable
    """A Python as programs of this place see it."""

    counts_what_is_left = True
    """Whether the place can tell how many processes outlived their program."""

    shim_is_shown_elsewhere = False
    """Whether what is `BY_THE_SHIM` is left to the long tests here; `test_process` shows it."""

    def make_runtime(self) -> Runtime:
        """A fresh object for the same place; runs of an earlier one must be known to it."""
        raise NotImplementedError

    def limits_memory(self, record: RunDir) -> bool | None:
        """Whether the memory of this live run is limited."""
        del record
        return False

    @pytest.fixture
    async def place(self, home: Path) -> AsyncIterator[Place]:
        """The place; every run that a failed test left is killed at the end."""
        runtime = self.make_runtime()
        if type(self) not in _WORK_HERE:
            if why := runtime.available():
                pytest.skip(why)
            _WORK_HERE.add(type(self))
        place = Place(runtime, home, self.interpreter)
        yield place
        for name in place.started():
            await runtime.kill(place.dir(name))
            await place.end(name)
        await runtime.close()

    # --- what a program gets and how its end is told ---

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("exit 7", 7),
            ("kill -9 $$", -9),
            pytest.param("exit 0", 0, marks=BY_THE_SHIM),
            pytest.param("kill -15 $$", -15, marks=BY_THE_SHIM),
        ],
    )
    async def test_the_exit_status_is_told(self, place: Place, line: str, code: int) -> None:
        await place.shell(line)
        ended = await place.end()
        assert (ended.code, ended.why, ended.left) == (code, Why.EXIT, 0)
        assert 0 < ended.started_at <= ended.ended_at
        assert ended.max_rss_bytes > 0

    async def test_both_streams_arrive_byte_by_byte(self, place: Place) -> None:
        blob = bytes(range(256)) * 300
        record = await place.python(
            "import sys\n"
            "blob = bytes(range(256)) * 300\n"
            "sys.stdout.buffer.write(blob)\n"
            "sys.stderr.buffer.write(blob[::-1])\n"
        )
        ended = await place.end()
        assert record.read("out", 0, 1 << 20).data == blob
        assert record.read("err", 0, 1 << 20).data == blob[::-1]
        assert (ended.out_bytes, ended.err_bytes) == (len(blob), len(blob))
        assert record.read("out", 1000, 10).data == blob[1000:1010]
        assert record.log_size() == 2 * len(blob)

    async def test_the_environment_is_what_was_given_and_the_runs_marks(self, place: Place) -> None:
        env = {**ENV, "GIVEN": "ä\nb", "PWD": "/wrong"}
        await place.start("env", "-0", env=env)
        await place.end()
        seen = dict(item.split("=", 1) for item in place.out().decode().split("\0") if item)
        assert seen.pop("MUSTER_RUN_MARK")
        assert seen == {**env, "PWD": str(place.folder), "MUSTER_RUN_ID": "run"}

    async def test_the_program_works_in_its_folder_with_nothing_open(self, place: Place) -> None:
        await place.shell("pwd; ls /proc/self/fd | wc -l; ulimit -c; cat")
        await place.end()
        # ls itself holds the folder it lists.
        assert place.out().decode().split() == [str(place.folder), "4", "0"]

    async def test_standard_input_is_fed_and_closed(self, place: Place) -> None:
        fed = b"line\n" * 200_000
        await place.start("cat", stdin=fed)
        ended = await place.end()
        assert ended.out_bytes == len(fed)
        assert place.out() == fed

    @BY_THE_SHIM
    async def test_a_program_that_reads_nothing_is_not_held_up(self, place: Place) -> None:
        await place.shell("exec <&-; echo done", stdin=b"x" * 1_000_000)
        assert (await place.end()).code == 0
        assert place.out() == b"done\n"

    async def test_a_missing_program_is_named(self, place: Place) -> None:
        await place.start("no-such-program", "x")
        ended = await place.end()
        assert (ended.code, ended.why) == (127, Why.EXEC)
        assert ended.detail == "the program 'no-such-program' was not found on PATH"

    async def test_a_missing_folder_is_named(self, place: Place) -> None:
        await place.start("true", cwd=f"{place.folder}/none")
        ended = await place.end()
        assert (ended.code, ended.why) == (127, Why.EXEC)
        assert f"{place.folder}/none cannot be entered" in ended.detail

    async def test_a_file_that_is_no_program_is_named(self, place: Place) -> None:
        plain = place.folder / "plain"
        plain.write_text("not a program")
        await place.start(str(plain))
        ended = await place.end()
        assert (ended.why, ended.detail) == (Why.EXEC, f"the program '{plain}' may not be executed")

    # --- once ---

    async def test_a_run_is_started_once_however_often_it_is_asked_for(self, place: Place) -> None:
        other = self.make_runtime()
        line = f"echo x >> {place.folder}/count; sleep 0.2"
        spec = place.spec("sh", "-c", line)
        await asyncio.gather(
            *(runtime.start(spec, place.dir()) for runtime in [place.runtime, other] * 8)
        )
        await place.runtime.start(spec, place.dir())
        assert (await place.end()).code == 0
        await other.start(spec, place.dir())
        assert (await place.end(runtime=other)).code == 0
        assert (place.folder / "count").read_text() == "x\n"
        await other.close()

    async def test_many_runs_start_side_by_side(self, place: Place) -> None:
        names = [f"r{n}" for n in range(12)]
        await asyncio.gather(*(place.shell(f"echo {name}", name=name) for name in names))
        ended = await asyncio.gather(*map(place.end, names))
        assert [one.code for one in ended] == [0] * 12
        assert [place.out(name).decode().strip() for name in names] == names

    async def test_waiting_for_what_was_never_started_is_refused(self, place: Place) -> None:
        place.dir().mkdir()
        with pytest.raises(NotFound, match="no run was started"):
            await place.end()
        await place.runtime.stop(place.dir())
        await place.runtime.kill(place.dir())

    @BY_THE_SHIM
    async def test_a_folder_that_holds_other_things_already_is_fine(self, place: Place) -> None:
        (place.dir() / "agent").mkdir(parents=True)
        await place.shell("exit 3")
        assert (await place.end()).code == 3

    # --- adoption ---

    async def test_a_fresh_runtime_adopts_a_live_run(self, place: Place) -> None:
        await place.shell(f"{READY} read line; echo got $line; exit 5", interactive=True)
        await place.runtime.close()
        await place.says(b"ready")
        fresh = self.make_runtime()
        await fresh.send(place.dir(), b"hello\n")
        assert (await place.end(runtime=fresh)).code == 5
        assert place.out() == b"ready\ngot hello\n"
        await fresh.close()

    async def test_a_run_outlives_the_killed_process_that_started_it(self, place: Place) -> None:
        starter = self._starter(place, "for i in $(seq 300); do echo $i; done; read x; exit 42")
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()
        assert place.runtime.cpu_seconds(place.dir()) >= 0.0
        await place.runtime.send(place.dir(), b"\n")
        ended = await place.end()
        assert (ended.code, ended.why) == (42, Why.EXIT)
        assert place.out().split() == [b"%d" % n for n in range(1, 301)]

    async def test_a_stop_is_carried_out_though_the_caller_dies(self, place: Place) -> None:
        word = f"6{time.monotonic_ns()}"
        starter = self._starter(
            place, f"trap '' INT TERM; while :; do sleep {word}; done", then="stop"
        )
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()
        ended = await place.end()
        assert ended.why is Why.STOPPED
        assert not living(word)

    def _starter(self, place: Place, line: str, then: str = "") -> subprocess.Popen[bytes]:
        """Another process that starts a run with this class's runtime, and stays."""
        kind = type(self.make_runtime())
        code = (
            "import asyncio, pathlib, sys, time\n"
            f"from {kind.__module__} import {kind.__name__} as Kind\n"
            "from muster.runtimes.base import RunSpec\n"
            "async def main(folder, line, path):\n"
            "    runtime = Kind()\n"
            "    run = pathlib.Path(folder, 'run')\n"
            "    env = {'PATH': path}\n"
            "    spec = RunSpec('run', ('sh', '-c', line), folder, env, interactive=True)\n"
            "    await runtime.start(spec, run)\n"
            f"    {f'await runtime.{then}(run)' if then else 'pass'}\n"
            "    print('started', flush=True)\n"
            "    time.sleep(600)\n"
            "asyncio.run(main(*sys.argv[1:]))\n"
        )
        starter = subprocess.Popen(
            [sys.executable, "-c", code, str(place.folder), line, ENV["PATH"]],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert starter.stdout
        with starter.stdout:
            assert starter.stdout.readline() == b"started\n"
        return starter

    # --- nothing is left ---

    @pytest.mark.parametrize("how", ["stop", pytest.param("kill", marks=BY_THE_SHIM)])
    async def test_a_program_that_ignores_signals_dies_all_the_same(
        self, place: Place, how: str
    ) -> None:
        await place.python(IGNORES_ALL)
        await place.says(b"ready")
        await getattr(place.runtime, how)(place.dir())
        ended = await place.end()
        assert ended.code == -9
        assert ended.why is (Why.STOPPED if how == "stop" else Why.KILLED)

    async def test_a_stopped_program_may_end_in_its_own_way(self, place: Place) -> None:
        await place.shell(f"trap 'echo bye; exit 4' INT; {READY} while :; do sleep 0.05; done")
        await place.says(b"ready")
        await place.runtime.stop(place.dir())
        ended = await place.end()
        assert (ended.code, ended.why) == (4, Why.STOPPED)
        assert place.out() == b"ready\nbye\n"

    async def test_a_whole_tree_is_killed(self, place: Place) -> None:
        word = f"7{time.monotonic_ns()}"
        forks = f"for i in 1 2 3 4 5; do (sh -c 'sleep {word}; :' &) ; done; "
        await place.shell(f"{forks} {READY} wait; sleep {word}")
        await place.says(b"ready")
        await until(lambda: len(living(word)) == 6)
        await place.runtime.kill(place.dir())
        assert (await place.end()).why is Why.KILLED
        assert not living(word)

    async def test_a_daemon_that_left_its_session_and_environment_is_killed(
        self, place: Place
    ) -> None:
        word = f"8{time.monotonic_ns()}"
        await place.python(DOUBLE_FORK, word)
        ended = await place.end()
        assert (ended.code, ended.why) == (0, Why.EXIT)
        assert ended.left == 1 or not self.counts_what_is_left
        assert not living(word)

    @BY_THE_SHIM
    async def test_a_daemon_that_holds_the_output_does_not_hold_up_the_end(
        self, place: Place
    ) -> None:
        word = f"9{time.monotonic_ns()}"
        await place.shell(f"(setsid sleep {word} &); echo done; exit 2")
        ended = await place.end()
        assert ended.code == 2
        assert ended.left == 1 or not self.counts_what_is_left
        assert place.out() == b"done\n"
        assert not living(word)

    @BY_THE_SHIM
    async def test_after_the_end_stop_and_kill_do_nothing(self, place: Place) -> None:
        await place.shell("exit 6")
        ended = await place.end()
        await place.runtime.stop(place.dir())
        await place.runtime.kill(place.dir())
        assert await place.end() == ended

    # --- limits ---

    @BY_THE_SHIM
    async def test_the_wall_clock_limit_ends_a_run(self, place: Place) -> None:
        await place.start("sleep", "600", limits=Limits(wall_seconds=0.2))
        ended = await place.end()
        assert (ended.why, ended.code) == (Why.TIMEOUT, -signal.SIGINT)

    @BY_THE_SHIM
    async def test_a_limit_of_years_is_no_limit(self, place: Place) -> None:
        await place.shell("sleep 0.2; exit 4", limits=Limits(wall_seconds=1e9))
        assert (await place.end()).code == 4

    async def test_a_file_cannot_grow_beyond_its_limit(self, place: Place) -> None:
        await place.shell(
            "head -c 100000 /dev/zero > big; wc -c < big", limits=Limits(file_bytes=50_000)
        )
        await place.end()
        assert place.out() == b"50000\n"

    async def test_using_too_much_memory_is_told_apart(self, place: Place) -> None:
        record = await place.python(
            "input(); x = b'x' * 500_000_000",
            limits=Limits(memory_bytes=60_000_000),
            interactive=True,
        )
        limited = self.limits_memory(record)
        await place.runtime.send(place.dir(), b"\n")
        ends = {True: {Why.MEMORY}, False: {Why.EXIT}, None: {Why.MEMORY, Why.EXIT}}
        assert (await place.end()).why in ends[limited]

    @pytest.mark.long
    async def test_who_takes_too_much_of_the_disk_is_ended(self, place: Place) -> None:
        await self.takes_too_much_of_the_disk(place)

    async def takes_too_much_of_the_disk(self, place: Place) -> None:
        """Have many small files written, each below its own limit."""
        (place.folder / "before").write_bytes(bytes(30_000_000))
        await place.shell(
            f"{READY} read go; for n in $(seq 40); do head -c 1000000 /dev/zero > $n; done;"
            " trap '' INT TERM; sleep 600; sleep 600",
            limits=Limits(file_bytes=2_000_000, disk_bytes=20_000_000),
            interactive=True,
        )
        await place.says(b"ready")
        await place.runtime.send(place.dir(), b"\n")
        ended = await place.end()
        assert (ended.why, ended.limits) == (Why.DISK, ("disk",))
        assert "took more than 20 MB of the disk" in ended.detail

    @BY_THE_SHIM
    async def test_a_flood_keeps_its_head_and_tail_and_names_the_gap(self, place: Place) -> None:
        size, limits = FLOOD, Limits(head_bytes=1_000_000, tail_bytes=1_000_000)
        # Seven bytes with their own number, so that every byte can be checked by its offset.
        record = await place.python(
            "import sys\n"
            "w = sys.stdout.buffer.write\n"
            f"[w(b''.join(b'%06d\\n' % (n % 1000000) for n in range(at, at + 100000)))\n"
            f" for at in range(0, {size // 7}, 100000)]\n",
            limits=limits,
        )
        ended = await place.end()
        total = ended.out_bytes
        assert total >= size
        assert record.size("out") == record.log_size() == total
        head = record.read("out", 0, 2_000_000)
        assert (head.offset, head.next, head.truncated) == (0, 1_000_000, None)
        tail = record.read("out", head.next, 2 * total)
        assert tail.truncated == (1_000_000, tail.offset)
        assert tail.next == total
        assert 1_000_000 <= len(tail.data) <= 1_500_000
        for piece in (head, tail):
            first = piece.offset // 7
            last = piece.next // 7 + 1
            exact = b"".join(b"%06d\n" % (n % 1_000_000) for n in range(first, last))
            skip = piece.offset - 7 * first
            assert piece.data == exact[skip : skip + len(piece.data)]
        on_disk = sum(f.stat().st_size for f in place.dir().iterdir() if f.is_file())
        assert on_disk < 3_000_000

    # --- what is said ---

    @BY_THE_SHIM
    async def test_watchers_hear_of_output_and_can_follow_it_live(self, place: Place) -> None:
        grown = asyncio.Event()
        record = await place.shell(
            f"{READY} while read line; do echo $line; done", interactive=True
        )
        waiting = asyncio.ensure_future(place.runtime.wait(place.dir(), grown.set))
        seen = b""
        for n in range(5):
            while f"{n - 1}\n".encode() not in seen and not (n == 0 and seen):
                await asyncio.wait_for(grown.wait(), PATIENCE)
                grown.clear()
                seen += record.read("out", len(seen), 1000).data
            await place.runtime.send(place.dir(), f"{n}\n".encode())
        await place.runtime.kill(place.dir())
        assert (await asyncio.wait_for(waiting, PATIENCE)).why is Why.KILLED

    @BY_THE_SHIM
    async def test_a_wait_can_be_given_up_and_taken_up_again(self, place: Place) -> None:
        await place.shell("read x; exit 9", interactive=True)
        waiting = asyncio.ensure_future(place.runtime.wait(place.dir()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await place.runtime.send(place.dir(), b"\n")
        assert (await place.end()).code == 9

    @BY_THE_SHIM
    async def test_the_merged_log_keeps_the_order_of_both_streams(self, place: Place) -> None:
        # One after the other is told apart only when the first was taken before the next came.
        line = "for i in 1 2 3; do echo out $i; read go; echo err $i >&2; read go; done"
        record = await place.shell(line, interactive=True)
        for n in range(1, 7):
            await until(lambda n=n: record.log_size() == 6 * n)
            await place.runtime.send(place.dir(), b"go\n")
        await place.end()
        items = record.log(0, 1000).items
        expected = [(s, f"{s} {n}\n") for n in (1, 2, 3) for s in ("out", "err")]
        assert [(item.stream, item.text) for item in items] == expected
        assert [item.offset for item in items] == list(range(0, 36, 6))
        assert sorted(item.time for item in items) == [item.time for item in items]
        middle = record.log(8, 7)
        assert [item.text for item in middle.items] == ["r 1\n", "out"]
        assert middle.next == 15

    @BY_THE_SHIM
    async def test_bytes_that_are_no_text_are_kept_and_shown_as_replacements(
        self, place: Place
    ) -> None:
        record = await place.shell(r"printf 'a\377\000\033[1mb\303\244\342\202'")
        await place.end()
        assert place.out() == b"a\xff\x00\x1b[1mb\xc3\xa4\xe2\x82"
        assert record.log(0, 100).items[0].text == "a\ufffd\x00\x1b[1mbä\ufffd"

    @BY_THE_SHIM
    async def test_a_character_that_comes_in_two_pieces_is_one(self, place: Place) -> None:
        record = await place.shell(
            r"printf 'a\303'; sleep 0.2; printf '\244b'; sleep 0.2; printf c"
        )
        await place.end()
        assert place.out() == "aäbc".encode()
        assert "".join(item.text for item in record.log(0, 100).items) == "aäbc"

    @BY_THE_SHIM
    async def test_a_line_of_a_megabyte_arrives_whole(self, place: Place) -> None:
        record = await place.python("print('x' * 1_048_576, flush=True); print('end')")
        await place.end()
        assert place.out() == b"x" * 1_048_576 + b"\nend\n"
        assert record.log_size() == 1_048_576 + 5

    @BY_THE_SHIM
    async def test_a_program_that_ends_without_a_byte_has_an_empty_log(self, place: Place) -> None:
        record = await place.start("true")
        ended = await place.end()
        assert (ended.code, ended.out_bytes, ended.err_bytes) == (0, 0, 0)
        assert (record.log_size(), record.log(0, 100).items) == (0, ())

    async def test_secrets_reach_no_stored_byte(self, place: Place) -> None:
        secret, other = "hunter2-correct-horse", "s3cr3t-value-22"
        await place.shell(
            "printf hunter2-; sleep 0.1; echo correct-horse; echo $OTHER >&2; printf hunter2-corr",
            env={**ENV, "OTHER": other},
            secrets=(secret, other),
            stdin=other.encode(),
        )
        await place.end()
        assert place.out() == b"***\nhunter2-corr"
        assert RunDir(place.dir()).read("err", 0, 100).data == b"***\n"
        stored = b"".join(held for _, held in contents(place.dir()))
        assert secret.encode() not in stored
        assert other.encode() not in stored

    async def test_a_secret_in_the_command_is_not_written_down(self, place: Place) -> None:
        secret = "in-the-argv-22"
        await place.shell(f": {secret}; exit 1", secrets=(secret,))
        await place.end()
        await place.start(f"/no/{secret}", name="other", secrets=(secret,))
        assert (await place.end("other")).detail == "the program '/no/***' was not found"
        stored = b"".join(held for _, held in contents(place.folder))
        assert secret.encode() not in stored

    @BY_THE_SHIM
    async def test_a_secret_too_short_to_hide_is_refused(self, place: Place) -> None:
        with pytest.raises(Invalid, match="too short"):
            await place.start("true", secrets=("abc",))
        assert not RunDir(place.dir()).started()

    # --- talking to a program ---

    async def test_an_interactive_program_is_talked_to(self, place: Place) -> None:
        await place.shell("while read line; do echo got $line; done; echo end", interactive=True)
        await place.runtime.send(place.dir(), b"one\n")
        await place.says(b"got one\n")
        await place.runtime.send(place.dir(), b"two\n")
        await place.says(b"got two\n")
        await place.runtime.kill(place.dir())
        await place.end()
        with pytest.raises(Conflict):
            await place.runtime.send(place.dir(), b"three\n")

    @BY_THE_SHIM
    async def test_much_input_waits_for_a_slow_reader(self, place: Place) -> None:
        await place.shell("sleep 0.2; head -c 3000000 | wc -c", interactive=True)
        await place.runtime.send(place.dir(), b"x" * 3_000_000)
        assert (await place.end()).code == 0
        assert place.out().strip() == b"3000000"

    async def test_a_program_that_is_not_interactive_cannot_be_talked_to(
        self, place: Place
    ) -> None:
        await place.start("sleep", "600")
        with pytest.raises(Conflict):
            await place.runtime.send(place.dir(), b"hello\n")

    async def test_processor_time_is_told_while_it_runs_and_after(self, place: Place) -> None:
        await place.python("while True: pass")
        await until(lambda: place.runtime.cpu_seconds(place.dir()) > 0.05)
        await place.runtime.kill(place.dir())
        ended = await place.end()
        assert ended.cpu_seconds > 0.05
        assert place.runtime.cpu_seconds(place.dir()) == ended.cpu_seconds
        assert place.runtime.cpu_seconds(place.dir("none")) == 0.0
