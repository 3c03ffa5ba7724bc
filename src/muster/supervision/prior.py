"""The shipped weights of confidence: read from one file, checked, made anew by a benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.supervision.features import FEATURES, row_of, signs
from muster.supervision.fitting import Pull, fit

FILE = "prior.json"


@dataclass(frozen=True, slots=True)
class Prior:
    """Weights with where they are from.

    `origins` says of single weights what they stand on, where it is more than `source`.
    """

    version: str
    date: str
    source: str
    bias: float
    weights: Mapping[str, float]
    origins: Mapping[str, str]

    def logit(self, features: Mapping[str, float]) -> float:
        """The sum that stands for these numbers."""
        return self.bias + math.fsum(
            weight * features.get(name, 0.0) for name, weight in self.weights.items()
        )


@cache
def the_prior() -> Prior:
    """The weights that this version of muster ships."""
    return parse_prior(Path(__file__).with_name(FILE).read_text("utf-8"))


def parse_prior(text: str) -> Prior:
    """The weights in a file.

    Raises:
        Invalid: a number is missing, is unknown, is none, or speaks for the wrong side.
    """
    try:
        document = json.loads(text)
        table: Mapping[str, Any] = document["features"]
        found = Prior(
            version=str(document["version"]),
            date=str(document["date"]),
            source=str(document["source"]),
            bias=float(document["bias"]),
            weights={name: float(entry["weight"]) for name, entry in table.items()},
            origins={name: str(e["from"]) for name, e in table.items() if e.get("from")},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(
            f"the weights of confidence cannot be read: {error!r}",
            hint=f"write {FILE} anew by python -m benchmarks.proof --write-prior",
        ) from error
    _refuse_wrong(found)
    return found


def _refuse_wrong(prior: Prior) -> None:
    odd = sorted(set(prior.weights) ^ set(FEATURES))
    if odd:
        raise Invalid(
            f"the weights of confidence do not fit its features: {', '.join(odd)}",
            hint="each feature needs one weight, and there are no others",
        )
    numbers = (prior.bias, *prior.weights.values())
    wrong = sorted(n for n, w in prior.weights.items() if FEATURES[n].sign * w < 0)
    if wrong or not all(map(math.isfinite, numbers)):
        raise Invalid(
            f"weights of confidence are on the wrong side: {', '.join(wrong) or 'no numbers'}",
            hint="what speaks for the work has no weight below zero, and the other way round",
        )


def prior_text(prior: Prior) -> str:
    """The file that `parse_prior` reads."""
    table = {
        name: {
            "weight": round(prior.weights[name], 4),
            **({"from": prior.origins[name]} if name in prior.origins else {}),
        }
        for name in FEATURES
    }
    document = {
        "version": prior.version,
        "date": prior.date,
        "source": prior.source,
        "bias": round(prior.bias, 4),
        "features": table,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def prior_from(
    rows: Sequence[Mapping[str, float]],
    labels: Sequence[bool],
    *,
    version: str,
    date: str,
    source: str,
    ridge: float = 1.0,
    toward: Prior | None = None,
) -> Prior:
    """Weights fitted to numbers (`features_of`) with what became true of each.

    They are drawn `toward` other weights; one whose number is the same in all rows stays there.
    """
    found = fit([row_of(row) for row in rows], labels, pull_of(ridge, toward))
    weights = dict(zip(FEATURES, found.weights, strict=True))
    told = {name for name in FEATURES if len({row.get(name, 0.0) for row in rows}) > 1}
    known = toward.origins if toward else {}
    origins = {name: why for name, why in known.items() if name not in told}
    return Prior(version, date, source, found.bias, weights, origins)


def pull_of(ridge: float = 1.0, toward: Prior | None = None) -> Pull:
    """How weights of features are fitted: drawn to others or to zero, each on its side."""
    return Pull(ridge=ridge, toward=row_of(toward.weights) if toward else (), signs=signs())
