"""The git that stays: it answers as a fresh one would, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from house.patience import PATIENCE
from muster.domain.errors import GitFailed
from muster.workspace.git import Git, Place
from muster.workspace.reader import Reader
from workspace.project import REPO


@pytest.fixture
def reader(sample):
    found = sample.workspaces.mirror(REPO).objects
    yield found
    found.rest()


def own_gits() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "cat-file" in " ".join(p.cmdline())]


def test_it_tells_what_a_fresh_git_tells(sample, reader):
    tree = sample.git_in_mirror("rev-parse", f"{sample.commit}^{{tree}}")
    assert reader.info(sample.commit).kind == "commit"
    assert reader.info(tree).kind == "tree"
    assert reader.info("0" * 40) is None
    assert reader.info(f"{sample.commit}:no such\nfile") is None
    assert reader.info(f"{sample.commit}:{'x' * 100_000}") is None
    found, data = reader.read(f"{sample.commit}:README.md")
    assert found.size == len(data)
    assert data.decode() == sample.git_in_mirror("show", f"{sample.commit}:README.md") + "\n"


def test_names_with_line_ends_that_look_like_answers_are_told_apart(sample, reader):
    evil = f"a\n{'1' * 40} blob 3\nabc\n"
    work = sample.work({evil: "text\n"})
    assert reader.read(f"{work}:{evil}")[1] == b"text\n"
    assert reader.info(f"{sample.commit}:{evil}") is None
    assert reader.info(work).kind == "commit"


def test_a_submodule_is_no_object_here(make_project, plain, git, git_repo):
    project = make_project(plain)
    git(
        project.folder,
        *("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub\nmodule"),
    )
    git(project.folder, "commit", "--quiet", "--message", "Sub")
    commit = plain.mirror(REPO).fetch(project.git_dir, "main")
    objects = plain.mirror(REPO).objects
    assert objects.info(f"{commit}:sub\nmodule") is None
    assert objects.info(commit).kind == "commit"


def test_what_was_written_after_its_start_is_seen(sample, reader):
    assert reader.info("1" * 40) is None
    work = sample.work({"a": "1\n"})
    assert reader.info(work).kind == "commit"
    packed = sample.user_commits({"b": "2\n"})
    assert reader.info(packed).kind == "commit"
    sample.git_in_mirror("repack", "-a", "-d", "-q")
    assert reader.read(f"{packed}:b")[1] == b"2\n"
    assert reader.read(f"{work}:a")[1] == b"1\n"


def test_large_objects_and_many_threads_do_not_get_in_each_others_way(sample, reader):
    large = os.urandom(3_000_000).hex()
    work = sample.work({"large": large, **{f"f{n}": f"{n}\n" * 50 for n in range(8)}})
    wrong: list[object] = []

    def ask(n: int) -> None:
        small = [reader.read(f"{work}:f{n}")[1] for _ in range(20)]
        if set(small) != {f"{n}\n".encode() * 50}:
            wrong.append(n)
        if reader.read(f"{work}:large")[1] != large.encode():
            wrong.append("large")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_one_that_was_killed_is_started_again(sample, reader):
    assert reader.info(sample.commit)
    for process in own_gits():
        process.kill()
        process.wait(5)
    assert reader.info(sample.commit).kind == "commit"


def test_one_that_keeps_ending_is_an_error(tmp_path):
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho start >> $0.starts\nhead -c 1\nexit 1\n")
    program.chmod(0o755)
    reader = Reader(Git(str(program)), Place(Path(os.devnull)))
    with pytest.raises(GitFailed, match="ended"):
        reader.info("0" * 40)
    assert (tmp_path / "git.starts").read_text() == "start\n" * 2


def test_one_that_does_not_answer_is_stopped_and_the_next_question_is_answered(sample):
    reader = Reader(Git(), sample.workspaces.mirror(REPO).place, seconds=0.3)
    assert reader.info(sample.commit)
    (process,) = own_gits()[-1:]
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(GitFailed, match="in time"):
        reader.info(sample.commit)
    assert not process.is_running()
    assert reader.info(sample.commit).kind == "commit"
    reader.rest()


def test_it_ends_with_its_server(sample):
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from muster.workspace.mirror import Mirror\n"
        "import psutil\n"
        "m = Mirror(Path(sys.argv[1])); assert m.has(sys.argv[2])\n"
        "print(psutil.Process().children()[-1].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = sample.workspaces.mirror(REPO).path
    done = subprocess.run(
        [sys.executable, "-c", code, path, sample.commit], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    until = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_rest_ends_it_only_when_nobody_asked_for_long(sample, reader):
    assert reader.info(sample.commit)
    before = len(own_gits())
    assert not reader.rest(idle=60)
    assert len(own_gits()) == before
    assert reader.rest()
    assert len(own_gits()) == before - 1
