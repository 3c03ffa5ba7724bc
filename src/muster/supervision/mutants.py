"""Do the tests notice faults in what the change adds? Told by putting some in, one at a time."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.plain import plain_line
from muster.domain.verdict import Finding, Severity
from muster.supervision.changed_lines import Statement
from muster.supervision.evidence import RESULT
from muster.supervision.mutation import Mutant, mutants_of, mutated, sampled
from muster.supervision.python_runs import interpreter, with_pytest
from muster.supervision.seen import Seen, Watched, measuring, read_seen, watched
from muster.supervision.stage import GIVEN, Beside, Case, Run, Steps, Told, own_file

MOST_MUTANTS = 200
MOST_TESTS = 25
"""How many of the tests that reach a line are run for a fault in it: the fastest."""
MOST_SURVIVORS = 20
GOOD = 0.8
LEAST = 10
WIDEST = 0.4
"""How many faults, and how wide the interval may be in which the true share lies (95 %), to say
anything: 21 faults where half of them are noticed, 10 where all are."""
_Z = 1.96
_PROGRAM = "muster_mutate.py"
_STATUS = frozenset({"passed", "failed", "timeout", "unknown"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """The faults to try with the tests that should notice each, and those that no test reaches."""

    tried: tuple[tuple[Mutant, tuple[str, ...]], ...]
    untested: tuple[Mutant, ...]


class Mutants:
    """Faults in the added lines, each run with the tests that reach its line."""

    settles = False

    def steps(self, case: Case) -> Steps:
        """One run for all faults, and one before it if nothing tells yet which tests to run."""
        command, what = case.plan.test_command or "", watched(case)
        run_as = with_pytest(command, "muster_only.py")
        if not what or not command:
            return Told()
        asked = measuring(command, what)
        if run_as is None or asked is None:
            return Told((_unknown("the test command does not start pytest once"),))
        run = case.run(RESULT)
        seen = read_seen(run.left if run else None)
        if isinstance(seen, str):
            (run,) = yield [Run("seen", asked[0], RESULT, asked[1])]
            seen = read_seen(run.left)
        if isinstance(seen, str):
            return Told((_unknown(seen),))
        texts = {path: case.text(path) or "" for path in what}
        chosen = choose(what, texts, seen, case.seed)
        if not chosen.tried:
            return Told((judged(chosen, {}),) if chosen.untested else ())
        secret = hashlib.sha256(f"mutants {case.seed}".encode()).hexdigest()
        order = _order(run_as[0], chosen, secret, case.settings.mutant_seconds)
        (run,) = yield [_run(command, run_as[1], order, case.settings.mutant_seconds)]
        ended = read_report(run.left, secret, chosen)
        return Told((_unknown(ended) if isinstance(ended, str) else judged(chosen, ended),))


def choose(what: Watched, texts: Mapping[str, str], seen: Seen, seed: str) -> Chosen:
    """A sample of the faults that can be put into added statements, with their tests."""
    every = [
        mutant
        for path, statements in what.items()
        for mutant in mutants_of(path, texts[path], {n for s in statements for n in s.lines})
    ]
    tried, untested = [], []
    for mutant in sampled(every, seed, MOST_MUTANTS):
        tests = _tests(what[mutant.path], mutant, seen)
        if mutated(texts[mutant.path], mutant) is None:
            continue
        if tests:
            tried.append((mutant, tests))
        else:
            untested.append(mutant)
    return Chosen(tuple(tried), tuple(untested))


def _tests(statements: Iterable[Statement], mutant: Mutant, seen: Seen) -> tuple[str, ...]:
    """Those that reach its line, the fastest; a line of the module's own, those of its file."""
    own = [s for s in statements if mutant.line in s.lines]
    found = {test for s in own for test in seen.tests_of(mutant.path, s)}
    if not found and any(seen.covers(mutant.path, s) for s in own):
        found = {t for tests in seen.lines.get(mutant.path, {}).values() for t in tests}
    return tuple(sorted(found, key=lambda test: (seen.seconds.get(test, 0.0), test))[:MOST_TESTS])


