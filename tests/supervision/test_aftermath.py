"""What later commits and tasks show of merged work; unclear words show nothing."""

from __future__ import annotations

import pytest

from muster.domain.aftermath import Shown
from muster.supervision.aftermath import (
    DAY_MS,
    STAYED_DAYS,
    STAYED_MERGES,
    MergedWork,
    blamed_by,
    sign_of,
)

SHA = "a" * 40
REVERT = "b" * 40


def work(age: float = 1, later: int = 0, *, undone: bool = False) -> MergedWork:
    return MergedWork("MU-12", (SHA, "c" * 40), int(age * DAY_MS), later, undone)


def shown(message: str, *texts: str) -> Shown | None:
    sign = sign_of(work(), blamed_by([(REVERT, message)], texts))
    return sign.shown if sign else None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (f'Revert "Merge MU-12"\n\nThis reverts commit {SHA}.', Shown.REVERTED),
        (f"This reverts commit {SHA}, reversing\nchanges made to {REVERT}.", Shown.REVERTED),
        (f"Mend it\n\nFixes: {SHA[:10]} (the first try)", Shown.FIXED),
        ("A crash that was introduced by MU-12", Shown.FIXED),
        ("Fix the bug of mu-12 in the parser", Shown.FIXED),
        ("A regression since MU-12", Shown.FIXED),
        ("Revert to what MU-12 did", None),
        ("fixes MU-12", None),
        ("broken by MU-123", None),
        (f"See {SHA}", None),
        (f"Fixes: {SHA[:6]}", None),
        ("This reverts commit of yesterday", None),
    ],
)
def test_only_clear_words_blame(message: str, kind: Shown | None):
    assert shown(message) is kind


def test_the_words_of_a_later_task_count_as_those_of_a_commit():
    assert shown("Merge MU-20", "Totals are wrong\nThey were broken by MU-12.") is Shown.FIXED


def test_a_revert_that_was_reverted_blames_nothing():
    first = (REVERT, f"This reverts commit {SHA}.")
    second = ("d" * 40, f"This reverts commit {REVERT}.")

    assert sign_of(work(), blamed_by([second, first])) is None
    again = ("e" * 40, f"This reverts commit {second[0]}.")
    sign = sign_of(work(), blamed_by([again, second, first]))
    assert sign is not None
    assert sign.shown is Shown.REVERTED


def test_work_that_was_left_alone_long_enough_was_right():
    none = blamed_by([])

    assert sign_of(work(STAYED_DAYS - 0.1, STAYED_MERGES - 1), none) is None
    for old in (work(STAYED_DAYS), work(later=STAYED_MERGES)):
        sign = sign_of(old, none)
        assert sign is not None
        assert (sign.right, sign.shown) == (True, Shown.STAYED)


def test_work_whose_files_are_as_before_was_reverted_however_long_it_stayed():
    sign = sign_of(work(STAYED_DAYS * 2, undone=True), blamed_by([]))

    assert sign is not None
    assert (sign.right, sign.shown) == (False, Shown.REVERTED)
