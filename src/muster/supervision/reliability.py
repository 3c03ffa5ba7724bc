"""Was it as sure as it ought to have been? Figures of probabilities against what became true. Pure.

A probability is how likely work was called right; a label is whether it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TARGET = 0.05
"""The share of wrong work among what is accepted that is bearable unless somebody says else."""

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Bin:
    """Probabilities from `low` to below `high` (the last one to 1): how many, and how right."""

    low: float
    high: float
    count: int
    said: float | None
    right: float | None


@dataclass(frozen=True, slots=True)
class Threshold:
    """What accepting everything from probability `at` on would have meant.

    `bound` is what the wrong share is not above, with 95 % certainty.
    """

    at: float
    accepted: int
    wrong: int
    bound: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far a set of stated probabilities can be believed; None where too little is known.

    `abstained` were not given a probability. `base_brier` is the Brier score of always stating the
    share that was right: a model is worth something below it. `threshold` is the lowest that keeps
    the bound of wrong accepts within the target.
    """

    outcomes: int
    right: int
    wrong: int
    abstained: int
    brier: float | None
    base_brier: float | None
    ece: float | None
    auc: float | None
    bins: tuple[Bin, ...]
    target: float
    threshold: Threshold | None


def reliability_of(
    outcomes: Iterable[tuple[float | None, bool]], target: float = TARGET, bins: int = 10
) -> Reliability:
    """The figures of pairs of stated probability (None: it abstained) and whether it was right."""
    every = list(outcomes)
    stated = [(p, right) for p, right in every if p is not None]
    probabilities, labels = [p for p, _ in stated], [right for _, right in stated]
    right = sum(bool(label) for _, label in every)
    share = sum(map(bool, labels)) / len(labels) if labels else 0.0
    return Reliability(
        outcomes=len(every),
        right=right,
        wrong=len(every) - right,
        abstained=len(every) - len(stated),
        brier=brier(probabilities, labels) if stated else None,
        base_brier=share * (1 - share) if stated else None,
        ece=ece(probabilities, labels, bins) if stated else None,
        auc=auc(probabilities, labels),
        bins=reliability_bins(probabilities, labels, bins),
        target=target,
        threshold=suggested_threshold(probabilities, labels, target),
    )


def brier(probabilities: Sequence[float], labels: Sequence[bool]) -> float:
    """The mean of the squared differences: 0 is perfect, 0.25 is a coin."""
    pairs = zip(probabilities, labels, strict=True)
    return math.fsum((p - bool(label)) ** 2 for p, label in pairs) / len(labels)


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """How often right work scores above wrong work, equals by half; None without both kinds."""
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for i in order[start:end]:
            ranks[i] = (start + 1 + end) / 2
        start = end
    good = sum(map(bool, labels))
    bad = len(labels) - good
    if not good or not bad:
        return None
    above = math.fsum(rank for rank, label in zip(ranks, labels, strict=True) if label)
    return (above - good * (good + 1) / 2) / (good * bad)


def reliability_bins(
    probabilities: Sequence[float], labels: Sequence[bool], bins: int = 10
) -> tuple[Bin, ...]:
    """Bins of equal width, for a reliability diagram."""
    inside: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for p, label in zip(probabilities, labels, strict=True):
        inside[min(int(p * bins), bins - 1)].append((p, bool(label)))
    return tuple(
        Bin(
            i / bins,
            (i + 1) / bins,
            len(pairs),
            math.fsum(p for p, _ in pairs) / len(pairs) if pairs else None,
            sum(label for _, label in pairs) / len(pairs) if pairs else None,
        )
        for i, pairs in enumerate(inside)
    )


def ece(probabilities: Sequence[float], labels: Sequence[bool], bins: int = 10) -> float:
    """The expected calibration error: how far bins are from what came true, by their size."""
    found = reliability_bins(probabilities, labels, bins)
    total = len(labels)
    return math.fsum(
        b.count / total * abs(b.said - b.right)
        for b in found
        if b.said is not None and b.right is not None
    )


def risk_coverage(probabilities: Sequence[float], labels: Sequence[bool]) -> list[Threshold]:
    """What each possible threshold would have accepted, the highest first."""
    order = sorted(zip(probabilities, labels, strict=True), key=lambda pair: -pair[0])
    found: list[Threshold] = []
    wrong = 0
    for accepted, (p, label) in enumerate(order, 1):
        wrong += not label
        last = accepted == len(order) or order[accepted][0] != p
        if last:
            found.append(Threshold(p, accepted, wrong, upper_bound(wrong, accepted)))
    return found


def suggested_threshold(
    probabilities: Sequence[float], labels: Sequence[bool], target: float = TARGET
) -> Threshold | None:
    """The lowest threshold whose wrong accepts are, at 95 %, within the target; None: not shown."""
    fit = [t for t in risk_coverage(probabilities, labels) if t.bound <= target]
    return fit[-1] if fit else None


def upper_bound(wrong: int, total: int, level: float = _LEVEL) -> float:
    """What a share of which `wrong` of `total` were seen is not above (Clopper and Pearson)."""
    if total <= 0 or wrong >= total:
        return 1.0
    low, high = wrong / total, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(wrong, total, middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, total: int, share: float) -> float:
    """How likely at most `wrong` of `total` are, where each is with probability `share`."""
    if share >= 1:
        return 0.0
    whole = math.lgamma(total + 1)
    parts = (
        whole
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + (k * math.log(share) if k else 0.0)
        + (total - k) * math.log1p(-share)
        for k in range(wrong + 1)
    )
    return min(1.0, math.fsum(map(math.exp, parts)))
