"""Is a change about as large, and where, as its task lets one expect? Noted, never a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from muster.domain.globs import matches
from muster.domain.plain import few, plain_line
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changed, Changes

_LINES: Mapping[TaskType, int] = {TaskType.BUG: 300, TaskType.CHORE: 1000}
_FILES: Mapping[TaskType, int] = {TaskType.BUG: 15}
_USUAL_LINES, _USUAL_FILES = 1500, 60
"""Beyond these, for those without a number of their own, nobody reads a change in one sitting."""
_GENERATED = (
    *("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Pipfile.lock"),
    *("Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "*.min.js", "*.min.css", "*.snap"),
)
_MOST_LISTED = 50


def judge_scope(
    task_type: TaskType, changed: Changes, planned: Iterable[str], test_paths: Iterable[str]
) -> tuple[Finding, ...]:
    """Findings about the size, and about files that the plan did not name.

    `planned` are the files that whoever planned the task thought likely, as a guess; none where
    nobody planned it. Tests and files that programs write count for neither.
    """
    unread = (*test_paths, *_GENERATED)
    own = [c for c in changed if not all(matches(unread, path) for path in c.paths)]
    return (*_size(task_type, own), *_outside(own, tuple(planned)))


def _size(task_type: TaskType, own: list[Changed]) -> Iterable[Finding]:
    lines = sum(change.added + change.removed for change in own)
    most_lines = _LINES.get(task_type, _USUAL_LINES)
    most_files = _FILES.get(task_type, _USUAL_FILES)
    if lines > most_lines or len(own) > most_files:
        yield Finding(
            "size.large",
            Severity.NOTE,
            f"The change is large for a {task_type}: {lines} lines in {len(own)} files besides "
            f"tests; up to {most_lines} in {most_files} are usual.",
            {
                "lines": lines,
                "files": len(own),
                "usual_lines": most_lines,
                "usual_files": most_files,
            },
        )


def _outside(own: list[Changed], planned: tuple[str, ...]) -> Iterable[Finding]:
    if not planned:
        return
    paths = sorted({path for change in own for path in change.paths})
    outside = [path for path in paths if not _is_planned(path, planned)]
    if outside:
        none = " No file that it names was touched." if len(outside) == len(paths) else ""
        yield Finding(
            "files.outside_plan",
            Severity.NOTE,
            f"The plan of the task did not expect changes of {few(outside, longest=90)}.{none}",
            {
                "paths": [plain_line(path) for path in outside[:_MOST_LISTED]],
                "planned": [plain_line(path) for path in planned[:_MOST_LISTED]],
            },
        )


def _is_planned(path: str, planned: tuple[str, ...]) -> bool:
    """Whether it is one of them, or lies in one that is a folder."""
    return any(path == one.rstrip("/") or path.startswith(f"{one.rstrip('/')}/") for one in planned)
