"""Conditions about work that was judged: its files, its findings, and the decision about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from muster.domain.agent import Outcome as Ended
from muster.domain.globs import matches
from muster.domain.verdict import Severity, Step
from muster.supervision.condition import Facts, Given, Held

_MOST_SHOWN = 20
_AGAIN = frozenset({str(Step.OTHER_AGENT), str(Step.ROLL_BACK)})


@dataclass(frozen=True, slots=True)
class _Files:
    patterns: tuple[str, ...]
    more_than: int | None


class Files:
    """The work changes files that the patterns mean, or more than so many of them."""

    example = 'files: ["migrations/", "*.sql"]'

    def read(self, given: Given) -> _Files:
        """The patterns, as in `test_paths`."""
        if not isinstance(given.value, dict):
            return _Files(self._patterns(given), None)
        parts = given.table(("match", "more_than"))
        if not parts:
            given.wrong("'files' asks nothing", "write a list of patterns, or {more_than: 20}")
        patterns = self._patterns(parts["match"]) if "match" in parts else ("**/*",)
        return _Files(
            patterns, parts["more_than"].count(0, 1_000_000) if "more_than" in parts else None
        )

    def look(self, asked: _Files, facts: Facts) -> Held | bool | None:
        """Whether it does."""
        if facts.files is None:
            return None
        found = [path for path in facts.files if matches(asked.patterns, path)]
        if not found or len(found) <= (asked.more_than or 0):
            return False
        saw = {"files": found[:_MOST_SHOWN], "count": len(found)}
        return Held(saw, f"{facts.attempt}\n" + "\n".join(found))

    def _patterns(self, given: Given) -> tuple[str, ...]:
        found = []
        for item in given.entries():
            text = item.text()
            if text.startswith("../") or "/../" in text:
                item.wrong(f"'{text[:60]}' leaves the repository", "patterns begin at its top")
            found.append(text)
        return tuple(found)


class Lines:
    """The work adds and removes more than so many lines."""

    example = "lines: {above: 800}"

    def read(self, given: Given) -> int:
        """How many are fine."""
        parts = given.table(("above",), needs="above")
        return parts["above"].count(0, 100_000_000) if parts else 0

    def look(self, asked: int, facts: Facts) -> Held | bool | None:
        """Whether it does."""
        if facts.lines is None:
            return None
        return Held({"lines": facts.lines}, str(facts.attempt)) if facts.lines > asked else False


class FindingOf:
    """The verdict has a finding with one of these codes; `*` stands for anything."""

    example = 'finding: ["tests.missing", "change.*"]'

    def read(self, given: Given) -> tuple[str, ...]:
        """The codes."""
        return given.texts()

    def look(self, asked: tuple[str, ...], facts: Facts) -> Held | bool | None:
        """Whether it has."""
        if facts.findings is None:
            return None
        found = [f for f in facts.findings if any(fnmatchcase(f.code, code) for code in asked)]
        if not found:
            return False
        saw = {"findings": [f"{f.code}: {f.text}"[:300] for f in found[:_MOST_SHOWN]]}
        return Held(saw, str(facts.attempt))


class OutcomeOf:
    """The agent's run ended in one of these ways."""

    example = "outcome: [crashed, timeout]"

    def read(self, given: Given) -> tuple[str, ...]:
        """The ways."""
        return given.choices(tuple(map(str, Ended)))

    def look(self, asked: tuple[str, ...], facts: Facts) -> Held | bool | None:
        """Whether it did."""
        if facts.outcome is None:
            return None
        return (
            Held({"outcome": facts.outcome}, str(facts.attempt))
            if facts.outcome in asked
            else False
        )


class DecisionOf:
    """The decision about the work is one of these; every other try is a `retry`, too."""

    example = "decision: [accept, retry]"

    def read(self, given: Given) -> tuple[str, ...]:
        """The decisions."""
        return given.choices(tuple(map(str, Step)))

    def look(self, asked: tuple[str, ...], facts: Facts) -> Held | bool | None:
        """Whether it is."""
        if facts.step is None:
            return None
        again = facts.step in _AGAIN and str(Step.RETRY) in asked
        holds = again or facts.step in asked
        return Held({"decision": facts.step}, str(facts.attempt)) if holds else False


