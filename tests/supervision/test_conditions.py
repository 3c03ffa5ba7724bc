"""Every condition that muster brings along keeps the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from muster_folders import Folders

from contracts.condition import FULL, ConditionContract
from muster.domain.verdict import Finding, Severity
from muster.supervision.command_line import matching, pattern_of
from muster.supervision.condition import Facts, Held
from supervision.conditions import registered

RED = (Finding("tests.broken", Severity.VETO, "2 tests fail."),)
CALL = ("Bash", "make check")
HOLD = {
    "agent": replace(FULL, agent="gemini-cli"),
    "alternating_calls": replace(FULL, calls=(CALL, ("Bash", "git diff")) * 12),
    "attempts": replace(FULL, attempt=3),
    "command": replace(FULL, call=("Bash", "cd a && git push --force-with-lease")),
    "confidence": replace(FULL, confidence=0.69),
    "contradiction": replace(FULL, claims="All 12 tests pass now.", findings=RED),
    "cost": replace(FULL, cost_usd=5.01),
    "cost_without_change": replace(FULL, idle_cost=3.2),
    "decision": replace(FULL, step="retry"),
    "event": replace(FULL, events={"network.refused": 3}),
    "files": replace(FULL, files=("app/migrations/0001.py",)),
    "finding": replace(FULL, findings=(Finding("tests.missing", Severity.ASK, "Gone."),)),
    "lines": replace(FULL, lines=801),
    "minutes": replace(FULL, seconds=1801.0),
    "oscillation": replace(FULL, trees=("aa", "bb", "aa", "bb")),
    "outcome": replace(FULL, outcome="crashed"),
    "repeated_calls": replace(FULL, calls=(("Bash", "ls"), *(CALL,) * 20)),
    "same_failure": replace(FULL, refusals=("red",) * 3),
    "silence": replace(FULL, quiet_seconds=1801.0),
    "type": replace(FULL, type="bug"),
}


def test_every_condition_is_held_to_the_contract():
    assert sorted(HOLD) == sorted(registered())


@pytest.mark.parametrize("name", sorted(registered()))
class TestConditionsKeepTheContract(ConditionContract):
    @pytest.fixture
    def kind(self, name):
        return name

    @pytest.fixture
    def condition(self, name):
        return registered()[name]

    @pytest.fixture
    def holds(self, name):
        return HOLD[name]

    def test_it_does_not_hold_for_everything(self, kind, condition, asked, holds):
        tame = replace(FULL, type="chore", agent="another", attempt=1)
        if kind == "decision":
            tame = replace(tame, step="ask")
        assert not condition.look(asked, tame)


DESTRUCTIVE = [
    ("rm -r /", "rm -rf /"), ("rm -r /", "sudo rm -f -R /"), ("rm -r /", "x=1; rm -fr / ; ls"),
    ("rm -r /", "bash -lc 'cd a; rm -rf /'"), ("rm -r /", "y=$(rm -rf /)"),
    ("git push -f", "git -C there push -f origin main"), ("git push --force*", "git push --force"),
    ("rm -r /[*]", "rm -rf /*"), ('psql "*drop table*"', 'psql -c "DROP TABLE users"'),
    ("mkfs*", "/sbin/mkfs.ext4 /dev/sda1"), ("dd of=/dev/*", "dd if=a of=/dev/sda"),
    ("rm -r ~", "if true; then rm -rf ~; fi"), ("reboot", "nice -n 5 reboot"),
]  # fmt: skip
HARMLESS = [
    ("rm -r /", "rm -rf /tmp/x"), ("rm -r /", "rm -rf build"), ("rm -r /", "echo 'rm -rf /'"),
    ("rm -r /", "grep -rn 'rm -rf /' docs"), ("git push -f", "git push origin f"),
    ("git push --force*", "git commit -m 'git push --force'"), ("reboot", "cat reboot"),
    ("rm -r /[*]", "rm -rf /home/me/build/x"), ("dd of=/dev/*", "dd if=/dev/zero of=blob"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "line"), DESTRUCTIVE)
def test_a_pattern_means_a_command_wherever_it_stands_in_a_line(pattern, line):
    assert matching([(pattern, pattern_of(pattern))], line) is not None


@pytest.mark.parametrize(("pattern", "line"), HARMLESS)
def test_a_pattern_does_not_mean_what_only_looks_like_it(pattern, line):
    assert matching([(pattern, pattern_of(pattern))], line) is None


def test_a_path_that_is_edited_is_no_command():
    command = registered()["command"]
    asked = [("reboot", pattern_of("reboot"))]
    assert not command.look(asked, replace(FULL, call=("Edit", "src/reboot")))
    assert command.look(asked, replace(FULL, call=("Bash", "src/reboot")))


@pytest.mark.parametrize(
    "claims",
    ["All tests pass.", "The tests are now green.", "Done. Every test passed on my machine!"],
)
def test_a_claim_of_green_tests_against_red_ones_is_a_contradiction(claims):
    contradiction = registered()["contradiction"]
    assert isinstance(contradiction.look(True, replace(FULL, claims=claims, findings=RED)), Held)


@pytest.mark.parametrize(
    "claims",
    ["Not all tests pass.", "The tests don't pass yet.", "Tests fail; I could not mend them.", ""],
)
def test_an_agent_that_says_so_itself_contradicts_nothing(claims):
    contradiction = registered()["contradiction"]
    assert not contradiction.look(True, replace(FULL, claims=claims, findings=RED))


def test_silence_of_the_program_alone_is_not_known_to_any_condition():
    assert not {name for name in Facts.__slots__ if "silent" in name}
    assert not registered()["silence"].look(30.0, replace(FULL, quiet_seconds=None))


def test_oscillation_is_seen_in_refusals_too_and_not_in_steady_failure():
    oscillation = registered()["oscillation"]
    assert oscillation.look(2, replace(FULL, trees=None, refusals=("a", "b", "a", "b")))
    assert not oscillation.look(2, replace(FULL, trees=("x",) * 4, refusals=("a",) * 4))
    assert not oscillation.look(2, replace(FULL, trees=("x", "y", "x"), refusals=("a", "b", "a")))


class TestTheConditionOfThePluginGuideKeepsTheContract(ConditionContract):
    @pytest.fixture
    def kind(self):
        return "folders"

    @pytest.fixture
    def condition(self):
        return Folders()

    @pytest.fixture
    def holds(self):
        return replace(FULL, files=("a/x", "b/x", "c/x", "d/x"))
