"""`muster breakpoint rules`: what is in force and whose, and the faults of a file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.client import canned
from tests.client.loopback import Answer, Loopback

GOOD = "rules:\n- name: mine\n  when: {files: [a.py]}\n  do: pause\n"


def test_rules_are_listed_with_their_source_and_what_is_not_used_with_the_reason(run: Run) -> None:
    ended = run("breakpoint", "rules", "sample")
    head, rule, off = ended.out.splitlines()
    assert head.split() == ["RULE", "DOES", "FROM", "WHEN"]
    assert rule.split()[:4] == ["stuck", "approve", "stuck", "home"]
    assert off.split() == ["stuck", "off", "home"]
    assert "stuck is not used, line 3: stuck; stuck" in ended.err
    assert ended.code == 0


def test_a_file_is_checked_without_a_server(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "breakpoints.yaml"
    file.write_text(GOOD)
    line = ("breakpoint", "rules", "--check", str(file))
    ended = run(*line, url="http://127.0.0.1:9")
    assert (ended.code, ended.out) == (0, f"{file} has no fault.\n")
    file.write_text(GOOD + "- name: mine\n  when: {fles: [a]}\n  do: stop\n")
    ended = run(*line)
    assert ended.code == 1
    assert [text.split(":")[0].rpartition(" ")[2] for text in ended.out.splitlines()] == [
        *("5", "6", "7")
    ]
    told = json.loads(run(*line, "--json").out)["items"]
    assert [fault["line"] for fault in told] == [5, 6, 7]
    assert all(fault["what"] and fault["remedy"] for fault in told)


def test_a_file_is_checked_as_the_homes_before_it_is_there(run: Run, tmp_path: Path) -> None:
    """A project's file may leave out a rule of the home's, which the home's own does not know."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "breakpoints.yaml").write_text(GOOD)
    draft = tmp_path / "draft.yaml"
    draft.write_text("rules:\n- {name: mine, active: false}\n")
    line = ("--home", str(home), "breakpoint", "rules", "--check", str(draft))
    assert run(*line).code == 0
    assert run(*line, "--as-home").code == 1
    assert run("breakpoint", "rules", "--as-home").code == 2


def test_a_file_that_is_not_there_is_said_to_be(run: Run, tmp_path: Path) -> None:
    ended = run("breakpoint", "rules", "--check", str(tmp_path / "none.yaml"))
    assert ended.code == 2
    assert "cannot be read" in ended.err


def test_a_question_that_a_rule_asks_shows_whose_it_is_and_what_it_saw(
    run: Run, server: Loopback
) -> None:
    held = {
        "rule": "mine", "source": "project", "action": "approve", "role": "lead", "cause": "c",
        "conditions": [{"kind": "files", "asked": ["a.py"], "saw": {"count": 1}}],
    }  # fmt: skip
    asked = canned.question(kind="rule", evidence={"rules": [held]})
    server.routes["GET", "/api/breakpoints/bp_1"] = Answer(body=asked)
    ended = run("breakpoint", "show", "bp_1")
    assert '  rule mine (project, approval of lead): files {"count": 1}' in ended.out
