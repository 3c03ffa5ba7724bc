"""What an agent of each role hands in at its end, as values; how it is read is `report_form.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from typing import Any

from muster.domain.agent import Role
from muster.domain.errors import Invalid
from muster.supervision.report_examples import EXAMPLES

REPORTING = frozenset(EXAMPLES)
"""The roles whose agents hand in a report."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent said in the shape of its role: a stranger's words within bounds."""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON, which gives the same report again."""
        told: dict[str, Any] = _json(self)
        return told


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan; `files` are paths that it touches."""

    title: str
    details: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Touched:
    """A repository that the work touches, and what is done there."""

    repo: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class StarterReport(Report):
    """How a task is to be done (`decision` plan), or that it asks for an audit.

    No `repos` means the task's own repository alone.
    """

    decision: str
    analysis: str
    plan: tuple[Step, ...] = ()
    repos: tuple[Touched, ...] = ()
    risks: tuple[str, ...] = ()
    audit_about: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """What a reviewer says to a line of the new file, or with None to all of it.

    `severity` is `must`, `should` or `nit`.
    """

    path: str
    line: int | None
    text: str
    severity: str


@dataclass(frozen=True, slots=True)
class ReviewReport(Report):
    """Whether a change may be merged (`verdict` approve or request_changes), and what to say."""

    verdict: str
    summary: str = ""
    comments: tuple[Comment, ...] = ()


@dataclass(frozen=True, slots=True)
class DeployReport(Report):
    """What was deployed where, or by `notes` why nothing was; `commit` is in hex."""

    deployed: bool
    commit: str = ""
    version: str = ""
    environment: str = ""
    url: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a verifier looked at, and what it saw."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport(Report):
    """Whether a deployment is as it should be: `passed` is whether all of the checks have."""

    passed: bool
    checks: tuple[Check, ...]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """Trouble that an auditor found: a task of a `TaskType` to be proposed.

    `severity` is `low`, `medium` or `high`.
    """

    title: str
    description: str
    type: str
    severity: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport(Report):
    """What an auditor found; no issue is a finding, too."""

    summary: str
    issues: tuple[Issue, ...]


def report_of(role: Role, data: object) -> Report:
    """The report in what an agent of this role handed in.

    The first one loads pydantic, which takes about 0.2 s.

    Raises:
        Invalid: it is none, or the role has none; the words are fit to be told to the agent.
    """
    if role not in REPORTING:
        raise Invalid(f"the role {role} hands in no report", hint="leave out its data")
    report: Report = _form().read(role, data)
    return report


def with_report(role: Role, result: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's result (`Telling.result`) with its report as it was read.

    Who could not do its work (`failed`, `blocked`) owes none.

    Raises:
        Invalid: as `report_of`.
    """
    if role not in REPORTING or result["status"] != "completed":
        return dict(result)
    return {**result, "data": report_of(role, result["data"]).as_json()}


@cache
def schema_of(role: Role) -> dict[str, Any] | None:
    """The JSON Schema (2020-12) of the role's report; None for a role that has none."""
    return _form().schema(role) if role in REPORTING else None


def example_of(role: Role) -> Mapping[str, Any] | None:
    """A small report that is right; None for a role that has none."""
    return EXAMPLES.get(role)


def _form() -> Any:
    return import_module("muster.supervision.report_form")


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    if is_dataclass(value):
        return {each.name: _json(getattr(value, each.name)) for each in fields(value)}
    return value
