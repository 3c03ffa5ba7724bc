"""The log of a server on its own: it stays small, may be moved away, and loses no line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muster.wiring.log_file import KEPT, MOST_BYTES, LogFile, leads_to, put_aside

SMALL = 1000


def whole(path: Path, kept: int = KEPT) -> list[str]:
    """All lines that there are, the oldest first."""
    older = [path.with_name(f"{path.name}.{n}") for n in range(kept, 0, -1)]
    return [line for p in [*older, path] if p.exists() for line in p.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a log is."""
    return tmp_path / "server.log"


def test_no_file_is_larger_than_it_may_be_and_so_many_are_kept(path: Path):
    log = LogFile(path, most=SMALL, kept=3)
    lines = [f"line {n}" for n in range(1000)]
    for line in lines:
        log.write(f"{line}\n")
    log.close()
    files = sorted(path.parent.iterdir())
    assert [f.name for f in files] == ["server.log", *(f"server.log.{n}" for n in (1, 2, 3))]
    assert max(f.stat().st_size for f in files) <= SMALL
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    found = whole(path)
    assert found == lines[-len(found) :]
    assert len(found) > 3 * SMALL / 10


def test_what_a_server_before_wrote_is_gone_on_with_and_counts(path: Path):
    path.write_text("before\n" * 200)
    log = LogFile(path, most=SMALL)
    log.write("after\n")
    log.close()
    assert path.read_text() == "after\n"
    assert (path.parent / "server.log.1").read_text() == "before\n" * 200


def test_a_line_longer_than_a_file_may_be_is_written_whole(path: Path):
    log = LogFile(path, most=10)
    log.write("x" * 100 + "\n")
    log.write("\udcff ü\n")
    log.close()
    assert whole(path) == ["x" * 100, "\\udcff ü"]


@pytest.mark.parametrize("made_anew", [True, False], ids=["create", "nocreate"])
def test_who_renames_the_file_gets_the_next_line_in_a_new_one(path: Path, made_anew: bool):
    log = LogFile(path)
    log.write("one\n")
    path.rename(path.parent / "taken")
    if made_anew:
        path.touch(0o640)
    log.write("two\n")
    log.close()
    assert (path.parent / "taken").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_who_copies_the_file_and_cuts_it_gets_the_next_line_at_its_beginning(path: Path):
    log = LogFile(path)
    log.write("one\n")
    os.truncate(path, 0)
    log.write("two\n")
    log.close()
    assert path.read_bytes() == b"two\n"


def test_where_no_new_file_can_be_made_lines_go_on_into_the_old_one(path: Path):
    log = LogFile(path)
    taken = path.parent.with_name("elsewhere")
    path.parent.rename(taken)
    log.write("one\n")
    log.close()
    assert (taken / "server.log").read_text() == "one\n"


def test_what_stands_for_the_file_follows_it(path: Path):
    """As standard error does, into which the interpreter writes its own last words."""
    other = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    assert leads_to(other, path)
    log = LogFile(path, stands_for=[other])
    path.rename(path.parent / "taken")
    assert not leads_to(other, path)
    log.write("one\n")
    os.write(other, b"last words\n")
    log.close()
    os.close(other)
    assert path.read_text() == "one\nlast words\n"
    assert not leads_to(other, path)


@pytest.mark.parametrize("renamed", range(4))
def test_who_dies_while_files_are_renamed_loses_none_of_them(path: Path, renamed: int):
    kept = 4
    names = [path, *(path.with_name(f"server.log.{n}") for n in range(1, kept + 1))]
    for n, name in enumerate(names[:-1]):
        name.write_text(f"{n}\n")
    for n in range(kept, kept - renamed, -1):  # as far as it came
        names[n - 1].replace(names[n])
    before = whole(path, kept)
    put_aside(path, kept)
    assert not path.exists()
    assert whole(path, kept) == before == ["3", "2", "1", "0"]


WRITER = """
import sys
from pathlib import Path
from muster.wiring.log_file import LogFile
log = LogFile(Path(sys.argv[1]), most=300, kept=2000)
for n in range(int(sys.argv[2]), 100_000):
    log.write(f"line {n}\\n")
    if n % 100 == 99:
        print(n, flush=True)
"""


def test_a_server_killed_again_and_again_leaves_every_line_once_and_in_order(path: Path):
    begin = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(begin)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(3):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        begin = int(whole(path, 2000)[-1].split()[1]) + 1
    assert begin >= 1200
    assert whole(path, 2000) == [f"line {n}" for n in range(begin)]


def test_a_log_of_a_server_takes_as_much_of_the_disk_as_is_said():
    assert (MOST_BYTES, KEPT) == (10_000_000, 5)