def _order(command: str, chosen: Chosen, secret: str, seconds: float) -> str:
    faults = [
        {
            "id": m.id, "path": m.path, "start": m.start, "end": m.end, "new": m.new,
            "tests": list(tests),
        }
        for m, tests in chosen.tried
    ]  # fmt: skip
    return json.dumps({"command": command, "faults": faults, "secret": secret, "seconds": seconds})


def _run(command: str, only: Beside, order: str, seconds: float) -> Run:
    more = Beside(
        {"MUSTER_ONLY": "only.json", "PYTEST_ADDOPTS": "-x"},
        {_PROGRAM: own_file(_PROGRAM)},
        order,
        f"{GIVEN}/mutants.json",
        seconds + 60,
    )
    program = f'{interpreter(command)} "$MUSTER_GIVEN/{_PROGRAM}"'
    return Run("faults", program, RESULT, only.also(more))


def read_report(left: str | None, secret: str, chosen: Chosen) -> dict[str, str] | str:
    """What came of each fault, checked to be told by the program that was given; else why not."""
    told = _signed(left, secret)
    if told is None:
        return "the run of the faults left no report of its own"
    if told.get("first") != "passed":
        return "the tests that reach the added lines do not pass when they are run by themselves"
    ended, asked = told.get("ended"), {mutant.id for mutant, _ in chosen.tried}
    if not isinstance(ended, dict) or not all(
        mutant in asked and status in _STATUS for mutant, status in ended.items()
    ):
        return "the report of the faults says what cannot be"
    return {str(mutant): str(status) for mutant, status in ended.items()}


def _signed(left: str | None, secret: str) -> dict[str, Any] | None:
    try:
        whole: Any = json.loads(left or "")
        told = str(whole["told"])
        signed = hmac.new(secret.encode(), told.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(signed, str(whole["signed"])):
            return None
        inner = json.loads(told)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return inner if isinstance(inner, dict) else None


def interval(killed: int, sample: int) -> tuple[float, float]:
    """Where the true share lies with 95 %, by Wilson."""
    if sample == 0:
        return 0.0, 1.0
    share, square = killed / sample, _Z * _Z
    middle = (share + square / (2 * sample)) / (1 + square / sample)
    spread = math.sqrt(share * (1 - share) / sample + square / (4 * sample * sample))
    half = _Z * spread / (1 + square / sample)
    return max(0.0, middle - half), min(1.0, middle + half)


def judged(chosen: Chosen, ended: Mapping[str, str]) -> Finding:
    """The finding about faults that ended so; those that were not tried do not count."""
    killed = sum(status in {"failed", "timeout"} for status in ended.values())
    lived = [mutant for mutant, _ in chosen.tried if ended.get(mutant.id) == "passed"]
    sample = killed + len(lived)
    low, high = interval(killed, sample)
    share = killed / sample if sample else 0.0
    enough = sample >= LEAST and high - low <= WIDEST
    text = f"The tests notice {killed} of {sample} faults that were put into the added lines"
    if chosen.untested:
        text += f"; {len(chosen.untested)} more would be in lines that no test reaches"
    text += "."
    return Finding(
        "mutants.changed",
        Severity.OK if enough and share >= GOOD else Severity.NOTE,
        text if enough else f"{text} That is too few to say much.",
        {
            "killed": killed,
            "survived": len(lived),
            "untested": len(chosen.untested),
            "sample": sample,
            "share": round(share, 4),
            "interval": [round(low, 4), round(high, 4)],
            "enough": enough,
            "survivors": [
                {"path": plain_line(m.path, 300), "line": m.line, "what": plain_line(m.what, 200)}
                for m in lived[:MOST_SURVIVORS]
            ],
        },
    )


def _unknown(why: str) -> Finding:
    text = f"It is not known whether the tests notice faults in the added lines: {why}."
    return Finding("mutants.unknown", Severity.NOTE, text, {"why": why})
