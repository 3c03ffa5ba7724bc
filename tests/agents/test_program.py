"""Looking for programs: what is not there, cannot run or does not answer is no error."""

from __future__ import annotations

import pytest

from muster.agents.base import Found
from muster.agents.claude import ClaudeDriver
from muster.agents.codex import CodexDriver
from muster.agents.presets import NAMED, find_preset
from muster.agents.program import find_program, version_of


def program(path, script: str):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo '2.1.329 (Claude Code)'", "2.1.329"),
        ("echo aider 0.86.2", "0.86.2"),
        ("echo v1.2.3-rc.1", "1.2.3-rc.1"),
        ("echo no number", ""),
        ("echo 1.2.3; exit 1", ""),
        ('test "$1" = --version && echo 9.9', "9.9"),
        ("printf '\\377\\376 1.0'", "1.0"),
    ],
)
def test_the_version_is_the_first_number_of_its_answer(tmp_path, script, version):
    assert version_of(str(program(tmp_path / "p", script)), {"PATH": "/usr/bin:/bin"}) == version


def test_a_program_that_is_gone_or_is_none_has_no_version(tmp_path):
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o755)
    assert version_of(str(tmp_path / "gone"), {}) == ""
    assert version_of(str(tmp_path), {}) == ""


def test_it_is_asked_once_and_again_when_it_was_replaced(tmp_path):
    asked = tmp_path / "asked"
    path = program(tmp_path / "p", f"echo x >> {asked}; echo 1.0")
    environ = {"PATH": "/usr/bin:/bin"}
    assert [version_of(str(path), environ) for _ in range(3)] == ["1.0"] * 3
    assert asked.read_text() == "x\n"
    program(path, f"echo x >> {asked}; echo 2.0.0")
    assert version_of(str(path), environ) == "2.0.0"


def test_the_servers_environment_is_not_shown_to_it(tmp_path):
    path = program(tmp_path / "p", 'echo "${SECRET_KEY:-1.0}"')
    assert version_of(str(path), {"PATH": "/bin", "SECRET_KEY": "6.6"}) == "1.0"


def test_a_file_that_cannot_be_run_is_not_found(tmp_path):
    (tmp_path / "tool").write_text("text")
    assert find_program("tool", {"PATH": str(tmp_path), "HOME": str(tmp_path)}, ["tool"]) is None
    (tmp_path / "tool").chmod(0o755)
    assert find_program("tool", {"PATH": "/none", "HOME": str(tmp_path)}, ["tool"]) == str(
        tmp_path / "tool"
    )


@pytest.mark.parametrize(
    ("version", "is_old"),
    [
        ("1.9.900", True), ("2.0.1", True), ("0.9", True), ("2.1.0", False), ("2.1.329", False),
        ("2.2", False), ("10.0.0", False), ("", False),
    ],
)  # fmt: skip
def test_a_program_older_than_what_was_tested_is_told_and_another_is_not(version, is_old):
    told = Found("/p", version, tested="2.1.329").too_old()
    assert bool(told) is is_old
    assert version in told or not is_old
    assert Found("/p", version).too_old() == ""


def test_each_program_that_is_known_by_name_has_a_version_that_was_tested(tmp_path):
    for name in ("claude", "codex", *(preset.program for preset in NAMED.values())):
        program(tmp_path / name, "echo 0.0.1")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    found = [driver.find(environ) for driver in (ClaudeDriver(), CodexDriver())]
    found += [find_preset(preset, environ) for preset in NAMED.values()]
    assert all("0.0.1 is older than" in one.too_old() and one.install for one in found)
