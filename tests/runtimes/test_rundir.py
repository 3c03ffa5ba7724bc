"""A run directory can be read at any moment, in pieces of any size, in order and as text."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.runtimes.layout import RECORD, STREAMS
from muster.runtimes.rundir import LogItem, RunDir
from muster.runtimes.streams import CappedFile, Index


class Writer:
    """Writes a run directory as a shim does, on a clock of its own."""

    def __init__(self, folder: Path, head: int = 1 << 30, tail: int = 0) -> None:
        self.folder = folder
        self.files = [CappedFile(str(folder), name, head, tail) for name in STREAMS]
        self.index = Index(str(folder))
        self.now = 100.0

    def write(self, stream: int, data: bytes, later: float = 1.0) -> None:
        """Append to a stream, some seconds after what was appended last."""
        self.now += later
        if self.index.due is not None and self.now >= self.index.due:
            self.index.flush(self.now, 1000.0 + self.now)
        self.files[stream].write(data)
        self.index.add(stream, len(data), self.now, 1000.0 + self.now)

    def end(self) -> None:
        """Write down that the run is over."""
        self.index.flush(self.now, 1000.0 + self.now)
        exited = {"code": 0, "why": "exit", "unknown": "from a later version"}
        (self.folder / "exit.json").write_text(json.dumps(exited))

    def close(self) -> None:
        """Let go of the files."""
        self.index.close()
        for file in self.files:
            file.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A writer of an empty run directory without a cap."""
    writer = Writer(tmp_path)
    yield writer
    writer.close()


def pages(record: RunDir, limit: int, offset: int = 0) -> list[LogItem]:
    """All items from an offset, read page by page."""
    found: list[LogItem] = []
    while True:
        page = record.log(offset, limit)
        assert all(a.end <= b.offset for a, b in itertools.pairwise(page.items))
        assert sum(item.end - item.offset for item in page.items) <= limit
        found += page.items
        if page.next == offset:
            return found
        offset = page.next


def test_an_empty_or_missing_folder_reads_as_nothing(tmp_path: Path) -> None:
    for record in (RunDir(tmp_path), RunDir(tmp_path / "none")):
        assert not record.started()
        assert not record.alive()
        assert record.exit() is None
        assert record.size("out") == record.log_size() == 0
        assert record.read("out", 5, 10).data == b""
        assert record.log(0, 10).items == ()
        assert record.log(7, 10).next == 7


def test_an_exit_of_a_later_version_is_understood(writer: Writer) -> None:
    writer.end()
    ended = RunDir(writer.folder).exit()
    assert ended
    assert (ended.code, ended.why, ended.left) == (0, "exit", 0)


def test_chunks_of_a_stream_within_a_moment_are_one_item(writer: Writer) -> None:
    for later in (1.0, 0.01, 0.01, 0.1):
        writer.write(0, b"ab", later)
    items = RunDir(writer.folder).log(0, 100).items
    assert [item.text for item in items] == ["ababab", "ab"]
    assert items[0].time == pytest.approx(1101.0)


def test_a_page_may_begin_and_end_anywhere(writer: Writer) -> None:
    writer.write(0, b"0123")
    writer.write(1, b"4567")
    writer.write(0, b"89")
    record = RunDir(writer.folder)
    for start in range(11):
        for limit in range(1, 11):
            page = record.log(start, limit)
            assert "".join(item.text for item in page.items) == "0123456789"[start:][:limit]
            assert page.next == min(10, start + limit)


def test_a_character_is_shown_once_where_its_first_byte_is(writer: Writer) -> None:
    text = "aä€😀z"
    writer.write(0, text.encode())
    writer.end()
    record = RunDir(writer.folder)
    for limit in range(1, 12):
        assert "".join(item.text for item in pages(record, limit)) == text


def test_a_character_that_is_cut_by_the_other_stream_stays_whole(writer: Writer) -> None:
    writer.write(0, b"a\xe2\x82")
    writer.write(1, b"err")
    writer.write(0, b"\xacb")
    items = RunDir(writer.folder).log(0, 100).items
    assert [item.text for item in items] == ["a€", "err", "b"]


def test_an_unfinished_character_waits_for_its_rest(writer: Writer) -> None:
    writer.write(0, b"a\xe2\x82")
    record = RunDir(writer.folder)
    page = record.log(0, 100)
    assert ([item.text for item in page.items], page.next) == (["a"], 1)
    page = record.log(1, 100)
    assert (page.items, page.next) == ((), 1)
    writer.write(0, b"\xac!", later=0.0)
    assert [item.text for item in record.log(1, 100).items] == ["€!"]


def test_an_unfinished_character_is_shown_as_broken_when_the_run_is_over(writer: Writer) -> None:
    writer.write(0, b"a\xe2\x82")
    writer.end()
    page = RunDir(writer.folder).log(0, 100)
    assert ([item.text for item in page.items], page.next) == (["a\ufffd"], 3)


