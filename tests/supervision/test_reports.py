"""What each role hands in: a report, or words by which the agent can mend it."""

from __future__ import annotations

import copy
import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from muster.domain.agent import Role
from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.domain.task import TaskType
from muster.supervision.reports import (
    REPORTING,
    AuditReport,
    DeployReport,
    Report,
    ReviewReport,
    StarterReport,
    VerifyReport,
    example_of,
    report_of,
    schema_of,
)

SHAPES = {
    Role.STARTER: StarterReport,
    Role.REVIEWER: ReviewReport,
    Role.DEPLOYER: DeployReport,
    Role.VERIFIER: VerifyReport,
    Role.AUDITOR: AuditReport,
}
KEEPS = {role: Draft202012Validator(schema_of(role) or {}) for role in SHAPES}
CHECK = {"name": "health", "passed": True}
COMMENT = {"path": "a.py", "line": 3, "text": "Say why.", "severity": "nit"}
ISSUE = {"title": "t", "description": "d", "type": "bug", "severity": "low"}


def example(role: Role) -> dict[str, Any]:
    """The role's example, to be changed."""
    return copy.deepcopy(dict(example_of(role) or {}))


def taken(role: Role, data: object) -> Report | Invalid:
    """The report, or why there is none."""
    try:
        return report_of(role, data)
    except Invalid as no:
        return no


def said(role: Role, data: object) -> str:
    """What is wrong with it; empty where nothing is."""
    found = taken(role, data)
    return found.detail if isinstance(found, Invalid) else ""


@pytest.mark.parametrize("role", SHAPES)
def test_the_example_that_an_agent_is_shown_is_a_report_and_keeps_the_schema(role: Role) -> None:
    report = report_of(role, example_of(role))
    assert type(report) is SHAPES[role]
    Draft202012Validator.check_schema(schema_of(role) or {})
    KEEPS[role].validate(example_of(role))
    assert report_of(role, json.loads(json.dumps(report.as_json()))) == report


@pytest.mark.parametrize("role", SHAPES)
def test_a_schema_stays_small_enough_for_a_prompt(role: Role) -> None:
    text = json.dumps(schema_of(role))
    assert len(text) < 1500
    assert "$ref" not in text


def test_who_changes_files_or_manages_hands_in_no_report() -> None:
    for role in set(Role) - REPORTING:
        assert schema_of(role) is None
        assert example_of(role) is None
        assert f"the role {role} hands in no report" in said(role, {})


def test_a_report_cannot_be_changed() -> None:
    report = report_of(Role.REVIEWER, {"verdict": "approve", "comments": [COMMENT]})
    assert isinstance(report, ReviewReport)
    with pytest.raises(FrozenInstanceError):
        report.verdict = "request_changes"  # type: ignore[misc]
    assert hash(report) == hash(report_of(Role.REVIEWER, report.as_json()))


def test_an_issue_may_be_of_any_type_that_a_task_has() -> None:
    issues = [{**ISSUE, "type": str(kind)} for kind in TaskType]
    assert said(Role.AUDITOR, {"summary": "s", "issues": issues}) == ""


@pytest.mark.parametrize(
    ("role", "more", "fault"),
    [
        (Role.STARTER, {"decision": "wait"}, "'decision' is 'wait'; wanted: one of plan, audit"),
        (Role.STARTER, {"analysis": " \n"}, "'analysis' is empty; wanted: a text of 1 to 20000"),
        (Role.STARTER, {"plan": []}, "'plan' has no step"),
        (Role.STARTER, {"plan": "do it"}, "'plan' is 'do it'; wanted: a list of 0 to 30"),
        (Role.STARTER, {"plan": [{"title": "x"}] * 31}, "'plan' is a list of 31; wanted: a list"),
        (Role.STARTER, {"plan": [{"details": "x"}]}, "'plan[0].title' is missing; wanted: a text"),
        (Role.STARTER, {"plan": ["x"]}, "'plan[0]' is 'x'; wanted: an object with title"),
        (Role.STARTER, {"decision": "audit"}, "'audit_about' is missing"),
        (Role.STARTER, {"repos": [{"what": "x"}]}, "'repos[0].repo' is missing"),
        (Role.REVIEWER, {"verdict": None}, "'verdict' is missing; wanted: one of approve, request"),
        (Role.REVIEWER, {"comments": [], "summary": ""}, "say what is to be changed"),
        (Role.REVIEWER, {"comments": [COMMENT] * 101}, "'comments' is a list of 101"),
        (Role.REVIEWER, {"summary": "x" * 8001}, "'summary' has 8001 characters; wanted: a text"),
        (
            Role.REVIEWER,
            {"comments": [{**COMMENT, "line": "3"}]},
            "'comments[0].line' is '3'; wanted: a whole number from 1 to 10000000 or null",
        ),
        (
            Role.REVIEWER,
            {"verdict": "approve", "comments": [{**COMMENT, "severity": "must"}]},
            "'verdict' is approve, and 1 of the 'comments' say must",
        ),
        (
            Role.REVIEWER,
            {"comments": [{**COMMENT, "path": "../a.py"}]},
            "'comments[0].path': it must be relative to the top of the repository",
        ),
        (Role.DEPLOYER, {"deployed": "yes"}, "'deployed' is 'yes'; wanted: true or false"),
        (Role.DEPLOYER, {"commit": "main"}, "'commit' is 'main'; wanted: a text (what was dep"),
        (Role.DEPLOYER, {"commit": ""}, "'commit' is missing; say which commit was deployed"),
        (Role.DEPLOYER, {"url": "javascript:x"}, "'url': it must begin with https://"),
        (Role.DEPLOYER, {"deployed": False, "notes": ""}, "say why nothing was deployed"),
        (Role.VERIFIER, {"checks": []}, "'checks' is a list of 0; wanted: a list of 1 to 100"),
        (Role.VERIFIER, {"passed": True}, "the check 'totals' has not passed; wanted: false"),
        (Role.VERIFIER, {"checks": [CHECK]}, "all 'checks' have passed; name what failed"),
        (Role.VERIFIER, {"checks": {"health": True}}, "'checks' is an object; wanted: a list"),
        (Role.AUDITOR, {"issues": [{}] * 60_000}, "'issues' has 60000 entries; no list may be as"),
        (Role.AUDITOR, {"issues": [ISSUE] * 21}, "'issues' is a list of 21; wanted: a list of"),
        (
            Role.AUDITOR,
            {"issues": [ISSUE, {**ISSUE, "type": "security"}]},
            "'issues[1].type' is 'security'; wanted: one of feature, bug, refactor",
        ),
    ],
)
def test_a_fault_is_told_by_its_path_with_what_is_wanted(
    role: Role, more: dict[str, object], fault: str
) -> None:
    assert fault in said(role, {**example(role), **more})


