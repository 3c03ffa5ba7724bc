"""Weights and figures are those of textbooks, and a pull holds weights on their side."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.supervision.fitting import Platt, Pull, fit, leave_one_group_out, platt, sigmoid
from muster.supervision.reliability import (
    auc,
    brier,
    ece,
    reliability_bins,
    reliability_of,
    risk_coverage,
    suggested_threshold,
    upper_bound,
)

FREE = Pull(ridge=1e-9)
# The textbook example of hours of study and passed exams: -4.0777 and 1.5046.
HOURS = (0.5, 0.75, 1, 1.25, 1.5, 1.75, 1.75, 2, 2.25, 2.5)
HOURS += (2.75, 3, 3.25, 3.5, 4, 4.25, 4.5, 4.75, 5, 5.5)
PASSED = tuple(map(bool, (0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1)))
ROWS = [(hours,) for hours in HOURS]
labelled = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), min_size=4, max_size=40
)


def test_a_fit_finds_the_weights_that_textbooks_give():
    found = fit(ROWS, PASSED, FREE)

    assert found.bias == pytest.approx(-4.0777, abs=1e-4)
    assert found.weights[0] == pytest.approx(1.5046, abs=1e-4)
    assert found.probability((2.0,)) == pytest.approx(0.2557, abs=1e-3)


def test_ridge_keeps_weights_finite_where_the_rows_are_separable():
    found = fit([(0.0,), (1.0,)] * 5, [False, True] * 5)

    assert 0 < found.weights[0] < 10
    assert fit([(0.0,)] * 3, [True] * 3, Pull(bias_ridge=1.0)).bias < 10


def test_a_fit_is_drawn_to_where_it_is_told_when_rows_say_nothing():
    found = fit([(0.0, 0.0)], [True], Pull(ridge=2.0, toward=(3.0, -1.0), bias_ridge=1e6))

    assert found.weights == pytest.approx((3.0, -1.0))


@given(labelled)
def test_a_weight_never_leaves_its_side(rows: list[tuple[float, float, bool]]):
    pull = Pull(ridge=0.1, bias_ridge=0.1, signs=(1, -1))
    found = fit([row[:2] for row in rows], [row[2] for row in rows], pull)

    assert found.weights[0] >= 0 >= found.weights[1]


@given(labelled)
def test_at_the_weights_found_no_small_step_makes_the_labels_likelier(
    rows: list[tuple[float, float, bool]],
):
    xs, labels = [row[:2] for row in rows], [row[2] for row in rows]
    found = fit(xs, labels, Pull(ridge=1.0, bias_ridge=1.0))
    off = [found.probability(x) - label for x, label in zip(xs, labels, strict=True)]

    assert math.fsum(off) + found.bias == pytest.approx(0, abs=1e-4)
    for i, weight in enumerate(found.weights):
        slope = math.fsum(o * x[i] for o, x in zip(off, xs, strict=True)) + weight
        assert slope == pytest.approx(0, abs=1e-4)


def test_rows_that_do_not_fit_together_are_refused():
    for rows, labels, pull in (
        ([], [], FREE),
        ([(1.0,)], [], FREE),
        ([(1.0,), (1.0, 2.0)], [True, False], FREE),
        ([(1.0,)], [True], Pull(toward=(1.0, 2.0))),
    ):
        with pytest.raises(ValueError, match=r"fitted|width"):
            fit(rows, labels, pull)
    with pytest.raises(ValueError, match="two groups"):
        leave_one_group_out(ROWS, PASSED, ["a"] * len(ROWS))


def test_no_row_is_judged_by_a_fit_that_has_seen_its_group():
    rows = [(0.0,), (1.0,), (0.0,), (1.0,)]
    truth = [False, True, True, False]  # the second group says the opposite of the first
    found = leave_one_group_out(rows, truth, ["a", "a", "b", "b"])

    assert found[1] < found[0]
    assert found[3] > found[2]


def test_few_outcomes_hardly_bend_a_model_and_many_bend_it_where_they_lie():
    logits = [2.0, 2.0, -1.0]
    few = platt(logits, [True, False, False])
    many = platt([2.0] * 200 + [-2.0] * 200, ([True] * 150 + [False] * 50) + [False] * 200)

    assert few.slope == pytest.approx(1, abs=0.3)
    assert abs(few.shift) < 0.7
    assert many.probability(2.0) == pytest.approx(0.75, abs=0.05)


def test_a_bend_never_turns_evidence_around():
    found = platt([3.0] * 50 + [-3.0] * 50, [False] * 50 + [True] * 50)

    assert found.slope == 0
    assert found.probability(3.0) == found.probability(-3.0) == pytest.approx(0.5)
    assert Platt().probability(1.3) == sigmoid(1.3)


def test_a_logit_beyond_all_numbers_is_still_a_probability():
    assert sigmoid(1e9) == 1
    assert 0 <= sigmoid(-1e9) < 1e-100


# --- figures --------------------------------------------------------------------------------------


def test_the_figures_are_those_of_textbooks():
    assert auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == 0.75
    assert auc([0.5] * 4, [False, False, True, True]) == 0.5
    assert auc([0.5], [True]) is None
    assert brier([0.1, 0.9, 0.8, 0.3], [False, True, True, False]) == pytest.approx(0.0375)
    assert ece([0.75] * 4, [True, True, True, False]) == 0
    assert ece([0.95] * 2 + [0.05] * 2, [True, False, False, False]) == pytest.approx(
        0.5 * 0.45 + 0.5 * 0.05
    )


def test_bins_tell_what_was_said_and_what_came_true():
    bins = reliability_bins([0.0, 0.05, 0.95, 1.0], [False, True, True, True])

    assert [b.count for b in bins] == [2, *[0] * 8, 2]
    assert (bins[0].said, bins[0].right) == (pytest.approx(0.025), 0.5)
    assert (bins[1].said, bins[1].right) == (None, None)
    assert (bins[9].said, bins[9].right) == (pytest.approx(0.975), 1.0)


def test_the_bound_is_clopper_and_pearsons():
    assert upper_bound(0, 58) > 0.05 > upper_bound(0, 59)
    assert upper_bound(1, 10) == pytest.approx(0.3942, abs=1e-4)
    assert upper_bound(3, 3) == upper_bound(0, 0) == 1


def test_a_threshold_is_suggested_only_where_enough_shows_it():
    good = [(0.9, True)] * 59
    poor = [(0.6, False)] * 5

    assert suggested_threshold([0.9] * 58, [True] * 58) is None
    found = suggested_threshold(*zip(*good, *[poor[0]] * 5, strict=True))
    assert found is not None
    assert (found.at, found.accepted, found.wrong) == (0.9, 59, 0)


def test_thresholds_go_from_strict_to_loose_and_count_equals_together():
    steps = risk_coverage([0.9, 0.9, 0.5], [True, False, True])

    assert [(t.at, t.accepted, t.wrong) for t in steps] == [(0.9, 2, 1), (0.5, 3, 1)]


def test_reliability_counts_abstentions_and_says_nothing_of_nothing():
    none = reliability_of([])
    some = reliability_of([(0.8, True), (0.2, False), (None, True)])

    assert (none.outcomes, none.brier, none.ece, none.auc, none.threshold) == (0, *[None] * 4)
    assert (some.outcomes, some.right, some.wrong, some.abstained) == (3, 2, 1, 1)
    assert some.brier == pytest.approx(0.04)
    assert some.base_brier == 0.25
    assert some.auc == 1
