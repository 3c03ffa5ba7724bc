"""What a run takes of the disk is counted as it is, however it is hidden, and seldom."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import muster
from muster.runtimes.control import Loop
from muster.runtimes.leftovers import Traces
from muster.runtimes.meter import Allowance, Meter
from muster.runtimes.written import in_folders, outermost, without_name

PLENTY = 1 << 60
BLOCK = 1 << 20


def taken(*folders: Path, since: float = 0.0, enough: int = PLENTY) -> int:
    """The bytes below these folders."""
    return in_folders(map(str, folders), since, enough)


def test_room_counts_and_not_how_long_a_file_says_it_is(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(bytes(BLOCK))
    with (tmp_path / "empty").open("wb") as file:
        file.truncate(100 * BLOCK)
    assert BLOCK <= taken(tmp_path) < 2 * BLOCK


def test_a_disk_can_be_filled_with_nothing_but_names(tmp_path: Path) -> None:
    for n in range(100):
        (tmp_path / f"{n}").touch()
    assert taken(tmp_path) >= 100 * 4096


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(10 * BLOCK))
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert 10 * BLOCK <= taken(tmp_path) < 11 * BLOCK


def test_what_was_there_before_does_not_count_until_it_is_written(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(bytes(BLOCK))
    since = time.time()
    while (tmp_path / "new").stat().st_ctime < since:  # the kernel's clock of files is a coarse one
        (tmp_path / "new").write_bytes(bytes(BLOCK))
    os.utime(tmp_path / "new", (0, 0))
    assert BLOCK <= taken(tmp_path, since=since) < 2 * BLOCK


def test_links_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (outside / "full").write_bytes(bytes(BLOCK))
    (inside / "link").symlink_to(outside)
    (tmp_path / "top").symlink_to(outside)
    assert taken(inside, tmp_path / "top", tmp_path / "missing") < BLOCK


def test_no_folder_is_too_deep_to_look_into(tmp_path: Path) -> None:
    code = (
        "import os, resource, sys\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from muster.runtimes.written import in_folders\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, [5000, resource.getrlimit(7)[1]])\n"
        "os.chdir(sys.argv[1])\n"
        "for _ in range(700): os.mkdir('deeper'); os.chdir('deeper')\n"
        "open('full', 'wb').write(bytes(1 << 24))\n"
        "print(in_folders([sys.argv[1]], 0.0, 1 << 60))\n"
        "os.remove('full')\n"
        "for _ in range(700): os.chdir('..'); os.rmdir('deeper')\n"
    )
    source = str(Path(muster.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), source], capture_output=True, check=True
    )
    assert int(done.stdout) > 1 << 24


def test_it_is_not_counted_on_once_it_is_too_much(tmp_path: Path) -> None:
    for n in range(50):
        (tmp_path / f"{n}").write_bytes(bytes(BLOCK))
    assert 3 * BLOCK < taken(tmp_path, enough=3 * BLOCK) < 5 * BLOCK


def test_a_file_that_lost_its_name_counts_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "full"
    with path.open("wb", buffering=0) as file:
        file.write(bytes(BLOCK))
        assert without_name([os.getpid()], [str(tmp_path)]) == 0
        path.unlink()
        twice = os.dup(file.fileno())
        assert without_name([os.getpid(), 0], [str(tmp_path)]) == BLOCK
        os.close(twice)
    assert without_name([os.getpid()], [str(tmp_path)]) == 0


@pytest.mark.needs_root
def test_a_folder_that_was_shut_by_its_owner_is_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir()
    (folder / "full").write_bytes(bytes(BLOCK))
    for path in (folder / "full", folder):
        os.chown(path, 65534, 65534)
    folder.chmod(0)
    for above in (tmp_path, *tmp_path.parents[:-1]):
        above.chmod(above.stat().st_mode | 0o711) if above.owner() == "root" else None
    code = (
        "import ctypes, os, sys; sys.path.insert(0, sys.argv[2])\n"
        "from muster.runtimes.written import in_folders, see_what_is_shut\n"
        "os.setgroups([]); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3)\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # as one that was that user from the start
        "print(in_folders([sys.argv[1]], 0.0, 1 << 60), end=' ')\n"
        "see_what_is_shut()\n"
        "print(in_folders([sys.argv[1]], 0.0, 1 << 60))\n"
    )
    source = str(Path(muster.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), source], capture_output=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before == 0
    assert after >= BLOCK


def test_a_folder_inside_another_is_not_counted_twice() -> None:
    assert outermost(["/a/b", "/a", "/ab", "/", "/a/b/c/", "/c/../a/d"]) == ["/a", "/ab"]


def test_it_is_looked_twice_a_minute_or_once_much_of_the_disk_went(tmp_path: Path) -> None:
    loop, over = Loop(), list[str]()
    traces = Traces("none")
    allowed = Allowance([str(tmp_path)], 10 * BLOCK, 0.0)
    meter = Meter(loop, allowed, traces, lambda: over.append(meter.told()))
    quiet = Meter(loop, Allowance([str(tmp_path)], PLENTY, 0.0), traces, over.clear)
    now = time.monotonic()
    (tmp_path / "full").write_bytes(bytes(60 * BLOCK))
    for one in (meter, quiet):
        one.tick(now + 1)
    assert quiet._look is None
    quiet.tick(now + 31)
    while meter._look is not None or quiet._look is not None:
        loop.turn(1.0)
    assert over == ["it took more than 10 MB of the disk"]
    assert quiet._taken >= 60 * BLOCK
    quiet.tick(now + 29)
    assert quiet._look is None
    for one in (meter, quiet):
        one.close()


def test_without_a_limit_nobody_looks() -> None:
    meter = Meter(Loop(), Allowance(["/"], None, 0.0), Traces("none"), lambda: None)
    assert meter.due is None
