"""What every driver of an agent program must keep: honest endings, calm readers, quiet secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.jobs import read, run
from muster.agents.base import Capabilities, Driver, Fact, Found, Job, Launch
from muster.domain.agent import Outcome
from muster.domain.errors import Invalid, Refused

KINDS = {
    *("session", "text", "thought", "plan", "tool_started", "tool_finished", "file"),
    *("permission", "usage", "rate_limit", "retry", "error", "finished", "raw"),
}
BY_WHY = {
    "timeout": Outcome.TIMEOUT,
    "stopped": Outcome.CANCELLED,
    "killed": Outcome.CANCELLED,
    "memory": Outcome.CRASHED,
    "exec": Outcome.CRASHED,
    "lost": Outcome.LOST,
}
SMALL = 20_000
ODD_PROMPTS = (
    "--version",
    "-p --help",
    "",
    "a\x00b",
    "zwölf Boxkämpfer 🥊\nzweite Zeile\r\n",
    "$(touch pwned) `touch pwned` {prompt_file} {model}",
    "x" * 150_000,
    "\ud800 half a pair",
)
calm = settings(max_examples=60)


def is_small_and_plain(fact: Fact) -> bool:
    """Whether a fact can be kept in a database and sent as JSON."""
    text = json.dumps(dict(fact.data), ensure_ascii=False, allow_nan=False)
    text.encode()
    clean = all("\x00" not in value for value in fact.data.values() if isinstance(value, str))
    return fact.kind in KINDS and len(text) < SMALL and clean


def cut(data: bytes, points: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces."""
    marks = sorted({0, len(data), *(p % (len(data) + 1) for p in points)})
    return [data[a:b] for a, b in pairwise(marks)]