@pytest.mark.parametrize("data", [None, [], "approve", 3, True])
def test_what_is_no_object_is_told_so(data: object) -> None:
    assert "wanted: an object with verdict" in said(Role.REVIEWER, data)


def test_all_faults_are_told_at_once_and_the_list_of_them_is_bounded() -> None:
    comments = [{"path": "a.py", "text": "t", "severity": "bad"}] * 40
    told = said(Role.REVIEWER, {"verdict": "yes", "comments": comments})
    assert "'verdict' is 'yes'" in told
    assert "'comments[8].severity' is 'bad'" in told
    assert "and 31 more" in told
    assert len(told) < 2100


def test_a_field_that_no_report_has_is_passed_over_and_a_misspelt_one_is_named() -> None:
    more = {"model": "x", "thoughts": ["long"], "$schema": "y"}
    assert said(Role.REVIEWER, {**example(Role.REVIEWER), **more}) == ""
    assert "it has no 'verdit', but 'verdict'" in said(Role.REVIEWER, {"verdit": "approve"})
    # One that may be left out as well: what it says would be lost.
    misspelt = {"verdict": "approve", "comment": [COMMENT]}
    assert "it has no 'comment', but 'comments'" in said(Role.REVIEWER, misspelt)
    inner = {**example(Role.REVIEWER), "comments": [{**COMMENT, "line": None, "Line": 3}]}
    assert "'comments[0]': it has no 'Line', but 'line'" in said(Role.REVIEWER, inner)


def test_a_refusal_shows_a_report_that_would_be_taken() -> None:
    found = taken(Role.VERIFIER, {})
    assert isinstance(found, Invalid)
    shown = found.hint[found.hint.index("{") :]
    assert said(Role.VERIFIER, json.loads(shown)) == ""


def test_what_is_null_counts_as_left_out() -> None:
    report = taken(Role.REVIEWER, {"verdict": "approve", "summary": None, "comments": None})
    assert report == ReviewReport("approve")


def test_words_of_an_agent_cannot_act_on_who_reads_the_refusal() -> None:
    told = said(Role.REVIEWER, {"verdict": "\x1b[2J\u202egood\r\nnew line"})
    assert "'verdict' is 'good new line'; wanted" in told


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["approve", "request_changes", "plan", "audit", "must", "bug", "low", "a.py"])
)
NAMES = st.text(max_size=8) | st.sampled_from(
    sorted({each.name for shape in SHAPES.values() for each in fields(shape)} | set(COMMENT))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def is_a_report_or_told(role: Role, data: object) -> None:
    """What is taken keeps the schema and comes back the same; what is not is told in words."""
    found = taken(role, data)
    if isinstance(found, Invalid):
        assert plain_line(found.detail, 3_000) == found.detail
        assert "wanted" in found.detail or "'" in found.detail
        found.detail.encode()
        return
    kept = json.loads(json.dumps(found.as_json(), allow_nan=False))
    KEEPS[role].validate(kept)
    assert report_of(role, kept) == found


@settings(max_examples=40)
@given(st.sampled_from(sorted(SHAPES)), JSON)
def test_whatever_comes_is_a_report_or_told(role: Role, data: object) -> None:
    is_a_report_or_told(role, data)


@settings(max_examples=40)
@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_an_example_with_anything_in_the_place_of_a_part_is_a_report_or_told(
    role: Role, data: st.DataObject
) -> None:
    whole: Any = example(role)
    node: Any = whole
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans())):
            break
        node = node[key]
    node[key] = data.draw(JSON)
    is_a_report_or_told(role, whole)
