"""A stage of evidence: the documents can still be built."""

from __future__ import annotations

from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import RESULT
from muster.supervision.stage import Case, Run, Steps, Told


class Docs:
    """Builds the documents when the change touches them."""

    settles = False

    def steps(self, case: Case) -> Steps:
        """One run in the result."""
        if not any(change.path.startswith("docs/") for change in case.changed):
            return Told()
        (run,) = yield [Run("build", "make -C docs html", RESULT)]
        if run.why != "exit":
            return Told((Finding("docs.unknown", Severity.NOTE, f"No answer: {run.why}."),))
        if run.exit_code == 0:
            return Told((Finding("docs.built", Severity.OK, "The documents can be built."),))
        found = Finding(
            "docs.broken",
            Severity.VETO,
            "The documents cannot be built any more.",
            {"runs": [run.as_json()], "about": run.name},
        )
        return Told((found,))