class Confidence:
    """The verdict is less sure than this that the work is right; not where it does not say."""

    example = "confidence: {below: 0.7}"

    def read(self, given: Given) -> float:
        """The confidence that is enough."""
        parts = given.table(("below",), needs="below")
        return parts["below"].number(0, 1) if parts else 0.0

    def look(self, asked: float, facts: Facts) -> Held | bool | None:
        """Whether it is."""
        if facts.confidence is None:
            return None
        found = facts.confidence < asked
        return (
            Held({"confidence": round(facts.confidence, 3)}, str(facts.attempt)) if found else False
        )


class SameFailure:
    """The last so many attempts were all refused for the same causes."""

    example = "same_failure: {times: 3}"

    def read(self, given: Given) -> int:
        """How many in a row."""
        parts = given.table(("times",), needs="times")
        return parts["times"].count(2, 20) if parts else 2

    def look(self, asked: int, facts: Facts) -> Held | bool | None:
        """Whether they were."""
        if facts.refusals is None:
            return None
        last = facts.refusals[-asked:]
        if len(last) < asked or not last[0] or len(set(last)) != 1:
            return False
        return Held({"refused_for": last[0][:300], "times": asked}, str(facts.attempt))


class Oscillation:
    """The work of the last attempts went to and fro between two states, so many times."""

    example = "oscillation: {times: 2}"

    def read(self, given: Given) -> int:
        """How often each state was reached."""
        parts = given.table(("times",), needs="times")
        return parts["times"].count(2, 10) if parts else 2

    def look(self, asked: int, facts: Facts) -> Held | bool | None:
        """Whether it did; states are what the files are, or what the verdicts refuse."""
        if facts.trees is None and facts.refusals is None:
            return None
        for name, states in (("files", facts.trees or ()), ("refusals", facts.refusals or ())):
            last = states[-2 * asked :]
            ones, others = set(last[::2]), set(last[1::2])
            if len(last) == 2 * asked and len(ones) == len(others) == 1 and ones != others:
                return Held({"between": name, "times": asked}, str(facts.attempt))
        return False


_CLAIM = re.compile(
    r"\b(?:all|every|the|full|whole|entire)\b[^.\n]{0,40}\btests?\b[^.\n]{0,30}"
    r"\b(?:pass(?:es|ed|ing)?|green|succeed(?:s|ed)?)\b"
    r"|\btests?\b (?:are |is |now |all )*(?:pass(?:es|ed|ing)?|green)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|no longer|never|fail(?:s|ed|ing)?|except|but|cannot|unable)\b|n't\b",
    re.IGNORECASE,
)


class Contradiction:
    """The agent says that the tests pass, or that it has made the change, and the evidence not."""

    example = "contradiction: true"

    def read(self, given: Given) -> bool:
        """True; there is nothing to choose."""
        if not given.flag() and isinstance(given.value, bool):
            given.wrong("'contradiction' can only be true", "leave it out, or put it below not:")
        return True

    def look(self, asked: bool, facts: Facts) -> Held | bool | None:  # noqa: ARG002 - the seam's
        """Whether the two contradict each other."""
        if facts.claims is None or facts.findings is None:
            return None
        claim = _claimed(facts.claims)
        against = [
            f
            for f in facts.findings
            if f.severity is Severity.VETO and f.code.startswith(("tests.", "change.none"))
        ]
        if not claim or not against:
            return False
        saw = {
            "agent_says": claim[:200],
            "evidence_says": f"{against[0].code}: {against[0].text}"[:300],
        }
        return Held(saw, str(facts.attempt))


def _claimed(words: str) -> str:
    """The sentence by which the agent claims green tests, if it says nothing against it there."""
    for sentence in re.split(r"(?<=[.!?])\s|\n", words[-20_000:]):
        if _CLAIM.search(sentence) and not _NOT.search(sentence):
            return sentence.strip()
    return ""
