"""Machines and repositories that are not as one would wish: a clear word, or it works."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.houses import CALC, UNITTEST, git, make_repo
from hostile.servers import NO_PROGRAMS, Done, muster, served, settings
from house.patience import PATIENCE
from muster.client import Muster, Patience
from muster.client.home import find_server, read_token
from muster.domain.errors import NoRoom

AGENT = """
[agents.adds]
command = ["/bin/sh", "-c", "printf 'def two():\\\\n    return 2\\\\n' > two.py; echo done"]
"""
COUNTS = (
    'wc -c < "$MUSTER_PROMPT_FILE" > size.txt; wc -c > stdin.txt; tail -c 100000 '
    '"$MUSTER_PROMPT_FILE" | grep -c "no play" > end.txt'
)
RUDE = r"printf 'a\377b \033[31mred\033[2J\033]0;owned\007\n'; echo x > two.py"
OTHERS = "".join(
    f"[agents.{name}]\ncommand = {json.dumps(['/bin/sh', '-c', script])}\n"
    for name, script in (("counts", COUNTS), ("rude", RUDE))
)
MB = 1_000_000


@pytest.fixture(scope="module")
def place(shared_home: Path) -> Iterator[Path]:
    """A home with a running server and agents that do their work; each test has its own project."""
    settings(shared_home, f"disk_floor_mb = 1\n{AGENT}{OTHERS}")
    with served(shared_home):
        yield shared_home


def refused(done: Done, *words: str) -> None:
    """It ended with an error that says all this, and what to do next."""
    assert done.code not in {0, 70}
    for word in words:
        assert word in done.err, done.err
    # What is wrong, and below it the next step.
    assert len(done.err.strip().splitlines()) >= 2, done.err


def works(home: Path, repo: Path, *more: str, branch: str = "main") -> dict:
    """Register the repository and have a task done in it; the task."""
    init = muster(home, "init", str(repo), "--yes", "--test", UNITTEST, "--json", *more)
    assert init.code == 0, init.err
    done = muster(
        home, "do", "Add two", "--project", init.json["name"], "--type", "chore", "--agent", "adds",
        "--autonomy", "full", "--wait", "--json",
    )  # fmt: skip
    assert done.code == 0, (done.out, done.err)
    git_dir = repo if (repo / "HEAD").exists() else repo / ".git"
    where = repo if git_dir != repo else git_dir
    assert "two.py" in git(where, "ls-tree", "--name-only", f"refs/heads/{branch}").split()
    return done.json


# --- the machine ----------------------------------------------------------------------------------


def test_a_second_server_on_the_same_home_is_refused_and_the_first_goes_on(place: Path):
    running = json.loads((place / "server.json").read_text())
    second = muster(place, "up", "--port", "0")
    refused(second, "another muster runs", str(running["pid"]), "muster down")
    assert json.loads((place / "server.json").read_text()) == running
    assert muster(place, "status").code == 0


def test_a_port_that_is_taken_is_named_with_a_way_out(home: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(muster(home, "up", "--port", port), port, "--port 0")
        refused(muster(home, "up", "--detach", "--port", port), port, "--port 0")
    assert not (home / "server.json").exists()


def test_a_home_below_a_file_is_refused_with_a_way_out(tmp_path: Path):
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    for how in ((), ("--detach",)):
        refused(muster(home, "up", "--port", "0", *how), str(home), "--home")
    assert muster(home, "doctor", env=NO_PROGRAMS).code == 1
    assert muster(home, "status").code == 6


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing can be written, whoever tries."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    _mount(folder, "size=1m,ro")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.mark.parametrize("how", [(), ("--detach",)], ids=["", "detached"])
def test_a_home_that_cannot_be_written_is_refused(read_only: Path, how: tuple[str, ...]):
    refused(muster(read_only, "up", "--port", "0", *how), str(read_only), "--home")


def test_without_git_the_server_says_what_to_install(home: Path, tmp_path: Path):
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("sh", "env"):
        (bare / name).symlink_to(shutil.which(name) or "")
    env = {"PATH": str(bare)}
    refused(muster(home, "up", "--port", "0", env=env), "git is not installed", "install git")
    doctor = muster(home, "doctor", "--json", env=env)
    assert doctor.code == 1
    assert [c["state"] for c in doctor.json["checks"] if c["name"] == "git"] == ["fail"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 60 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount(folder, "size=60m")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost(
    small_disk: Path, tmp_path: Path
):
    home = small_disk / "home"
    settings(home, f"disk_floor_mb = 1\n{AGENT}")
    repo = make_repo(tmp_path / "repo", CALC)
    with served(home):
        before = works(home, repo)
        ballast = small_disk / "ballast"
        fill = ["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"]
        assert b"No space" in subprocess.run(fill, capture_output=True).stderr
        with Muster(
            find_server(home).url, read_token(home), patience=Patience(PATIENCE, 1)
        ) as client:
            with pytest.raises(NoRoom) as told:
                client.create_task("repo", "Add two more", agent="adds")
            assert told.value.hint
            assert client.get_task(before["id"])["status"] == "completed"
            assert client.list_tasks()["items"]
            assert client.health()["status"] == "full"
        ballast.unlink()
        shown = muster(home, "task", "list", "--all", "--json").json["items"]
        assert [task["id"] for task in shown] == [before["id"]]
        after = muster(
            home, "do", "Add three", "--project", "repo", "--type", "chore", "--agent", "adds",
            "--autonomy", "confirm", "--wait", "--json",
        )  # fmt: skip
        # It moves again; the same change twice is nothing, which is not called done.
        assert (after.code, after.json["attempt"] > 0) in {(1, True), (7, True)}, after.err


# --- the repository -------------------------------------------------------------------------------


def test_a_folder_that_is_no_repository_says_so(place: Path, tmp_path: Path):
    refused(muster(place, "init", str(tmp_path), "--yes"), "git")


def test_a_repository_without_commits_asks_for_one(place: Path, tmp_path: Path):
    repo = tmp_path / "empty"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    refused(muster(place, "init", str(repo), "--yes"), "no commits", "first commit")


def test_a_repository_with_a_submodule_works(place: Path, tmp_path: Path):
    inner = make_repo(tmp_path / "inner", {"inner.txt": "inner\n"})
    repo = make_repo(tmp_path / "outer", CALC)
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    git(repo, "commit", "-q", "-m", "With a submodule")
    pinned = git(repo, "rev-parse", "main:sub")
    works(place, repo)
    assert git(repo, "rev-parse", "main:sub") == pinned
    assert (repo / "sub" / "inner.txt").read_text() == "inner\n"
    assert git(repo, "status", "--porcelain") == ""


def test_with_a_detached_head_the_usual_branch_is_taken_and_the_head_stays(
    place: Path, tmp_path: Path
):
    repo = make_repo(tmp_path / "detached", CALC)
    git(repo, "checkout", "-q", "--detach")
    at = git(repo, "rev-parse", "HEAD")
    works(place, repo)
    assert git(repo, "rev-parse", "HEAD") == at
    assert not (repo / "two.py").exists()


def test_with_a_detached_head_and_no_usual_branch_one_has_to_be_named(place: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "headless", CALC)
    git(repo, "branch", "-m", "main", "one")
    git(repo, "branch", "two")
    git(repo, "checkout", "-q", "--detach")
    refused(muster(place, "init", str(repo), "--yes"), "detached", "--branch")
    works(place, repo, "--branch", "two", branch="two")


def test_a_dirty_checkout_loses_nothing(place: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "dirty", CALC)
    (repo / "calc.py").write_text("precious\n")
    (repo / "two.py").write_text("mine\n")
    assert muster(place, "init", str(repo), "--yes", "--test", UNITTEST).code == 0
    ended = muster(
        place, "do", "Add two", "--agent", "adds", "--type", "chore", "--autonomy", "full",
        "--wait", "--json", cwd=repo,
    )  # fmt: skip
    assert ended.code == 7, ended.err
    assert ended.json["breakpoint"]["kind"] == "checkout"
    assert (repo / "calc.py").read_text() == "precious\n"
    assert (repo / "two.py").read_text() == "mine\n"
    assert muster(place, "inbox").code == 0


@pytest.mark.parametrize(
    "name",
    [
        "-dash, Füße 日本 🦆 and quo'te\"d $(touch x) `y`",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("with spaces", "Füße 日本 🦆", "quo'te\"d $(touch x) `y`", "-dash")
        ),
    ],
)
def test_a_path_of_any_letters_works(place: Path, tmp_path: Path, name: str):
    works(place, make_repo(tmp_path / name, CALC), "--name", f"letters-{len(name)}")
    assert not list(tmp_path.glob("x"))


def test_a_path_with_a_line_end_is_refused(place: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "new\nline", CALC)
    refused(muster(place, "init", str(repo), "--yes"), "line end", "move")


@pytest.mark.parametrize("branch", [pytest.param("-f", marks=pytest.mark.long), "--upload-pack=x"])
def test_a_branch_that_looks_like_an_option_is_refused_or_works(
    place: Path, tmp_path: Path, branch: str
):
    before = muster(place, "project", "list", "--json").json["items"]
    repo = make_repo(tmp_path / "repo", CALC)
    git(repo, "update-ref", f"refs/heads/{branch}", "HEAD")
    refused(muster(place, "init", str(repo), "--yes", f"--branch={branch}"), branch)
    git(repo, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    refused(muster(place, "init", str(repo), "--yes"), branch)
    assert muster(place, "project", "list", "--json").json["items"] == before


def test_a_prompt_of_10_mb_reaches_the_agent_whole(place: Path, tmp_path: Path):
    words = "Add two\n\n" + "all work and no play \n" * 500_000
    file = tmp_path / "prompt.md"
    file.write_text(words)
    assert file.stat().st_size > 10 * MB
    repo = make_repo(tmp_path / "long", CALC)
    assert muster(place, "init", str(repo), "--yes", "--test", UNITTEST).code == 0
    done = muster(
        place, "do", "-f", str(file), "--agent", "counts", "--type", "chore", "--autonomy", "full",
        "--wait", "--json", cwd=repo,
    )  # fmt: skip
    assert done.code == 0, done.err[-2000:]
    assert int((repo / "size.txt").read_text()) > 10 * MB
    assert int((repo / "stdin.txt").read_text()) > 10 * MB
    assert int((repo / "end.txt").read_text()) > 1000
    assert muster(place, "task", "list", cwd=repo).code == 0


def test_a_bare_repository_works(place: Path, tmp_path: Path):
    work = make_repo(tmp_path / "work", CALC)
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    works(place, bare)


def test_a_linked_worktree_works(place: Path, tmp_path: Path):
    main = make_repo(tmp_path / "main", CALC)
    linked = tmp_path / "linked"
    git(main, "worktree", "add", "-q", "-b", "side", str(linked))
    works(place, linked, branch="side")
    assert "two" in (linked / "two.py").read_text()
    assert not (main / "two.py").exists()


def test_terminal_escapes_in_a_log_never_reach_a_terminal(place: Path, tmp_path: Path):
    repo = make_repo(tmp_path / "rude", CALC)
    assert muster(place, "init", str(repo), "--yes", "--test", UNITTEST).code == 0
    done = muster(
        place, "do", "x", "--agent", "rude", "--type", "chore", "--wait", "--json", cwd=repo
    )
    agent = done.json["agents"][-1]["id"]
    for line in (["logs", agent], ["logs", agent, "--follow"], ["show", agent]):
        said = muster(place, "agent", *line)
        assert said.code == 0
        assert not set(said.out + said.err) & {"\x1b", "\x07"}
    assert "red" in muster(place, "agent", "logs", agent).out
