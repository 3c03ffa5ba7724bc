"""The figures of `workspaces.py`, which makes and removes workspaces beside `git worktree add`."""

from __future__ import annotations

from pathlib import Path

from benchmarks import workspaces as bench
from benchmarks.figures import Figure, Plan
from benchmarks.server import scratch
from muster.workspace.overlay import OverlayBackend
from muster.workspace.workspaces import Workspaces

_WORKTREES = 3


def measure(plan: Plan) -> list[Figure]:
    """Time, disk and ratio at each size; all absent where no overlay can be mounted."""
    found: list[Figure] = []
    with scratch() as folder:
        why_not = OverlayBackend().available(folder)
    for files, (most_ms, most_mb) in bench.BARS.items():
        if why_not:
            found += _figures(files, most_ms, most_mb, None, why_not)
            continue
        with scratch() as folder:
            count = plan.of(files, files // 500)
            measured = _one_size(folder, count, plan.rounds)
            found += _figures(count, most_ms, most_mb, measured)
    return found


Measured = tuple[tuple[float, float, float], tuple[float, float], tuple[float, float, float], float]
"""A workspace's milliseconds to make and remove and megabytes; those to fork one, by muster and by
git; what a worktree takes; the base's time."""


def _one_size(folder: Path, files: int, rounds: int) -> Measured:
    repo = bench.make_repository(folder / "repo", files)
    spaces = Workspaces(folder / "home", {"overlay": OverlayBackend()})
    spaces.mirror("prj").fetch(repo / ".git", "main")
    commit = bench.git(repo, "rev-parse", "main")
    base = bench.timed(lambda: spaces.close(spaces.open("first", "prj", commit)))
    ours = bench.measure_workspaces(spaces, commit, rounds)
    home = folder / "home"
    forks = tuple(bench.measure_forks(home, commit, rounds, by_git=by) for by in (False, True))
    # A worktree takes seconds to a minute, so a few of them must do.
    trees = bench.measure_worktrees(repo, folder, min(rounds, _WORKTREES))
    return ours, (forks[0], forks[1]), trees, base


def _figures(
    files: int, most_ms: float, most_mb: float, measured: Measured | None, why_not: str = ""
) -> list[Figure]:
    name = f"{files:,} files"
    forked_faster = f"{name}: fork one faster than git worktree"
    if measured is None:
        return [
            Figure(f"{name}: fork a workspace", None, "ms", bench.FORK_MS, note=why_not),
            Figure(forked_faster, None, "times", bench.FASTER, True, why_not),
            Figure(f"{name}: make a workspace", None, "ms", most_ms, note=why_not),
            Figure(f"{name}: disk of a workspace", None, "MB", most_mb, note=why_not),
            Figure(f"{name}: faster than git worktree", None, "times", bench.FASTER, True, why_not),
        ]
    (made, removed, taken), (forked, by_git), (tree_made, tree_removed, tree_taken), base = measured
    return [
        Figure(f"{name}: make a workspace", made, "ms", most_ms),
        Figure(f"{name}: disk of a workspace", taken, "MB", most_mb),
        Figure(f"{name}: faster than git worktree", tree_made / made, "times", bench.FASTER, True),
        Figure(f"{name}: fork a workspace", forked, "ms", bench.FORK_MS),
        Figure(forked_faster, tree_made / forked, "times", bench.FASTER, True),
        Figure(f"{name}: fork a workspace by read-tree", by_git, "ms"),
        Figure(f"{name}: remove a workspace", removed, "ms"),
        Figure(f"{name}: make a git worktree", tree_made, "ms"),
        Figure(f"{name}: remove a git worktree", tree_removed, "ms"),
        Figure(f"{name}: disk of a git worktree", tree_taken, "MB"),
        Figure(f"{name}: the shared base, once a commit", base, "ms"),
    ]
