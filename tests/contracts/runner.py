"""What every test runner must keep: a command known or left alone, and no status made up."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from muster.domain.errors import Invalid
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED
from muster.supervision.runner import Ran, Runner
from supervision.runner_samples import ROOT, Sample, finished, missing

STATUSES = {PASSED, FAILED, ERROR, SKIPPED}
STRANGE = ('a b::c\'d "e" $(reboot) `x`', "x::--all", "::", "y::z\u2028[1-\\]", "p::" + "n" * 600)
GARBLED = (
    b"", b"{", b"[]", b'{"testResults": [1, null]}', b'{"testResults": {"a": {}}}', b"\xff\x00",
    b"<testsuite><testcase", b"<!DOCTYPE x []><testsuite/>", b"[" * 100_000,
    b'{"Action": "pass", "Package": 3, "Test": []}\n{"Action": {}}\n', b"test  ... ok\n",
)  # fmt: skip


class RunnerContract:
    """Give `runner`, its `sample`, and `ran`: what the real program left of that, or None.

    `theirs` are lines that start it once, `others` lines that do not, or in a way that hides it.
    """

    theirs: tuple[str, ...]
    others: tuple[str, ...]

    @pytest.fixture
    def runner(self) -> Runner:
        raise NotImplementedError

    @pytest.fixture
    def sample(self) -> Sample:
        raise NotImplementedError

    @pytest.fixture
    def ran(self) -> Ran | None:
        return None

    def test_it_knows_the_lines_that_start_it_and_no_others(self, runner):
        assert [line for line in self.theirs if runner.starts(line) != 1] == []
        assert [line for line in self.others if runner.starts(line) == 1] == []
        assert all(runner.telling(line) for line in self.theirs)

    def test_what_it_makes_of_a_command_can_be_told_again(self, runner, sample):
        line, beside = runner.only(sample.command, [sample.fails])
        assert runner.telling(line) is not None
        assert runner.only(sample.command, [sample.fails]) == (line, beside)

    def test_names_of_tests_are_never_words_of_a_shell(self, runner, sample):
        plain = len(shlex.split(sample.command))
        for tests in ([test] for test in STRANGE):
            line, _ = runner.only(sample.command, tests)
            words = shlex.split(line)
            assert len(words) <= plain + 3
            assert "reboot" not in shlex.split(line, posix=True)

    def test_it_says_how_each_test_ended(self, runner, sample, ran):
        if ran is not None:
            assert runner.read(ran).tests == sample.told

    def test_it_reads_whatever_is_left_and_makes_nothing_up(self, runner):
        assert runner.read(Ran(None, "all tests passed\n", lambda: "ok\n")).tests is None
        for data in GARBLED:
            text = data.decode("utf-8", "replace")
            try:
                said = runner.read(Ran(data, text, lambda text=text: text, ROOT))
            except Invalid:
                continue
            assert set((said.tests or {}).values()) <= STATUSES
            assert all("::" in test and "\n" not in test for test in said.tests or {})


class RealRunnerContract:
    """The same on the real program, where there is one."""

    @pytest.fixture
    def real(self, sample, tmp_path: Path) -> Path:
        if missing(sample):
            pytest.skip(f"no {sample.program} on PATH; install it by hand")
        return tmp_path

    def test_the_real_program_tells_of_each_test_and_ends_as_it_would(self, runner, sample, real):
        line, beside = runner.telling(sample.command)
        code, ran = finished(line, beside, sample, real)
        said = runner.read(ran)
        assert (said.tests, code) == (sample.told, sample.code), ran.output

    def test_the_real_program_runs_single_tests_again(self, runner, sample, real):
        def alone(test: str) -> dict[str, str]:
            line, given = runner.only(sample.command, [test])
            line, told = runner.telling(line)
            _, ran = finished(line, given.also(told), sample, real)
            return dict(runner.read(ran).tests or {})

        again = alone(sample.fails)
        assert again[sample.fails] in {FAILED, ERROR}
        assert again.get(sample.passes, SKIPPED) == SKIPPED
        assert alone(sample.broken).get(sample.broken, ERROR) in {FAILED, ERROR}
