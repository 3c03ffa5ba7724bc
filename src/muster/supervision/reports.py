"""What an agent of each role hands in: the shapes of its report, and what is wrong with one.

A report is a stranger's word, and told back to it where it cannot be taken: which field, what it
is, what is wanted. A field that no report has is passed over, unless it looks like a misspelt one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import cache
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
from muster.supervision.report_faults import faults_in, small_schema

MOST_STEPS, MOST_COMMENTS, MOST_CHECKS, MOST_ISSUES = 30, 100, 100, 20
_MOST_PATHS, _LONGEST_LIST = 40, 500
_ALIKE, _LONGEST_NAME, _MOST_UNKNOWN = 0.8, 40, 20
_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


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
    """A part of a report: frozen, strict about types, and forgiving about what it need not know."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", str_strip_whitespace=True, defer_build=True
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


class Report(Part):
    """What an agent hands in at its end, by its role."""

    example: ClassVar[Mapping[str, Any]]

    @classmethod
    def of(cls, data: object) -> Self:
        """The report in what an agent handed in.

        Raises:
            Invalid: it is none; each fault is named so that the agent can mend it.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            faults = faults_in(error, small_schema(cls))
            example = json.dumps(cls.example)
            raise Invalid(
                f"the report cannot be taken: {faults}",
                hint=f"hand it in again whole, for example {example}",
            ) from error

    def as_json(self) -> dict[str, Any]:
        """As plain JSON, which gives the same report again."""
        return self.model_dump(mode="json")


# --- the starter ----------------------------------------------------------------------------------


class Step(Part):
    """One step of a plan."""

    title: _Line
    details: Annotated[str, Field(max_length=8_000)] = ""
    files: Annotated[_Paths, Field(description="paths that it touches")] = ()


class Touched(Part):
    """A repository that the work touches."""

    repo: Annotated[str, Field(min_length=1, max_length=200)]
    what: Annotated[str, Field(max_length=2_000, description="what is done there")] = ""


class StarterReport(Report):
    """How a task is to be done, or that it needs an audit first."""

    example = {
        "decision": "plan",
        "analysis": "Totals are rounded in two places; only format_total() is meant to.",
        "plan": [
            {
                "title": "Round in format_total() alone",
                "details": "Let add() keep the exact sum; test 0.1 + 0.2.",
                "files": ["src/totals.py", "tests/test_totals.py"],
            }
        ],
        "repos": [],
        "risks": ["add() is public: callers may count on rounded sums"],
    }

    decision: Annotated[
        Literal["plan", "audit"],
        Field(description="audit: when the request is to look for trouble"),
    ]
    analysis: Annotated[str, Field(min_length=1, max_length=20_000)]
    plan: Annotated[
        tuple[Step, ...],
        Field(max_length=MOST_STEPS, strict=False, description="one step at least, unless audit"),
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

    path: _Path
    line: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="in the new file; null: to all of it")
    ] = None
    text: _Words
    severity: Annotated[
        Literal["must", "should", "nit"], Field(description="must: not to be merged like this")
    ]


class ReviewReport(Report):
    """Whether a change may be merged, and what to say to it."""

    example = {
        "verdict": "request_changes",
        "summary": "Does what was asked; an empty list is not handled.",
        "comments": [
            {
                "path": "src/totals.py",
                "line": 12,
                "text": "max() raises on an empty list. Return 0 and test it.",
                "severity": "must",
            }
        ],
    }

    verdict: Literal["approve", "request_changes"]
    summary: Annotated[str, Field(max_length=8_000)] = ""
    comments: Annotated[tuple[Comment, ...], Field(max_length=MOST_COMMENTS, strict=False)] = ()

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


class DeployReport(Report):
    """What was deployed where."""

    example = {
        "deployed": True,
        "commit": "3f1c9e0a7d52b8841c6f0e2b9a7d4c5e6f801234",
        "version": "1.4.2",
        "environment": "staging",
        "url": "https://staging.example.org",
        "notes": "The deploy command ended with 0 after 40 s.",
    }

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

    name: _Line
    passed: bool
    detail: Annotated[
        str, Field(max_length=8_000, description="what was done and seen, the command too")
    ] = ""


class VerifyReport(Report):
    """Whether a deployment is as it should be."""

    example = {
        "passed": False,
        "checks": [
            {"name": "health", "passed": True, "detail": "GET /health answered 200"},
            {"name": "totals", "passed": False, "detail": "GET /totals answered 500: KeyError"},
        ],
        "summary": "It runs; totals fail for new accounts.",
    }

    passed: bool
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=MOST_CHECKS, strict=False)]
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

    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[
        str,
        Field(min_length=1, max_length=8_000, description="a whole task: where, what, done when"),
    ]
    type: Literal["feature", "bug", "refactor", "test", "documentation", "chore"]
    severity: Literal["low", "medium", "high"]
    paths: _Paths = ()


class AuditReport(Report):
    """What an auditor found; no issue is a finding, too."""

    example = {
        "summary": "Read the handlers of uploads; one writes outside of its folder.",
        "issues": [
            {
                "title": "Uploads may leave their folder",
                "description": "save() joins the client's file name unchecked. Refuse '..'.",
                "type": "bug",
                "severity": "high",
                "paths": ["src/uploads.py"],
            }
        ],
    }

    summary: _Words
    issues: Annotated[tuple[Issue, ...], Field(max_length=MOST_ISSUES, strict=False)]


# --- by role --------------------------------------------------------------------------------------

_BY_ROLE: Mapping[Role, type[Report]] = {
    Role.STARTER: StarterReport,
    Role.REVIEWER: ReviewReport,
    Role.DEPLOYER: DeployReport,
    Role.VERIFIER: VerifyReport,
    Role.AUDITOR: AuditReport,
}


def report_of(role: Role, data: object) -> Report:
    """The report that an agent of this role handed in.

    Raises:
        Invalid: it is none, or the role has none; the words are fit to be told to the agent.
    """
    if role not in _BY_ROLE:
        raise Invalid(f"the role {role} hands in no report", hint="leave out its data")
    return _BY_ROLE[role].of(data)


@cache
def schema_of(role: Role) -> dict[str, Any] | None:
    """The JSON Schema (2020-12) of the role's report; None for a role that has none."""
    shape = _BY_ROLE.get(role)
    return None if shape is None else {"$schema": _SCHEMA, **small_schema(shape)}


def example_of(role: Role) -> Mapping[str, Any] | None:
    """A small report that is right; None for a role that has none."""
    shape = _BY_ROLE.get(role)
    return None if shape is None else shape.example


def _alike(said: str, name: str) -> bool:
    if len(said) > _LONGEST_NAME:
        return False
    bare = said.lower().replace("-", "_").replace(" ", "_")
    return bare == name or SequenceMatcher(None, bare, name).ratio() >= _ALIKE
