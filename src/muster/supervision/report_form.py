"""The shapes in which agents hand in their reports, by role; loaded when the first one comes.

A report is a stranger's word, and told back to it where it cannot be taken: which field, what it
is, what is wanted. A field that no report has is passed over, unless it looks like a misspelt one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from muster.domain.agent import Role
from muster.domain.errors import Invalid
from muster.supervision import reports
from muster.supervision.report_examples import EXAMPLES
from muster.supervision.report_faults import faults_in, small_schema

_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_MOST_STEPS, _MOST_COMMENTS, _MOST_CHECKS, _MOST_ISSUES = 30, 100, 100, 20
_MOST_PATHS, _LONGEST_LIST = 40, 500
_ALIKE, _LONGEST_NAME, _MOST_UNKNOWN = 0.8, 40, 20


def _inside(path: str) -> str:
    """A path below the top of the repository, without a `./` before it."""
    path = path.removeprefix("./")
    if path.startswith(("/", "~")) or ".." in path.split("/") or not path:
        raise ValueError("it must be relative to the top of the repository, as src/app.py")
    return path


def _web(address: str) -> str:
    if address and not address.startswith(("https://", "http://")):
        raise ValueError("it must begin with https:// or http://, or be left out")
    return address


_Line = Annotated[str, Field(min_length=1, max_length=300)]
_Words = Annotated[str, Field(min_length=1, max_length=8_000)]
_Path = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_inside)]
_Name = Annotated[str, Field(max_length=200)]
_Paths = Annotated[tuple[_Path, ...], Field(max_length=_MOST_PATHS, strict=False)]


class Part(BaseModel):
    """A part of a report: strict about types, and forgiving about what it need not know."""

    model_config = ConfigDict(
        strict=True, extra="ignore", str_strip_whitespace=True, defer_build=True
    )
    becomes: ClassVar[type]

    def plain(self) -> Any:
        """Without pydantic."""
        return self.becomes(
            **{name: _plain(getattr(self, name)) for name in type(self).model_fields}
        )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        """Leave out what is null; name what is likely a field's name misspelt.

        Raises:
            ValueError: a field that is not there is there under a name much like it, or a list is
                so long that looking at all of it would take seconds.
        """
        if not isinstance(given, Mapping):
            return given
        told = {name: value for name, value in given.items() if value is not None}
        for name, value in told.items():
            if isinstance(value, list | tuple) and len(value) > _LONGEST_LIST:
                raise ValueError(f"'{name}' has {len(value)} entries; no list may be as long")
        unknown = [name for name in told if name not in cls.model_fields][:_MOST_UNKNOWN]
        missing = [name for name in cls.model_fields if name not in told]
        meant = [(u, m) for u in unknown for m in missing if _alike(str(u), m)]
        if meant:
            raise ValueError("; ".join(f"it has no '{u}', but '{m}'" for u, m in meant))
        return told


# --- the starter ----------------------------------------------------------------------------------


class Step(Part):
    """One step of a plan."""

    becomes = reports.Step

    title: _Line
    details: Annotated[str, Field(max_length=8_000)] = ""
    files: Annotated[_Paths, Field(description="paths that it touches")] = ()


class Touched(Part):
    """A repository that the work touches."""

    becomes = reports.Touched

    repo: Annotated[str, Field(min_length=1, max_length=200)]
    what: Annotated[str, Field(max_length=2_000, description="what is done there")] = ""


class StarterReport(Part):
    """How a task is to be done, or that it needs an audit first."""

    becomes = reports.StarterReport

    decision: Annotated[
        Literal["plan", "audit"],
        Field(description="audit: when the request is to look for trouble"),
    ]
    analysis: Annotated[str, Field(min_length=1, max_length=20_000)]
    plan: Annotated[
        tuple[Step, ...],
        Field(max_length=_MOST_STEPS, strict=False, description="one step at least, unless audit"),
    ] = ()
    repos: Annotated[
        tuple[Touched, ...],
        Field(max_length=20, strict=False, description="empty: the task's own repository alone"),
    ] = ()
    risks: Annotated[tuple[_Words, ...], Field(max_length=20, strict=False)] = ()
    audit_about: Annotated[
        str, Field(max_length=8_000, description="what to look at; for an audit only")
    ] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.decision == "plan" and not self.plan:
            raise ValueError("'plan' has no step; the decision 'plan' takes one or more")
        if self.decision == "audit" and not self.audit_about:
            raise ValueError("'audit_about' is missing; the decision 'audit' says what to look at")
        return self


# --- the reviewer ---------------------------------------------------------------------------------


class Comment(Part):
    """What a reviewer says to a line, or to a file."""

    becomes = reports.Comment

    path: _Path
    line: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="in the new file; null: to all of it")
    ] = None
    text: _Words
    severity: Annotated[
        Literal["must", "should", "nit"], Field(description="must: not to be merged like this")
    ]


class ReviewReport(Part):
    """Whether a change may be merged, and what to say to it."""

    becomes = reports.ReviewReport

    verdict: Literal["approve", "request_changes"]
    summary: Annotated[str, Field(max_length=8_000)] = ""
    comments: Annotated[tuple[Comment, ...], Field(max_length=_MOST_COMMENTS, strict=False)] = ()

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.verdict == "request_changes" and not (self.comments or self.summary):
            raise ValueError("'comments' and 'summary' are empty; say what is to be changed")
        musts = sum(comment.severity == "must" for comment in self.comments)
        if self.verdict == "approve" and musts:
            raise ValueError(
                f"'verdict' is approve, and {musts} of the 'comments' say must;"
                " wanted: request_changes, or comments that say should or nit"
            )
        return self


# --- the deployer and the verifier ----------------------------------------------------------------


class DeployReport(Part):
    """What was deployed where."""

    becomes = reports.DeployReport

    deployed: bool
    commit: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-fA-F]{7,64})?$",
            description="what was deployed, in hex; may be empty only where nothing was",
        ),
    ] = ""
    version: _Name = ""
    environment: _Name = ""
    url: Annotated[str, Field(max_length=2_000), AfterValidator(_web)] = ""
    notes: Annotated[
        str, Field(max_length=20_000, description="where nothing was deployed: why")
    ] = ""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.deployed and not self.commit:
            raise ValueError("'commit' is missing; say which commit was deployed")
        if not self.deployed and not self.notes:
            raise ValueError("'notes' are missing; say why nothing was deployed")
        return self


class Check(Part):
    """One thing that a verifier looked at."""

    becomes = reports.Check

    name: _Line
    passed: bool
    detail: Annotated[
        str, Field(max_length=8_000, description="what was done and seen, the command too")
    ] = ""


class VerifyReport(Part):
    """Whether a deployment is as it should be."""

    becomes = reports.VerifyReport

    passed: bool
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=_MOST_CHECKS, strict=False)]
    summary: Annotated[str, Field(max_length=8_000)] = ""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        failed = [check.name for check in self.checks if not check.passed]
        if self.passed and failed:
            raise ValueError(
                f"'passed' is true, and the check '{failed[0]}' has not passed; wanted: false"
            )
        if not self.passed and not failed:
            raise ValueError("'passed' is false, and all 'checks' have passed; name what failed")
        return self


# --- the auditor ----------------------------------------------------------------------------------


class Issue(Part):
    """Trouble that an auditor found: a task to be proposed."""

    becomes = reports.Issue

    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[
        str,
        Field(min_length=1, max_length=8_000, description="a whole task: where, what, done when"),
    ]
    type: Literal["feature", "bug", "refactor", "test", "documentation", "chore"]
    severity: Literal["low", "medium", "high"]
    paths: _Paths = ()


class AuditReport(Part):
    """What an auditor found; no issue is a finding, too."""

    becomes = reports.AuditReport

    summary: _Words
    issues: Annotated[tuple[Issue, ...], Field(max_length=_MOST_ISSUES, strict=False)]


_FORMS: Mapping[Role, type[Part]] = {
    Role.STARTER: StarterReport,
    Role.REVIEWER: ReviewReport,
    Role.DEPLOYER: DeployReport,
    Role.VERIFIER: VerifyReport,
    Role.AUDITOR: AuditReport,
}


def read(role: Role, data: object) -> reports.Report:
    """The report in what an agent of this role handed in.

    Raises:
        Invalid: it is none; each fault is named so that the agent can mend it.
    """
    try:
        report: reports.Report = _FORMS[role].model_validate(data).plain()
    except ValidationError as error:
        raise Invalid(
            f"the report in 'data' cannot be taken: {faults_in(error, schema(role))}",
            hint=f'hand it in again whole, for example "data": {json.dumps(EXAMPLES[role])}',
        ) from error
    return report


def schema(role: Role) -> dict[str, Any]:
    """What a report of this role keeps, as a small JSON Schema."""
    return {"$schema": _SCHEMA, **small_schema(_FORMS[role])}


def _alike(said: str, name: str) -> bool:
    if len(said) > _LONGEST_NAME:
        return False
    bare = said.lower().replace("-", "_").replace(" ", "_")
    return bare == name or SequenceMatcher(None, bare, name).ratio() >= _ALIKE


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return value.plain() if isinstance(value, Part) else value
