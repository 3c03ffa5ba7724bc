"""Acceptance tests: are they fit to judge by, and does the work pass them? Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from muster.domain.acceptance import WRITTEN, Written, file_of
from muster.domain.agent import Outcome
from muster.domain.globs import matches
from muster.domain.plain import few, plain_line
from muster.domain.verdict import Decision, Finding, Severity, Step, vetoed
from muster.supervision.case import Case
from muster.supervision.comparison import count, failing, having, ids, name_some
from muster.supervision.decide import decide_work
from muster.supervision.evidence import PASSED, SKIPPED, Changes, CheckResult, Colour, colour
from muster.supervision.seen import Share
from muster.supervision.severity import strongest_first

GO_ON = "--continue-on-collection-errors"
"""What pytest is told, so that a file that cannot be loaded yet does not keep others from running.
"""
ALL, VISIBLE_ONLY = "acceptance", "visible acceptance"
"""The names of the two runs that judge work: the output of the first is told to no coder."""

MOST_TESTS = 2000
_MAKES_TESTS = re.compile(r"(?:^|[^a-z])(?:tests?|specs?)(?:[^a-z]|$)|(?:Tests?|Spec)$")
_NOT_PYTHON = re.compile(
    r'File "([^"\n]+)", line \d+\n(?:[^\n]*\n){1,5}?[^\n]*\b(SyntaxError|IndentationError|TabError)'
)
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_STOPPED = {
    "lost": "was lost",
    "stopped": "was stopped",
    "killed": "was killed",
    "setup": "was not begun, as the setup command failed",
    "exec": "could not be started",
}


# --- are they fit? --------------------------------------------------------------------------------


def makes_tests(path: str) -> bool:
    """Whether a file's name says that there are tests in it."""
    return bool(_MAKES_TESTS.search(PurePosixPath(path).stem))


