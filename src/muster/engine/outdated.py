"""That the program of a failed run is older than what muster was tested with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.agents.base import Driver
from muster.agents.presets import found_of
from muster.domain.agent import Outcome
from muster.runtimes.base import Runtime

_MAY_BE_ITS_AGE = frozenset({Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT})


def outdated(
    runtime: Runtime,
    driver: Driver,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    outcome: Outcome,
) -> str:
    """In words for a person, with what to do; empty when it is new enough, or cannot be told.

    An old program that works is let be. What a container or another machine has is not looked at.
    """
    elsewhere = runtime.distance.mounted or runtime.distance.carried
    if outcome not in _MAY_BE_ITS_AGE or elsewhere:
        return ""
    found = found_of(driver, options, environ)
    old = found.too_old()
    return f"{found.path} {old}; update it: {found.install}" if old else ""
