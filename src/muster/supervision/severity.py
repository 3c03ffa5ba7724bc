"""The order of findings: what decides comes first."""

from __future__ import annotations

from collections.abc import Iterable

from muster.domain.verdict import Finding, Severity

_ORDER = (Severity.VETO, Severity.ABSTAIN, Severity.ASK, Severity.OK, Severity.NOTE)


def strongest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings from veto to note; equals keep their order."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))