def in_two(files: Iterable[str], task_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Visible and hidden ones: by a lot that is the same each time, a single one hidden."""

    def lot(path: str) -> str:
        return hashlib.sha256(f"{task_id}\0{path}".encode()).hexdigest()

    drawn = sorted(files, key=lot)
    half = len(drawn) // 2
    return tuple(sorted(drawn[:half])), tuple(sorted(drawn[half:]))


def only_tests(changed: Changes, test_paths: Sequence[str]) -> tuple[Finding, ...]:
    """What speaks against a change that should add files of tests and do nothing else."""
    touched = [c.path for c in changed if c.status != "added"]
    others = [c.path for c in changed if c.status == "added" and not matches(test_paths, c.path)]
    found = []
    if touched:
        found.append(unfit(f"files are changed that were there before: {_paths(touched)}"))
    if others:
        where = ", ".join(test_paths)
        found.append(unfit(f"files are added that are no tests ({where}): {_paths(others)}"))
    return tuple(found)


def judge_written(
    base: CheckResult | None,
    run: CheckResult,
    files: Sequence[str],
    *,
    commits: tuple[str, str],
    task_id: str,
    known_names: Collection[str],
    wish: str,
) -> tuple[Finding, ...]:
    """Whether tests that were added to the base can judge work: they must fail there, each by name.

    `base` is the run without them, None where the base has no tests. `commits` are the base and the
    one with the tests; `known_names` the names of the base's files and folders, without endings. A
    file that cannot be loaded is fit, as what it is to load may be what is wished for, but not one
    that no work could make load.
    """
    if why := _unusable(base, run):
        return (unfit(why, run),)
    before = frozenset(base.tests or ()) if base else frozenset()
    new = frozenset(run.tests or ()) - before
    broken = having(base, PASSED) & failing(run)
    fit = new & failing(run)
    if broken:
        return (unfit(f"{count(len(broken), 'test')} of the base fail beside them", run, broken),)
    if not new:
        return (unfit("no test of theirs ran", run),)
    if not fit:
        text = f"all {len(new)} pass without the change, so they prove nothing"
        return (unfit(text, run, new),)
    if why := _never_loads(run, files, known_names, wish):
        return (unfit(why, run, fit),)
    written = _sorted_out(fit, new - fit, files, commits, task_id)
    return (_fit(written),)


def _sorted_out(
    fit: frozenset[str],
    dropped: frozenset[str],
    files: Sequence[str],
    commits: tuple[str, str],
    task_id: str,
) -> Written:
    named = {file_of(test, files) for test in fit}
    # A runner that does not say which file a test is of: whatever looks like one is hidden.
    unnamed = {p for p in files if None in named and makes_tests(p) and p not in named}
    judging = {path for path in named if path is not None} | unnamed
    visible, hidden = in_two(judging - unnamed, task_id)
    hidden = tuple(sorted({*hidden, *unnamed}))
    # What passes already proves nothing, and its file is nobody's help.
    idle = {path for test in dropped if (path := file_of(test, files)) and path not in judging}
    shared = tuple(sorted({*files} - judging - idle))
    return Written(
        *commits, tuple(sorted(fit)[:MOST_TESTS]), tuple(ids(dropped)), visible, hidden, shared
    )


def _fit(written: Written) -> Finding:
    number = len(written.tests)
    files = len(written.visible) + len(written.hidden)
    text = (
        f"{count(number, 'acceptance test')} {'fails' if number == 1 else 'fail'} on the base, in"
        f" {count(files, 'file')}, of which the coder is shown {len(written.visible)}"
    )
    if written.dropped:
        text += f"; {len(written.dropped)} more pass there already and are left out"
    return Finding(WRITTEN, Severity.OK, f"{text}.", written.as_json())


def _unusable(base: CheckResult | None, run: CheckResult) -> str:
    """Why a run with them on the base shows nothing of single tests, if it does not."""
    said = colour(run)
    if said is Colour.UNKNOWN:
        return f"their run {_STOPPED.get(run.why, f'ended in an unknown way ({run.why})')}"
    if run.why != "exit":
        return f"their run does not end by itself ({run.why})"
    if run.tests is not None:
        return ""
    if base is not None and base.tests is not None:
        return "with them the test command does not come to its report any more"
    return (
        "the test command tells of no single tests; it must leave a JUnit report at MUSTER_JUNIT,"
        " as pytest does"
    )


def _never_loads(
    run: CheckResult, files: Sequence[str], known_names: Collection[str], wish: str
) -> str:
    """What in them no work could mend: text that is no Python, packages that are not there."""
    output = run.output or run.tail
    for path, error in _NOT_PYTHON.findall(re.sub(r"(?m)^E   ", "", output)):
        if any(path.endswith(own) for own in files):
            return f"{plain_line(path.rpartition('/')[2])} cannot be read ({error})"
    own_names = {part for path in files for part in PurePosixPath(path).with_suffix("").parts}
    for module in dict.fromkeys(_NO_MODULE.findall(output)):
        top = module.partition(".")[0]
        if top not in known_names and top not in own_names and top not in wish:
            return (
                f"they need a package '{plain_line(top, 60)}' that is not there, and that the task"
                " does not name"
            )
    return ""


def unfit(why: str, run: CheckResult | None = None, tests: Collection[str] = ()) -> Finding:
    """The finding that refuses acceptance tests; `run` and its `tests` show why."""
    evidence: dict[str, object] = {"why": why, "failing": ids(tests)}
    if run is not None:
        evidence |= {"runs": [run.as_json()], "about": run.name, "command": run.command}
    return Finding(
        "acceptance.unfit", Severity.VETO, f"The acceptance tests are not fit: {why}.", evidence
    )


def _paths(paths: Sequence[str]) -> str:
    return few(sorted(paths))


def nobody_looks(findings: Iterable[Finding]) -> list[Finding]:
    """Findings about acceptance tests: what a person would look at is refused instead.

    They count for nothing but what runs show, and whoever would be asked can still say retry.
    """
    asked = {Severity.ASK, Severity.ABSTAIN}
    return [replace(f, severity=Severity.VETO) if f.severity in asked else f for f in findings]


def decide_written(case: Case) -> Decision:
    """The one next step of a task that writes acceptance tests; there is nothing to merge."""
    found = strongest_first(case.findings)
    refused = vetoed(found)
    if case.outcome is Outcome.COMPLETED and found and not refused:
        return Decision(Step.ACCEPT, tuple(dict.fromkeys(f.text for f in found)))
    return decide_work(case)


# --- does the work pass them? ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a run says of acceptance tests: all that count by now, and those that do not pass."""

    tests: frozenset[str]
    red: frozenset[str]


def outcomes(written: Written, run: CheckResult) -> Outcomes:
    """How each test ended: one that was skipped, or did not run at all, has not passed."""
    now: Mapping[str, str] = run.tests or {}
    files = (*written.visible, *written.hidden)
    by_file: dict[str, set[str]] = {}
    for test in now:
        if path := file_of(test, files):
            by_file.setdefault(path, set()).add(test)
    counted: set[str] = set()
    red: set[str] = set()
    for test in written.tests:
        if test in now:
            counted.add(test)
            red |= {test} if now[test] != PASSED else set()
            continue
        # Perhaps a file that could not be loaded on the base: the tests in it stand for it now.
        instead = by_file.get(file_of(test, files) or "", set()) - {*written.tests}
        instead -= {*written.dropped}
        ran = {each for each in instead if now[each] != SKIPPED}
        counted |= ran or {test}
        red |= {each for each in ran if now[each] != PASSED} if ran else {test}
    return Outcomes(frozenset(counted), frozenset(red))


def needs_visible_run(written: Written, run: CheckResult) -> bool:
    """Whether there is more to tell the coder: a test that is shown to it has not passed."""
    return bool(written.visible) and any(map(written.is_visible, outcomes(written, run).red))


def judge_acceptance(
    written: Written,
    run: CheckResult,
    visible: CheckResult | None,
    author: str,
    *,
    seen: bool,
    reach: Share | None = None,
) -> Finding:
    """Whether a finished piece of work passes.

    `run` is that of all tests, `visible` the one of those alone that the coder is shown, whose
    output can be told. `seen` says that the coder's place hides nothing from it. `reach` is how
    much of the code that the work adds these tests execute, where that is known.
    """
    said = colour(run)
    if said is Colour.UNKNOWN:
        why = f"their run {_STOPPED.get(run.why, f'ended in an unknown way ({run.why})')}"
        return abstained(why, author)
    found = outcomes(written, run)
    shown = frozenset(test for test in found.tests if written.is_visible(test))
    evidence: dict[str, object] = {
        "tests": len(found.tests),
        "visible": len(shown),
        "hidden": len(found.tests - shown),
        "author": author,
        "seconds": round(run.seconds, 3),
    }
    if not found.red:
        text = f"{count(len(found.tests), 'acceptance test')} of {author} pass"
        if len(found.tests) == 1:
            text = f"The acceptance test of {author} passes"
        if reach is not None:
            evidence |= {"covered": reach.covered, "lines": reach.lines}
            evidence |= {"share": round(reach.share, 4)}
            text += f", executing {reach.covered} of the {count(reach.lines, 'line')} it adds"
        text += "; the coder's place kept nothing hidden from it" if seen else ""
        return Finding("acceptance.passed", Severity.OK, f"{text}.", evidence)
    red_shown, hidden = found.red & shown, len(found.red - shown)
    evidence |= {"failed": ids(red_shown), "failing": ids(red_shown), "hidden_failed": hidden}
    if visible is not None:
        evidence |= {"runs": [visible.as_json()], "about": visible.name}
    return Finding("acceptance.failed", Severity.VETO, _failed(found, red_shown, hidden), evidence)


def _failed(found: Outcomes, shown: frozenset[str], hidden: int) -> str:
    parts: Iterator[str] = filter(
        None,
        (name_some(shown) if shown else "", f"{hidden} hidden" if hidden else ""),
    )
    number = count(len(found.tests), "acceptance test")
    return f"{len(found.red)} of {number} {_do(len(found.red))}: {' and '.join(parts)}."


def _do(number: int) -> str:
    return "fails" if number == 1 else "fail"


def abstained(why: str, author: str) -> Finding:
    """The finding where acceptance tests are owed and none could be run."""
    return Finding(
        "acceptance.none",
        Severity.ABSTAIN,
        f"No acceptance tests judge this work: {why}.",
        {"why": why, "author": author},
    )
