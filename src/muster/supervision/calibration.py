"""What a project's own outcomes make of the shipped weights. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from muster.domain.confidence import Calibration, Confidence
from muster.supervision.fitting import platt
from muster.supervision.prior import Prior, the_prior

LEAST_OUTCOMES, LEAST_OF_EACH = 20, 5
"""So many outcomes, and so many of right and of wrong work, before they count."""


def calibration_of(outcomes: Iterable[tuple[float, bool]]) -> Calibration | None:
    """The bend of a project's outcomes, as (logit of the weights, whether it was right).

    None while there are too few of them: the weights alone speak then.
    """
    return _bend(tuple(outcomes))


def calibration_now(
    known: Iterable[tuple[Confidence, bool]], prior: Prior | None = None
) -> Calibration | None:
    """The bend of what was said of earlier work, under the weights as they are now."""
    weights = prior or the_prior()
    return calibration_of(
        (
            sure.logit if sure.prior == weights.version else weights.logit(sure.features),
            right,
        )
        for sure, right in known
    )


@lru_cache(maxsize=64)
def _bend(outcomes: tuple[tuple[float, bool], ...]) -> Calibration | None:
    wrong = sum(not right for _, right in outcomes)
    if len(outcomes) < LEAST_OUTCOMES or min(wrong, len(outcomes) - wrong) < LEAST_OF_EACH:
        return None
    bend = platt([logit for logit, _ in outcomes], [right for _, right in outcomes])
    return Calibration(round(bend.slope, 6), round(bend.shift, 6), len(outcomes), wrong)
