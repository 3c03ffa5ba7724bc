"""How single tests ended, as a stranger's runner says: bounded, and of two the worse counts."""

from __future__ import annotations

import hashlib

from muster.domain.errors import Invalid
from muster.domain.plain import plain
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED

MAX_TESTS = 200_000
MAX_ID = 500
_WORST = (PASSED, SKIPPED, FAILED, ERROR)
"""Of two entries with the same id the worse one counts."""


class Statuses:
    """The status of each test by its id (`place::name`)."""

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}

    def add(self, test: str, status: str) -> None:
        """One more entry.

        Raises:
            Invalid: there are too many.
        """
        if len(self.tests) >= MAX_TESTS:
            raise unusable(f"it lists more than {MAX_TESTS} tests")
        self.tests[test] = worse(self.tests.get(test, PASSED), status)


def unusable(why: str) -> Invalid:
    """That a report cannot be used."""
    return Invalid(
        f"the test report is not usable: {why}",
        hint="write plain JUnit XML to the path in MUSTER_JUNIT",
    )


def worse(one: str, other: str) -> str:
    """The worse of two statuses."""
    return max(one, other, key=_WORST.index)


def id_of(place: str, name: str) -> str:
    """The id of a test: one line, not too long, the same each time."""
    whole = plain(f"{place}::{name}").replace("\n", " ").strip()
    if len(whole) <= MAX_ID:
        return whole
    digest = hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()
    return f"{whole[:MAX_ID]}…{digest}"
