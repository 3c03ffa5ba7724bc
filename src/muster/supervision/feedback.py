"""What the next attempt is told about the one that was refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muster.domain.plain import plain_line
from muster.domain.verdict import Finding, Severity

MOST_FAILING = 200

_WEIGHTY = frozenset({Severity.VETO, Severity.ABSTAIN, Severity.ASK})
_INSTRUCTIONS: Mapping[str, str] = {
    "change.none": "Make the change in the files of the working directory; words are not enough.",
    "change.conflict_markers": "Resolve every conflict marker.",
    "change.secret": "Take secrets out of the files; read them from the environment instead.",
    "change.link": "Remove the links that lead out of the repository.",
    "change.nested_repository": "Remove the repository that was made inside this one.",
    "change.path": "Use ordinary file names only, and none under .git.",
    "tests.broken": "Make these tests pass again without changing, skipping or deleting them.",
    "tests.red": "Make the test command pass.",
    "tests.timeout": "Find what makes the tests run without end.",
    "tests.no_report": "Let the test runner come to its own end; nothing may exit before it.",
    "tests.only_by_changed_tests": (
        "Change the code so that the tests pass as they were before; do not change what existing"
        " tests expect."
    ),
    "tests.missing": "Bring back the tests that are gone; this task gives no reason to remove any.",
    "tests.skipped": "Let the tests run again that are skipped now.",
    "tests.prove_nothing": (
        "Write at least one test that fails without your change and passes with it."
    ),
    "lint.new": "Mend the new complaints of the linter.",
    "type.new": "Mend the new complaints of the type checker.",
    "agent.timeout": "Work in smaller steps; the last attempt ran out of time.",
}


def feedback_of(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings that count, what failed, the ends of the outputs, and what to do about it.

    The shape is `{findings: [{code, severity, text}], failing: [test ids], tails: [{name, tail}],
    instructions}`; `knowledge.brief` turns it into words.
    """
    weighty = [finding for finding in findings if finding.severity in _WEIGHTY]
    vetoes = [finding for finding in weighty if finding.severity is Severity.VETO]
    return {
        "findings": [
            {"code": f.code, "severity": str(f.severity), "text": f.text} for f in weighty
        ],
        "failing": failing_tests(vetoes),
        "tails": _tails(vetoes),
        "instructions": " ".join(
            dict.fromkeys(_INSTRUCTIONS[f.code] for f in vetoes if f.code in _INSTRUCTIONS)
        ),
    }


def refusal_of(findings: Iterable[Finding]) -> str:
    """What a verdict refuses, as one text to compare with that of another; empty for nothing."""
    vetoes = [finding for finding in findings if finding.severity is Severity.VETO]
    said = sorted(dict.fromkeys(f"{finding.code}: {finding.text}" for finding in vetoes))
    return "; ".join((*said, *failing_tests(vetoes)))


def taken_back(attempt: int, refusal: str, findings: Iterable[Finding]) -> dict[str, Any]:
    """What the next attempt is told where the files are again as an earlier one left them."""
    why = "; ".join(f.text for f in findings if f.severity is Severity.VETO)
    said = (
        f"The last attempt made it worse ({plain_line(why, 500)}), so that its changes were taken"
        f" back: the files are as attempt {attempt} left them, which was refused too: {refusal}"
    )
    note = {"code": "attempt.taken_back", "severity": str(Severity.VETO), "text": said}
    return {"findings": [note], "failing": [], "tails": [], "instructions": "Go another way."}


def failing_tests(vetoes: Iterable[Finding]) -> list[str]:
    """The tests that refusals name, each once."""
    tests = [
        str(test)
        for finding in vetoes
        for test in finding.evidence.get("broken") or finding.evidence.get("failing") or ()
    ]
    return list(dict.fromkeys(tests))[:MOST_FAILING]


def _tails(vetoes: Iterable[Finding]) -> list[dict[str, str]]:
    """The end of the output that explains each veto, once per run."""
    tails: dict[str, str] = {}
    for finding in vetoes:
        about = finding.evidence.get("about")
        for run in finding.evidence.get("runs", ()):
            if run.get("name") == about and run.get("tail"):
                tails.setdefault(str(about), str(run["tail"]))
    return [{"name": name, "tail": tail} for name, tail in tails.items()]
