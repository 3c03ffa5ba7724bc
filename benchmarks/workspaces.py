"""Workspaces against `git worktree add`: time to make, fork and remove one, and its disk.

    python benchmarks/workspaces.py [--files 10000 100000] [--runs 5] [--where DIR]

Prints one line per size and ends with status 1 when a bar is missed: made in at most 10 ms (50 ms
at 100,000 files), on at most 1.5 MB (12 MB), forked from a checkpoint in at most 100 ms, and both
at least 50 times faster than `git worktree add` in the same run. A fork is of a checkpoint that
nobody has opened yet, of ten changed files, a new one and one that is gone. Where no overlay can be
mounted it says "not measurable".
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from muster.workspace.base import Workspace
from muster.workspace.overlay import OverlayBackend
from muster.workspace.workspaces import Workspaces

BARS = {10_000: (10.0, 1.5), 100_000: (50.0, 12.0)}
"""Files: milliseconds, megabytes."""
FORK_MS = 100.0
FASTER = 50.0
CHANGED = 10
BYTES = 5_140
"""Per file: 51 MB in 10,000 files."""


def stream(files: int) -> Iterable[bytes]:
    """A repository of that many files, as `git fast-import` reads it."""
    yield b"commit refs/heads/main\ncommitter B <b@example.org> 1 +0000\ndata 5\nStart\n"
    draw = random.Random(files)
    for number in range(files):
        path = f"src/part{number % 100:02}/module_{number}.py"
        data = draw.randbytes(BYTES // 2).hex().encode() + b"\n"
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)


def git(folder: Path, *args: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"git {' '.join(args)}: {done.stderr}")
    return done.stdout.strip()


def make_repository(folder: Path, files: int) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    with subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        for part in stream(files):
            importing.stdin.write(part)
        importing.stdin.close()
    return folder


def timed(action: Callable[[], object]) -> float:
    """Milliseconds, on a disk that has nothing left to write from before."""
    os.sync()
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def disk(folder: Path, leave_out: Path | None = None) -> float:
    """Megabytes that the files below a folder take; a mount in it is left out."""
    total = 0
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(here) / name != leave_out]
        total += sum(_taken(Path(here) / name) for name in names)
    return total / 1e6


def _taken(path: Path) -> float:
    found = path.lstat()
    # What is shared with the base was paid for with the base.
    return found.st_blocks * 512 if found.st_nlink == 1 else 0


def measure_workspaces(
    workspaces: Workspaces, commit: str, runs: int
) -> tuple[float, float, float]:
    made, removed, taken = [], [], []
    open_one: list[Workspace] = []
    for number in range(runs):
        id = f"bench-{number}"
        made.append(timed(lambda id=id: open_one.append(workspaces.open(id, "prj", commit))))
        ws = open_one.pop()
        taken.append(disk(ws.root, ws.tree))
        removed.append(timed(lambda ws=ws: workspaces.close(ws)))
    return statistics.median(made), statistics.median(removed), statistics.median(taken)


def measure_forks(home: Path, commit: str, runs: int, *, by_git: bool = False) -> float:
    """Milliseconds from a checkpoint to a workspace of its own; `by_git`: by its `read-tree`."""
    backend = OverlayBackend(huge_index=sys.maxsize) if by_git else OverlayBackend()
    workspaces = Workspaces(home, {"overlay": backend})
    work, forked = workspaces.open("forked", "prj", commit), []
    made: list[Workspace] = []
    for number in range(runs):
        _change(work.tree, number)
        point = workspaces.snapshot(work, commit, "A point\n", "B", "b@example.org").commit
        assert point is not None
        forked.append(
            timed(lambda p=point: made.append(workspaces.open("fork", "prj", p, near=commit)))
        )
        fork = made.pop()
        if git(fork.tree, "status", "--porcelain"):
            raise SystemExit("the fork is not what was kept")
        workspaces.discard(fork)
    workspaces.discard(work)
    return statistics.median(forked)


def _change(tree: Path, number: int) -> None:
    """What an agent would have done by then."""
    part = sorted((tree / "src").iterdir())[number % 10]
    files = sorted(part.iterdir())
    for path in files[:CHANGED]:
        path.write_text(f"changed {number}\n")
    files[-1].unlink()
    (tree / f"new-{number}").write_text("untracked\n")


def measure_worktrees(repo: Path, where: Path, runs: int) -> tuple[float, float, float]:
    made, removed, taken = [], [], []
    for number in range(runs):
        tree = where / f"worktree-{number}"
        made.append(timed(lambda tree=tree: git(repo, "worktree", "add", "--detach", str(tree))))
        taken.append(disk(tree))
        removed.append(
            timed(lambda tree=tree: git(repo, "worktree", "remove", "--force", str(tree)))
        )
    return statistics.median(made), statistics.median(removed), statistics.median(taken)


def compare(folder: Path, files: int, runs: int) -> bool:
    """Measure one size, print a line, and say whether its bars are met."""
    repo = make_repository(folder / "repo", files)
    workspaces = Workspaces(folder / "home", {"overlay": OverlayBackend()})
    import_ms = timed(lambda: workspaces.mirror("prj").fetch(repo / ".git", "main"))
    commit = git(repo, "rev-parse", "main")
    base_ms = timed(lambda: workspaces.close(workspaces.open("first", "prj", commit)))
    made, removed, taken = measure_workspaces(workspaces, commit, runs)
    forked = measure_forks(folder / "home", commit, runs)
    forked_by_git = measure_forks(folder / "home", commit, runs, by_git=True)
    tree_made, tree_removed, tree_taken = measure_worktrees(repo, folder, runs)
    ratio = tree_made / max(made, forked)
    most_ms, most_mb = BARS.get(files, (float("inf"), float("inf")))
    met = made <= most_ms and taken <= most_mb and forked <= FORK_MS and ratio >= FASTER
    bars = f"{most_ms:.0f} and {FORK_MS:.0f} ms, {most_mb} MB, {FASTER:.0f}x"
    print(
        f"{files:>7,} files  workspace: make {made:.1f} ms, remove {removed:.1f} ms, "
        f"fork {forked:.1f} ms ({forked_by_git:.1f} ms by read-tree), "
        f"{taken:.2f} MB   git worktree: make {tree_made:.0f} ms, remove {tree_removed:.0f} ms, "
        f"{tree_taken:.0f} MB   {ratio:.0f}x faster, {tree_taken / taken:.0f}x lighter   "
        f"once per project: import {import_ms:.0f} ms; once per commit: base {base_ms:.0f} ms   "
        f"{'met' if met else f'MISSED (bars: {bars})'}",
        flush=True,
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=sorted(BARS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--where", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    why_not = OverlayBackend().available(options.where)
    if why_not:
        print(f"not measurable: {why_not}")
        return 0
    met = True
    for files in options.files:
        folder = Path(tempfile.mkdtemp(prefix="mu-bench-", dir=options.where))
        try:
            met &= compare(folder, files, options.runs)
        finally:
            shutil.rmtree(folder)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
