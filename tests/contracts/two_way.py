"""What every driver of a two-way program must keep: nothing said twice, nothing left unsaid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.fake_two_way import entries, said, told
from agents.pump import talk
from contracts.driver import StructuredDriverContract, calm, cut, is_small_and_plain
from muster.agents.base import Answer, Fact, Job, Launch, Session
from muster.domain.agent import Outcome
from muster.domain.errors import Conflict

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def messages(data: bytes) -> list[Any]:
    """What is written, message by message; raises where a line is none."""
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


class TwoWayDriverContract(StructuredDriverContract):
    """Run by drivers whose reader is a session; the fixture `job` asks for permission.

    `recording` is a conversation of the real program that asked for a permission and got it.
    `strange` is a request of the program that the driver knows nothing of, and its id.
    """

    @pytest.fixture
    def recording(self) -> Path:
        raise NotImplementedError

    @pytest.fixture
    def strange(self) -> tuple[bytes, Any]:
        raise NotImplementedError

    @pytest.fixture
    def success(self, recording: Path) -> bytes:
        return said(entries(recording))

    @pytest.fixture
    def session(self, driver, job) -> Session:
        return driver.reader(job)

    def delivered(self, launch: Launch, job: Job) -> bool:
        """Whether the prompt is said whole once the program is ready for it."""
        session = self.driver_under_test.reader(job)
        session.feed(self.whole_success)
        whole = job.prompt.encode("utf-8", "replace").decode()
        return json.dumps(whole).encode() in session.replies()

    @pytest.fixture(autouse=True)
    def remembered(self, driver, success) -> None:
        self.driver_under_test, self.whole_success = driver, success

    # --- how it is begun --------------------------------------------------------------------------

    def test_it_is_a_session_that_is_launched_with_its_opening(self, driver, job, session):
        assert isinstance(session, Session)
        assert driver.capabilities.two_way
        launch = driver.launch(job)
        assert launch.interactive
        assert launch.stdin == session.opening() == driver.reader(job).opening()
        assert messages(launch.stdin)

    def test_a_run_works_in_its_workspace_and_is_read_as_completed(self, driver, job):
        done = asyncio.run(talk(driver, job, restarts=True))
        assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
        assert (job.workspace / self.changed).exists()
        assert done.of("permission")

    def test_before_it_has_begun_nothing_can_be_said_or_interrupted(self, session):
        assert session.interrupt() == b""
        with pytest.raises(Conflict) as told_:
            session.say("Hello.")
        assert told_.value.hint

    def test_an_exit_before_the_first_byte_is_no_success(self, driver, job):
        for code in (0, 1, 137, -9, None):
            assert driver.reader(job).end(code, "exit").outcome is not Outcome.COMPLETED
        assert driver.reader(job).end(0, "closed").outcome is not Outcome.COMPLETED

    # --- what it says -----------------------------------------------------------------------------

    def played(self, session: Session, recording: Path) -> Iterator[tuple[bytes, bytes]]:
        """Play a recording up to each entry: all that came out, and all that went in."""
        out = written = b""
        for entry in entries(recording):
            facts = list(session.feed(said([entry])))
            out += said([entry])
            written += session.replies()
            for fact in facts:
                if fact.kind == "permission":
                    written += session.answer(fact.data["id"], Answer(allow=True))
            yield out, written

    def test_it_says_what_the_program_was_told_in_the_recording(self, session, recording):
        *_, (_, written) = self.played(session, recording)
        want = told(entries(recording)).splitlines()
        sent = (session.opening() + written).splitlines()
        assert len(sent) == len(want)
        assert session.replies() == b""

    def test_a_restart_at_any_point_says_nothing_twice(self, driver, job, session, recording):
        for out, written in self.played(session, recording):
            for first in ("out", "in"):
                fresh = driver.reader(job)
                for step in ("out", "in") if first == "out" else ("in", "out"):
                    if step == "out":
                        fresh.feed(out)
                    else:
                        fresh.sent(session.opening() + written)
                assert fresh.replies() == b""
                assert list(fresh.waiting) == list(session.waiting)
                assert fresh.finished is session.finished
                assert fresh.words == session.words

    def test_what_a_restart_left_unsaid_is_said_after_it(self, driver, job, session, recording):
        seen = b""
        for out, written in self.played(session, recording):
            if written != seen:
                fresh = driver.reader(job)
                fresh.feed(out)
                fresh.sent(session.opening() + seen)
                due = fresh.replies()
                for number in fresh.waiting:
                    due += fresh.answer(number, Answer(allow=True))
                assert due == written[len(seen) :]
            seen = written

    def test_a_line_that_a_restart_cut_is_completed(self, driver, job, session, recording):
        seen = b""
        for out, written in self.played(session, recording):
            new = written[len(seen) :]
            for at in {1, len(new) // 2, len(new) - 1} if new and not session.waiting else ():
                fresh = driver.reader(job)
                fresh.feed(out)
                fresh.sent(seen + new[:at])
                rest = fresh.replies()
                for number in fresh.waiting:
                    rest += fresh.answer(number, Answer(allow=True))
                assert new[:at] + rest == new
            seen = written

    def test_an_unknown_request_is_answered_with_an_error_and_once(self, session, strange):
        data, number = strange
        session.feed(data)
        (answer,) = messages(session.replies())
        assert "error" in json.dumps(answer)
        assert json.dumps(number) in json.dumps(answer)
        assert session.replies() == b""

    # --- permissions ------------------------------------------------------------------------------

    def asked(self, session: Session, recording: Path) -> Fact:
        """Play a recording up to its first request for permission."""
        for entry in entries(recording):
            facts = list(session.feed(said([entry])))
            session.replies()
            for fact in facts:
                if fact.kind == "permission":
                    return fact
        raise AssertionError("nothing was asked in the recording")

    def test_a_request_for_permission_can_be_shown_and_waits(self, session, recording):
        fact = self.asked(session, recording)
        assert is_small_and_plain(fact)
        assert fact.data["tool"]
        assert self.changed in fact.data["summary"]
        assert self.changed in fact.data["subject"]
        assert {"allow", "deny"} <= set(fact.data["options"])
        assert list(session.waiting) == [fact.data["id"]]
        assert session.replies() == b""
        assert not session.finished

    @pytest.mark.parametrize("answer", [Answer(allow=True), Answer(False), Answer(True, True)])
    def test_an_answer_names_its_request_and_is_given_once(self, session, recording, answer):
        number = self.asked(session, recording).data["id"]
        (first, *_) = messages(session.answer(number, answer))
        assert number in json.dumps(first)
        assert list(session.waiting) == []
        with pytest.raises(Conflict) as again:
            session.answer(number, answer)
        assert again.value.hint
        assert session.replies() == b""

    def test_a_request_that_nobody_made_cannot_be_answered(self, session, recording):
        self.asked(session, recording)
        with pytest.raises(Conflict):
            session.answer("nobody's", Answer(allow=True))

    def test_allowed_and_denied_are_not_the_same_words(self, driver, job, recording):
        spoken = []
        for answer in (Answer(allow=True), Answer(allow=False)):
            session = driver.reader(job)
            number = self.asked(session, recording).data["id"]
            spoken.append(session.answer(number, answer))
        assert spoken[0] != spoken[1]

    # --- turns ------------------------------------------------------------------------------------

    def test_it_is_finished_by_the_programs_own_word_and_begins_anew_when_spoken_to(
        self, session, recording
    ):
        over = [session.finished for _ in self.played(session, recording)]
        assert over.index(True) >= len(over) - 2
        assert session.end(0, "exit").outcome is Outcome.COMPLETED
        assert session.interrupt() == b""
        assert "Go on." in json.dumps(messages(session.say("Go on.")))
        assert not session.finished
        assert session.end(0, "exit").outcome is not Outcome.COMPLETED

    def test_a_program_that_lingers_after_its_last_word_may_be_ended(self, session, recording):
        *_, _ = self.played(session, recording)
        assert session.end(-9, "closed").outcome is Outcome.COMPLETED

    def test_a_word_after_the_end_is_known_after_a_restart(self, driver, job, session, recording):
        *_, (out, written) = self.played(session, recording)
        written += session.say("Go on.")
        fresh = driver.reader(job)
        fresh.feed(out)
        fresh.sent(written)
        assert not fresh.finished
        assert fresh.words == session.words == 1
        assert fresh.replies() == b""

    # --- strangers --------------------------------------------------------------------------------

    def test_whatever_comes_in_only_messages_go_out(self, driver, job, recording):
        lines = [entry["out"] for entry in entries(recording) if "out" in entry]
        sample = [json.loads(line) for line in lines]
        spoilt = st.builds(
            lambda one, name, value: {**one, name: value},
            st.sampled_from(sample),
            st.sampled_from(["id", "method", "params", "result", "error", "type", "request"]),
            JSON,
        )

        @calm
        @given(events=st.lists(spoilt | st.sampled_from(sample), max_size=8))
        @example(events=[{"id": 2**70, "method": "x"}, {"id": None, "method": "x"}])
        @example(events=[{"id": {"a": 1}, "method": "x"}, {"id": "\ud800", "method": "x"}])
        def check(events: list[Any]) -> None:
            session = driver.reader(job)
            for event in events:
                facts = session.feed(json.dumps(event).encode() + b"\n")
                assert all(is_small_and_plain(fact) for fact in facts)
                messages(session.replies())
            for number in session.waiting:
                messages(session.answer(number, Answer(allow=False)))
            assert session.end(0, "exit").reason

        check()

    def test_whatever_was_sent_a_restart_does_not_fail(self, driver, job):
        @calm
        @given(pieces=st.lists(st.binary(max_size=60) | JSON.map(lambda j: json.dumps(j).encode())))
        def check(pieces: list[bytes]) -> None:
            session = driver.reader(job)
            for piece in pieces:
                session.sent(piece + b"\n")
            session.replies()

        check()

    def test_a_flood_of_requests_is_bounded(self, driver, job, session, recording):
        self.asked(session, recording)
        line = next(e["out"] for e in entries(recording) if self.is_request(e.get("out", "{}")))
        whole = json.loads(line)
        name = "request_id" if "request_id" in whole else "id"
        for number in range(3000):
            session.feed(json.dumps({**whole, name: f"flood-{number}"}).encode() + b"\n")
        assert len(session.waiting) <= 1000
        assert len(messages(session.replies())) >= 2000

    def is_request(self, line: str) -> bool:
        """Whether a line of the program asks for permission."""
        return "can_use_tool" in line or "requestApproval" in line or "request_permission" in line

    def test_a_permission_of_a_megabyte_is_shown_in_short(self, driver, job, session, recording):
        self.asked(session, recording)
        line = next(e["out"] for e in entries(recording) if self.is_request(e.get("out", "{}")))
        whole = json.loads(line)
        name = "request_id" if "request_id" in whole else "id"
        long = line.replace("add adds", "x" * 2**20).replace(json.dumps(whole[name]), '"long"', 1)
        facts = [f for piece in cut(long.encode() + b"\n", [7, 99]) for f in session.feed(piece)]
        assert all(is_small_and_plain(fact) for fact in facts)

    def test_without_asking_it_waits_for_nobody(self, driver, job):
        plain = driver.launch(replace(job, ask=False))
        assert plain.interactive
