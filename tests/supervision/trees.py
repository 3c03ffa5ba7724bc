"""Small repositories as dictionaries, planned, run for real and judged, as the engine does it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from muster.domain.project import ProjectSettings
from muster.domain.task import TaskType
from muster.domain.verdict import Finding
from muster.supervision.beside import REPORT
from muster.supervision.checks import CheckPlan, CheckRun, plan_checks
from muster.supervision.evidence import Changed, Changes, CheckResult
from muster.supervision.quality import judge
from muster.supervision.runner import Ran, Runner, Runners, by_junit
from muster.supervision.runner_python import Pytest, Unittest
from muster.supervision.stage import GIVEN, Beside, Case, Stage, Told

Files = Mapping[str, str]
RUNNERS = Runners({"pytest": Pytest, "unittest": Unittest})
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"


def changes(base: Files, result: Files) -> Changes:
    """What differs between two trees; nothing is detected as renamed."""
    found = []
    for path in sorted({*base, *result}):
        if path not in base:
            found.append(Changed(path, "added", added=result[path].count("\n")))
        elif path not in result:
            found.append(Changed(path, "deleted", removed=base[path].count("\n")))
        elif base[path] != result[path]:
            found.append(Changed(path, "modified", added=1, removed=1))
    return tuple(found)


def tree_of(run: CheckRun, base: Files, result: Files) -> dict[str, str]:
    """The files that a planned run sees."""
    own, other = (base, result) if run.tree == "base" else (result, base)
    files = {path: text for path, text in own.items() if path not in run.drop}
    return files | {path: other[path] for path in run.take}


def execute(
    run: CheckRun,
    files: Files,
    where: Path,
    beside: Beside | None = None,
    runner: Runner | None = None,
) -> CheckResult:
    """Run a command in a fresh directory, with what a stage gives it, and read its reports."""
    tree, report, given = where / "tree", where / "a report.xml", where / "given"
    tree.mkdir(parents=True)
    beside, line = beside or Beside(), run.command
    if run.kind == "test":
        runner = runner or RUNNERS.of(run.command)
        told = runner.telling(run.command) if runner else None
        line, more = told or (run.command, Beside())
        beside = beside.also(more)
    for name, text in beside.files.items():
        given.mkdir(exist_ok=True)
        (given / name).write_text(text)
    for path, text in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(where),
        "PYTHONDONTWRITEBYTECODE": "1",
        # The plugins of our own tests take longer to load than these tests to run.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    for name, value in beside.env.items():
        env[name] = value.replace(GIVEN, str(given)).replace(REPORT, shlex.quote(str(report)))
    env |= {"MUSTER_GIVEN": str(given), "MUSTER_TREE": str(tree), "MUSTER_JUNIT": str(report)}
    started = time.monotonic()
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=tree,
        env=env,
        input=beside.stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    left = report.read_bytes() if report.exists() else None
    read = runner.read if runner is not None else by_junit
    said = read(Ran(left, done.stdout, lambda: done.stdout, str(tree)))
    return CheckResult(
        run.name,
        run.command,
        done.returncode,
        "exit",
        time.monotonic() - started,
        "run-1",
        done.stdout[-4096:],
        said.tests,
        done.stdout if said.output is None else said.output,
        str(tree),
        _left(beside, given, tree),
    )


def _left(beside: Beside, given: Path, tree: Path) -> str | None:
    """The report that a run was to leave."""
    if not beside.report:
        return None
    path = Path(beside.report.replace(GIVEN, str(given)))
    return (tree / path).read_text() if (tree / path).exists() else None


def drive(
    stage: Stage, case: Case, base: Files, result: Files, where: Path
) -> tuple[Told, list[CheckResult]]:
    """Ask a stage, and run what it wants as the engine does; what it says, and the runs."""
    steps, seen = stage.steps(case), []
    try:
        wanted = next(steps)
        while True:
            ended = []
            for run in wanted:
                check = case.plan.run(run.at)
                files = tree_of(check, base, result)
                here = replace(check, name=run.name, command=run.command)
                folder = where / f"run {len(seen)}"
                ended.append(execute(here, files, folder, run.beside, case.plan.runner))
                seen.append(ended[-1])
            wanted = steps.send(ended)
    except StopIteration as end:
        return end.value, seen


class Bench:
    """Judges steps between trees; a command that ran on the same files is not run again."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._known: dict[object, CheckResult] = {}

    def judged(
        self,
        task_type: TaskType,
        base: Files,
        result: Files,
        *,
        report: bool = True,
        **settings: str,
    ) -> dict[str, Finding]:
        """The findings about the step from `base` to `result`, by code."""
        chosen = replace(ProjectSettings(test_command=PYTEST), **settings)
        plan = plan_of(task_type, base, result, chosen)
        results = [self._run(run, tree_of(run, base, result), report) for run in plan.runs]
        found = judge(task_type, plan, results, changes(base, result))
        return {finding.code: finding for finding in found}

    def _run(self, run: CheckRun, files: Files, report: bool) -> CheckResult:
        key = (run.kind, run.command, tuple(sorted(files.items())))
        if key not in self._known:
            self._known[key] = execute(run, files, self._where / str(len(self._known)))
        found = replace(self._known[key], name=run.name)
        return found if report else replace(found, tests=None)


def plan_of(
    task_type: TaskType, base: Files, result: Files, settings: ProjectSettings
) -> CheckPlan:
    """The plan with all that is known about the trees."""
    return plan_checks(
        task_type,
        settings,
        changes(base, result),
        base_files=base,
        configs={path: (base.get(path), result.get(path)) for path in {*base, *result}},
        runner=RUNNERS.of(settings.test_command or ""),
        tests={path: (base.get(path), result.get(path)) for path in {*base, *result}},
    )
