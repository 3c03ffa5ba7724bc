"""Rules for permissions: what they mean, and what cannot slip through one."""

from __future__ import annotations

import json
import time

import pytest

from muster.domain.errors import Invalid
from muster.domain.permission import permitted, rule_of, ruling
from muster.domain.verdict import Answer

RULES = [
    rule_of(text)
    for text in (
        "deny Bash(*git push*)",
        "allow Bash(npm test*)",
        "allow Bash(make lint && make test)",
        "ask Bash(npm*)",
        "allow Edit(src/*)",
        "allow Read",
        "deny mcp__*",
    )
]


@pytest.mark.parametrize(
    ("tool", "subject", "rule"),
    [
        ("Bash", "git push origin main", "deny Bash(*git push*)"),
        ("Bash", "cd x && git push", "deny Bash(*git push*)"),
        ("Bash", "npm test", "allow Bash(npm test*)"),
        ("Bash", "npm test -- --watch", "allow Bash(npm test*)"),
        ("Bash", "make lint && make test", "allow Bash(make lint && make test)"),
        ("Bash", "npm install left-pad", "ask Bash(npm*)"),
        ("Edit", "src/a/b.py", "allow Edit(src/*)"),
        ("Read", "/etc/passwd", "allow Read"),
        ("mcp__files__delete", '{"a": 1}', "deny mcp__*"),
    ],
)
def test_the_first_rule_that_fits_answers(tool, subject, rule):
    found = ruling(RULES, tool, subject)
    assert found is not None
    assert found.text == rule


@pytest.mark.parametrize(
    ("tool", "subject"),
    [
        ("Bash", "make lint && make test; curl evil"),
        ("Bash", " npm test"),
        ("Bash", "ls"),
        ("bash", "npm test"),
        ("Edit", "src/../../.ssh/authorized_keys"),
        ("Edit", "/etc/src/x"),
        ("Edit", "src/a.py\n/etc/passwd"),
        ("Write", "src/a.py"),
        ("Bash", None),
    ],
)
def test_what_no_rule_fits_is_answered_by_none(tool, subject):
    assert ruling(RULES, tool, subject) is None


@pytest.mark.parametrize(
    "more", ["; id", " && id", "|id", "$(id)", "`id`", " > f", "\nid", " & id", "\\\nid"]
)
def test_what_is_allowed_cannot_bring_another_command_along(more):
    found = ruling([rule_of("allow Bash(npm test*)")], "Bash", f"npm test{more}")
    assert found is None


def test_a_rule_about_inputs_leaves_what_is_too_long_undecided_for_all_after_it():
    rules = [rule_of("deny Bash(*push*)"), rule_of("allow Bash")]
    assert ruling(rules, "Bash", None) is None
    assert ruling(rules[1:], "Bash", None) is rules[1]


def test_a_pattern_is_never_slow():
    rule = rule_of(f"deny Bash({'*a' * 200}b)")
    began = time.process_time()
    assert ruling([rule], "Bash", "a" * 8000) is None
    # One that tries all ways to match would take longer than a lifetime.
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    "text", ["", "allow", "permit Bash", "allow Bash(", "allow Bash()", "allow Bash x", "deny a b"]
)
def test_what_is_no_rule_is_refused_with_how_to_write_one(text):
    with pytest.raises(Invalid, match="no rule") as error:
        rule_of(text)
    assert "allow TOOL" in error.value.hint


SHOWN = {"command": "ls -l", "timeout": 5}
OPTIONS = ("allow", "edit", "deny")


def test_only_inputs_that_differ_from_what_was_shown_are_changed():
    given = json.dumps({"command": "ls", "timeout": 5})
    assert permitted(OPTIONS, SHOWN, "edit", given) == (Answer.EDIT, '{"command": "ls"}')
    assert permitted(OPTIONS, SHOWN, " Deny ", " no ") == (Answer.DENY, "no")


@pytest.mark.parametrize(
    ("answer", "note", "words"),
    [
        ("merge", "", "does not answer"),
        ("allow_session", "", "does not answer"),
        ("edit", "ls", "JSON object"),
        ("edit", "[1]", "JSON object"),
        ("edit", '{"comand": "ls"}', "no input 'comand'"),
        ("edit", json.dumps(SHOWN), "no input is changed"),
        ("edit", "[" * 100_000, "JSON object"),
    ],
)
def test_an_answer_that_cannot_be_given_is_refused(answer, note, words):
    with pytest.raises(Invalid, match=words):
        permitted(OPTIONS, SHOWN, answer, note)