class DriverContract:
    """Run by every driver; a subclass gives the fixtures below.

    `job` can be launched here and then writes `changed` in its workspace. `success` is the whole
    output of a run that went well, `failures` are outputs (with exit status) of runs that did not.
    """

    structured = False
    needs_program = True
    changed = "NOTES.md"

    @pytest.fixture
    def driver(self) -> Driver:
        raise NotImplementedError

    @pytest.fixture
    def job(self, tmp_path: Path) -> Job:
        raise NotImplementedError

    @pytest.fixture
    def success(self) -> bytes:
        raise NotImplementedError

    @pytest.fixture
    def failures(self) -> list[tuple[bytes, int]]:
        raise NotImplementedError

    # --- finding and launching --------------------------------------------------------------------

    def test_it_says_what_it_is(self, driver):
        assert driver.name == driver.name.lower()
        assert isinstance(driver.capabilities, Capabilities)
        assert driver.capabilities.structured is self.structured

    def test_looking_for_the_program_without_any_environment_is_no_error(self, driver):
        found = driver.find({})
        assert isinstance(found, Found)
        assert found.path or found.hint

    def test_the_program_is_named_by_its_whole_path_and_all_parts_are_texts(self, driver, job):
        launch = driver.launch(job)
        assert Path(launch.argv[0]).is_absolute()
        texts = [*launch.argv, *launch.env, *launch.env.values()]
        assert all(isinstance(text, str) and "\x00" not in text for text in texts)
        assert launch.env["PWD"] == str(job.workspace)

    @pytest.mark.parametrize("prompt", ODD_PROMPTS, ids=lambda p: repr(p[:12]))
    def test_a_prompt_never_becomes_an_argument(self, driver, job, prompt):
        plain = driver.launch(replace(job, prompt="A plain one."))
        odd = driver.launch(replace(job, prompt=prompt))
        assert odd.argv == plain.argv
        assert odd.env == plain.env
        assert self.delivered(odd, replace(job, prompt=prompt))

    def delivered(self, launch: Launch, job: Job) -> bool:
        """Whether the prompt reaches the program whole."""
        return launch.stdin == job.prompt.encode("utf-8", "replace")

    def test_nothing_of_the_servers_environment_is_passed_on_unasked(self, driver, job):
        noise = {"AWS_SECRET_ACCESS_KEY": "hush-hush-1", "MUSTER_TOKEN": "hush-hush-2"}
        launch = driver.launch(replace(job, environ={**job.environ, **noise}))
        everything = " ".join([*launch.argv, *launch.env.values(), *launch.files.values()])
        assert "hush-hush" not in everything + launch.stdin.decode()

    def test_the_token_of_musters_own_server_is_only_in_its_variable(self, driver, job):
        launch = driver.launch(
            replace(
                job,
                mcp_url="http://127.0.0.1:1/mcp",
                hooks_url="http://127.0.0.1:1/hooks",
                mcp_token="hush-hush",
            )
        )
        everything = " ".join([*launch.argv, *launch.env.values(), *launch.files.values()])
        assert "hush-hush" not in everything + launch.stdin.decode() + repr(
            replace(job, mcp_token="hush-hush")
        )

    def test_an_unknown_option_is_refused_by_name(self, driver, job):
        wrong = replace(job, options={**job.options, "comand": ["x"]})
        with pytest.raises(Invalid, match="comand"):
            driver.launch(wrong)

    def test_options_of_the_engine_are_let_pass(self, driver, job):
        more = {"timeout_minutes": 5, "model": "m"}
        assert driver.launch(replace(job, options={**job.options, **more})).argv

    @pytest.mark.parametrize("model", ["--yolo", "-m", "", "a b", "x\x00y", "../../etc"])
    def test_a_models_name_cannot_smuggle_in_an_option(self, driver, job, model):
        plain = driver.launch(job).argv
        try:
            launch = driver.launch(replace(job, model=model))
        except Invalid:
            return
        assert launch.argv.count(model) == plain.count(model)

    def test_without_its_program_it_refuses_and_says_how_to_get_it(self, driver, job, tmp_path):
        bare = replace(job, environ={"PATH": str(tmp_path / "nowhere"), "HOME": str(tmp_path)})
        if not self.needs_program:
            assert driver.launch(bare).argv
            return
        with pytest.raises(Refused) as told:
            driver.launch(bare)
        assert told.value.hint

    # --- a real run -------------------------------------------------------------------------------

    def test_a_run_works_in_its_workspace_and_is_read_as_completed(self, driver, job):
        done = run(driver, job)
        assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
        assert (job.workspace / self.changed).exists()
        assert done.facts

    # --- reading ----------------------------------------------------------------------------------

    def test_a_whole_success_with_status_0_is_completed(self, driver, job, success):
        done = read(driver, job, success, 0)
        assert done.ending.outcome is Outcome.COMPLETED
        assert all(is_small_and_plain(fact) for fact in done.facts)

    @pytest.mark.parametrize("code", [1, 2, 127, 255, -9, -15, None])
    def test_no_words_make_a_bad_status_good(self, driver, job, success, code):
        assert read(driver, job, success, code).ending.outcome is not Outcome.COMPLETED

    @pytest.mark.parametrize(("why", "outcome"), BY_WHY.items())
    def test_a_run_that_did_not_end_by_itself_is_never_completed(
        self, driver, job, success, why, outcome
    ):
        assert read(driver, job, success, 0, why).ending.outcome is outcome

    def test_failures_are_not_completed_and_say_why(self, driver, job, failures):
        for out, code in failures:
            ending = read(driver, job, out, code).ending
            assert ending.outcome is not Outcome.COMPLETED
            assert ending.reason

    def test_where_the_output_is_cut_changes_nothing(self, driver, job, success):
        whole = read(driver, job, success, 0)

        @calm
        @given(points=st.lists(st.integers(0, 10**6), max_size=12))
        def check(points: list[int]) -> None:
            reader = driver.reader(job)
            facts = [fact for piece in cut(success, points) for fact in reader.feed(piece)]
            assert reader.end(0, "exit") == whole.ending
            assert facts == whole.facts

        check()

    def test_a_success_that_comes_byte_by_byte_is_the_same(self, driver, job, success):
        whole = read(driver, job, success, 0)
        reader = driver.reader(job)
        facts = [fact for i in range(len(success)) for fact in reader.feed(success[i : i + 1])]
        assert (facts, reader.end(0, "exit")) == (whole.facts, whole.ending)

    def test_no_bytes_make_a_reader_raise(self, driver, job):
        @calm
        @given(pieces=st.lists(st.binary(max_size=200), max_size=8), code=st.integers(-64, 255))
        @example(pieces=[b"\xff\xfe\n", b"\xed\xa0\x80\n", b'{"type":\n'], code=0)
        @example(pieces=[b"[" * 100_000 + b"\n", b"\x1b]52;c;aGk=\x07\x9b31m\n"], code=1)
        def check(pieces: list[bytes], code: int) -> None:
            reader = driver.reader(job)
            facts = [fact for piece in pieces for fact in reader.feed(piece)]
            assert all(is_small_and_plain(fact) for fact in facts)
            assert reader.end(code, "exit").reason

        check()

    def test_noise_before_and_between_the_lines_does_no_harm(self, driver, job, success):
        noise = b"warning: \xff\xfe not json\n\n{}\n[1]\nnull\n"
        assert read(driver, job, noise + success, 0).ending.outcome is Outcome.COMPLETED

    def test_a_line_of_17_mebibytes_is_swallowed_whole(self, driver, job, success):
        long = b"x" * (17 * 2**20)
        reader = driver.reader(job)
        pieces = [long[i : i + 65536] for i in range(0, len(long), 65536)]
        facts = [fact for piece in [*pieces, b"\n", success] for fact in reader.feed(piece)]
        assert all(is_small_and_plain(fact) for fact in facts)
        assert reader.end(0, "exit").outcome is Outcome.COMPLETED

    def test_readers_of_two_runs_know_nothing_of_each_other(self, driver, job, success):
        first, second = driver.reader(job), driver.reader(job)
        first.feed(success)
        assert second.end(1, "exit").outcome is not Outcome.COMPLETED
        assert first.end(0, "exit").outcome is Outcome.COMPLETED


class StructuredDriverContract(DriverContract):
    """Run by drivers of programs that announce their own end; status 0 alone is no success."""

    structured = True

    def test_a_success_cut_short_is_no_success(self, driver, job, success):
        whole = success.rstrip()
        last = whole.rindex(b"\n")
        for end in (0, 1, last // 2, last, last + 1, last + 20, len(whole) - 1):
            assert read(driver, job, success[:end], 0).ending.outcome is not Outcome.COMPLETED

    def test_the_announcement_counts_without_an_end_of_line(self, driver, job, success):
        assert read(driver, job, success.rstrip(), 0).ending.outcome is Outcome.COMPLETED
