"""What rules of breakpoints were asked about at a decision, small enough to be kept with it. Pure.

What the case and its verdict know already is not kept twice. A fact that is too large, or that
seems to hold a secret, is not kept and is named in `cut`: whoever asks again cannot tell then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from muster.supervision.condition import Facts

MOST_CLAIMS = 2_000
"""Characters of the agent's own words."""
MOST_FILES = 4_000
"""Characters of the changed paths together."""
MOST_TREES = 20

Shows = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The facts of a decision beside its case.

    `rev` is the newest event of then, so that what had happened to the task can be counted again.
    """

    type: str
    attempt: int
    rev: int
    cost_usd: float | None = None
    budget_usd: float | None = None
    seconds: float | None = None
    claims: str | None = None
    files: tuple[str, ...] | None = None
    lines: int | None = None
    trees: tuple[str, ...] | None = None
    cut: tuple[str, ...] = ()


def asked_of(facts: Facts, rev: int, shows_secret: Shows, unknown: Collection[str] = ()) -> Asked:
    """The facts to keep; `unknown` names those that no rule asked for, so that nobody looked."""
    files = json.dumps(facts.files or (), ensure_ascii=False)
    claims = facts.claims or ""
    cut = {
        "claims": len(claims) > MOST_CLAIMS or shows_secret(claims),
        "files": len(files) > MOST_FILES or shows_secret(files),
        "trees": len(facts.trees or ()) > MOST_TREES,
        **dict.fromkeys(unknown, True),
    }
    return Asked(
        type=facts.type,
        attempt=facts.attempt,
        rev=rev,
        cost_usd=facts.cost_usd,
        budget_usd=facts.budget_usd,
        seconds=facts.seconds,
        claims=None if cut["claims"] else facts.claims,
        files=None if cut["files"] else facts.files,
        lines=facts.lines,
        trees=None if cut["trees"] else facts.trees,
        cut=tuple(sorted(name for name, is_cut in cut.items() if is_cut)),
    )


def asked_json(asked: Asked) -> dict[str, Any]:
    """What is kept; what was not known is left out."""
    known = {name: value for name, value in asdict(asked).items() if value is not None}
    return {name: value for name, value in known.items() if name != "cut" or value}


def asked_again(kept: Mapping[str, Any]) -> Asked:
    """What was kept, as it was."""
    lists = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
    return Asked(**{**kept, **lists})