def test_stray_continuation_bytes_are_not_swallowed(writer: Writer) -> None:
    writer.write(0, b"a")
    writer.write(0, b"\x80\x80b")
    writer.end()
    assert "".join(i.text for i in RunDir(writer.folder).log(0, 100).items) == "a\ufffd\ufffdb"


CHUNKS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(
            [b"ab", b"\xc3", b"\xa4", b"\xe2", b"\x82", b"\xf0\x9f", b"\x98\x80", b"\n"]
        ),
        st.sampled_from([0.0, 0.01, 1.0]),
    ),
    max_size=25,
)


@given(CHUNKS, st.integers(1, 9))
def test_reading_in_pages_gives_what_reading_at_once_gives(
    chunks: list[tuple[int, bytes, float]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        for stream, data, later in chunks:
            writer.write(stream, data, later)
        writer.end()
        writer.close()
        record = RunDir(Path(folder))
        for number, stream in enumerate(STREAMS):
            whole = b"".join(data for which, data, _ in chunks if which == number)
            assert record.read(stream, 0, 1000).data == whole
            texts = [
                "".join(item.text for item in items if item.stream == stream)
                for items in (pages(record, limit), pages(record, 1000))
            ]
            assert texts[0].replace("\ufffd", "") == texts[1].replace("\ufffd", "")
            assert texts[1].replace("\ufffd", "") == whole.decode("utf-8", "ignore")
        assert record.log_size() == sum(len(data) for _, data, _ in chunks)


# --- the cap --------------------------------------------------------------------------------------


def test_what_was_dropped_is_passed_over_and_named(tmp_path: Path) -> None:
    writer = Writer(tmp_path, head=100, tail=100)
    block = 65536
    for n in range(5):
        writer.write(0, bytes([65 + n]) * block)
        writer.write(1, b"err%d\n" % n)
    writer.end()
    writer.close()
    record = RunDir(tmp_path)
    kept = record.read("out", 100, 1 << 20)
    assert kept.truncated == (100, kept.offset)
    assert kept.next == record.size("out") == 5 * block
    assert set(kept.data) <= {68, 69}
    inside = record.read("out", 5000, 10)
    assert (inside.truncated, inside.offset) == ((5000, kept.offset), kept.offset)
    page = record.log(0, 1 << 20)
    assert page.truncated
    first = page.items[0]
    assert (first.offset, first.end, first.text) == (0, 100, "A" * 100)
    assert page.truncated[0] == 100
    # The other stream was not truncated, so all of it is there, also what lies within the gap.
    errors = [item.text for item in page.items if item.stream == "err"]
    assert errors == [f"err{n}\n" for n in range(5)]
    resumed = next(item for item in page.items if item.end > page.truncated[1])
    assert resumed.text.strip("DE") in ("", resumed.text)
    assert page.next == record.log_size()


def test_at_least_the_tail_is_kept_however_it_is_written(tmp_path: Path) -> None:
    writer = Writer(tmp_path, head=10, tail=200_000)
    total = 0
    for size in (17, 100_000, 70_000, 1, 65_536, 300_000, 5, 131_072):
        writer.write(0, os.urandom(size))
        total += size
        piece = RunDir(tmp_path).read("out", 10, 1 << 22)
        assert piece.next == total
        assert len(piece.data) >= min(200_000, max(0, total - 10))
        assert len(piece.data) <= 200_000 + 2 * 65536
    writer.close()


def test_what_is_dropped_while_it_is_read_does_not_disturb_the_reader(tmp_path: Path) -> None:
    writer = Writer(tmp_path, head=10, tail=10)
    record = RunDir(tmp_path)
    for n in range(50):
        writer.write(0, bytes([n]) * 65536)
        piece = record.read("out", 10, 100)
        assert piece.data
        assert set(piece.data) <= {n, n - 1}
    writer.close()


def test_two_streams_that_alternate_for_ever_do_not_fill_the_index(writer: Writer) -> None:
    for n in range(60_000):
        writer.write(n % 2, b"x", later=0.0001)
    writer.end()
    record = RunDir(writer.folder)
    assert (writer.folder / "index").stat().st_size < 6000 * RECORD.size
    assert record.log_size() == 60_000
    items = pages(record, 1 << 20)
    assert sum(len(item.text) for item in items if item.stream == "err") == 30_000


def test_after_a_flood_of_changes_the_order_is_exact_again(writer: Writer) -> None:
    for n in range(10_000):
        writer.write(n % 2, b"x", later=0.0001)
    writer.write(0, b"one", later=60.0)
    writer.write(1, b"two", later=0.001)
    writer.write(0, b"three", later=0.001)
    items = RunDir(writer.folder).log(0, 1 << 20).items
    assert [item.text for item in items[-3:]] == ["one", "two", "three"]
