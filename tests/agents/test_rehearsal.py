"""The driver that replays recordings, and the way from a run to a recording and back."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fake_two_way import output
from agents.jobs import job_in, read, run, start
from contracts.driver import DriverContract, StructuredDriverContract
from muster.agents import cassette, recording, replay
from muster.agents.rehearsal import RehearsalDriver
from muster.domain.agent import Outcome
from muster.domain.errors import Invalid

CASSETTES = Path(__file__).parents[1] / "cassettes"


def written(path: Path, *lines: dict) -> Path:
    """A cassette with these lines after its header."""
    header = {"kind": "cassette", "version": 1, "source": "a test"}
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))
    return path


SIMPLE = [
    {"t": 0.0, "kind": "out", "text": "reading\n"},
    {"t": 0.0, "kind": "err", "text": "a warning\n"},
    {"t": 0.0, "kind": "write", "path": "NOTES.md", "text": "noted\n"},
    {"t": 0.0, "kind": "exit", "code": 0},
]


@pytest.fixture
def job(tmp_path):
    path = written(tmp_path / "demo.jsonl", *SIMPLE)
    return job_in(tmp_path, options={"cassette": str(path), "speed": 0})


class RehearsalContract:
    """What both dialects have in common: no program, no prompt, no model."""

    needs_program = False

    @pytest.fixture
    def driver(self):
        return RehearsalDriver()

    def delivered(self, launch, job):
        return launch.stdin == b""

    def test_it_says_what_it_is(self, driver):
        assert driver.name == "rehearsal"
        assert not driver.capabilities.resume


class TestARehearsalOfPlainTextKeepsTheContract(RehearsalContract, DriverContract):
    @pytest.fixture
    def job(self, tmp_path):
        path = written(tmp_path / "demo.jsonl", *SIMPLE)
        return job_in(tmp_path, options={"cassette": str(path), "speed": 0})

    @pytest.fixture
    def success(self):
        return b"reading\ndone\n"

    @pytest.fixture
    def failures(self):
        return [(b"", 1), (b"rehearsal: broken\n", 2)]


class TestARehearsalOfClaudeKeepsTheContract(RehearsalContract, StructuredDriverContract):
    @pytest.fixture
    def job(self, tmp_path):
        path = CASSETTES / "claude-edit.jsonl"
        return job_in(tmp_path, options={"cassette": str(path), "speed": 0})

    @pytest.fixture
    def success(self):
        lines = cassette.read(CASSETTES / "claude-edit.jsonl").take(1)
        return b"".join(line.data for line in lines if line.kind == "out")

    @pytest.fixture
    def failures(self):
        lines = cassette.read(CASSETTES / "claude-budget.jsonl").take(1)
        return [(b"".join(line.data for line in lines if line.kind == "out"), 1), (b"", 0)]


# --- replaying ------------------------------------------------------------------------------------


def test_the_first_line_says_that_it_is_a_rehearsal(job):
    done = run(RehearsalDriver(), job)
    assert done.out.startswith(b"rehearsal: take 1 of 1 is replayed, recorded from a test")
    assert b"no model is asked" in done.out.splitlines()[0]


def test_output_errors_files_and_status_come_as_recorded(job, tmp_path):
    (job.workspace / "old.txt").write_text("old")
    tool = {"kind": "write", "path": "bin/tool", "data": "IyEvYmluL3NoCg==", "mode": "755"}
    over = {"kind": "write", "path": "NOTES.md", "text": "changed\n"}
    gone = [{"kind": "delete", "path": name} for name in ("old.txt", "never/was.txt")]
    odd = {"kind": "out", "data": "//4K"}
    path = written(
        tmp_path / "d.jsonl", *SIMPLE[:3], tool, over, *gone, odd, {"kind": "exit", "code": 7}
    )
    done = run(RehearsalDriver(), replace(job, options={"cassette": str(path)}))
    assert done.out.endswith(b"reading\n\xff\xfe\n")
    assert done.err == b"a warning\n"
    assert done.code == 7
    assert done.ending.outcome is Outcome.FAILED
    assert (job.workspace / "NOTES.md").read_text() == "changed\n"
    assert (job.workspace / "bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (job.workspace / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert not (job.workspace / "old.txt").exists()


def attempts(job, driver=None) -> list[str]:
    """What each of four attempts notes."""
    noted = []
    for attempt in (1, 2, 3, 4):
        assert run(driver or RehearsalDriver(), replace(job, attempt=attempt)).code == 0
        noted.append((job.workspace / "NOTES.md").read_text())
    return noted


def note(text: str) -> dict:
    return {"kind": "write", "path": "NOTES.md", "text": text}


def test_each_attempt_plays_its_own_take_and_the_last_one_is_played_again(job, tmp_path):
    take = {"kind": "take"}
    path = written(tmp_path / "d.jsonl", note("wrong"), take, note("better"), take, note("right"))
    options = {"cassette": str(path), "speed": 0}
    assert attempts(replace(job, options=options)) == ["wrong", "better", "right", "right"]


def test_each_attempt_plays_its_own_file(job, tmp_path):
    files = [str(written(tmp_path / f"{text}.jsonl", note(text))) for text in ("wrong", "right")]
    options = {"cassettes": files, "speed": 0}
    assert attempts(replace(job, options=options)) == ["wrong", "right", "right", "right"]


def test_a_cassette_without_a_header_and_without_an_exit_is_played(job, tmp_path):
    path = tmp_path / "bare.jsonl"
    path.write_text('\n{"t": 0, "kind": "out", "text": "hi\\n"}\n\n')
    done = run(RehearsalDriver(), replace(job, options={"cassette": str(path)}))
    assert done.out.splitlines()[1:] == [b"hi"]
    assert done.ending.outcome is Outcome.COMPLETED


def test_a_claude_recording_is_read_like_claude(job):
    options = {"cassette": str(CASSETTES / "claude-edit.jsonl"), "speed": 0}
    done = run(RehearsalDriver(), replace(job, options=options))
    assert "Edit /workspace/sums.py" in [f["summary"] for f in done.of("tool_started")]
    assert done.ending.reason == "add adds now."
    assert "rehearsal" in done.facts[0].data["text"]
    plain = run(RehearsalDriver(), replace(job, options={**options, "dialect": "text"}))
    assert {fact.kind for fact in plain.facts} == {"text"}


@pytest.mark.parametrize(
    ("name", "dialect", "code"),
    [("codex", "codex", 0), ("gemini", "acp", None), ("opencode", "acp", 0), ("qwen", "acp", 1)],
)
def test_a_recorded_conversation_ends_again_as_it_did(job, tmp_path, name, dialect, code):
    out = output(CASSETTES / f"talk-{name}.jsonl")
    lines = recording.record([(0.0, out)], [], {}, code)
    path = tmp_path / "talk.jsonl"
    path.write_text(recording.cassette([lines], source=name, dialect=dialect))
    done = run(RehearsalDriver(), replace(job, options={"cassette": str(path), "speed": 0}))
    assert done.ending.outcome is Outcome.COMPLETED, done.ending
    assert done.of("session")[0]["session_id"]
    assert done.of("tool_started")
    assert not done.of("permission")
    half = recording.record([(0.0, out[: len(out) // 2])], [], {}, -9)
    path.write_text(recording.cassette([half], dialect=dialect))
    killed = run(RehearsalDriver(), replace(job, options={"cassette": str(path), "speed": 0}))
    assert killed.ending.outcome is Outcome.CRASHED


def test_a_claude_recording_that_does_not_say_so_is_recognised(job, tmp_path):
    named = (CASSETTES / "claude-edit.jsonl").read_text().splitlines()[1:]
    again = json.dumps({"kind": "out", "text": "rehearsal: a recorded run of a rehearsal\n"})
    (tmp_path / "bare.jsonl").write_text("\n".join([again, *named]))
    options = {"cassette": str(tmp_path / "bare.jsonl"), "speed": 0}
    assert run(RehearsalDriver(), replace(job, options=options)).of("tool_started")


def test_an_interrupt_ends_a_replay_like_any_program(job, tmp_path):
    slow = {"t": 3600, "kind": "out", "text": "late"}
    path = written(tmp_path / "d.jsonl", slow)
    own = replace(job, options={"cassette": str(path)})
    with start(own, RehearsalDriver().launch(own)) as process:
        assert process.stdout.readline().startswith(b"rehearsal")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


def test_lines_are_played_when_they_are_due_and_speed_shortens_the_wait(job):
    lines = (cassette.Line("out", 0.5), cassette.Line("exit", 2.0, code=3))
    due = []
    nowhere = io.BytesIO()
    assert replay.play(lines, job.workspace, nowhere, nowhere, due.append) == 3
    assert due == [0.5, 2.0]
    # Neither waits: the one takes no time, the other would end after the test's own limit.
    replay.paced(0)(10_000.0)
    replay.paced(1000.0)(0.5)


# --- confinement ----------------------------------------------------------------------------------

OUTSIDE = [
    *("/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "", "a\x00b", "\ud800"),
    *(".git/hooks/post-checkout", ".GIT/config", ".git"),
]


@pytest.mark.parametrize("kind", ["write", "delete"])
@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_outside_the_workspace_is_refused_before_anything_is_played(
    job, tmp_path, kind, path
):
    file = written(tmp_path / "d.jsonl", {"kind": kind, "path": path, "text": "x"})
    with pytest.raises(Invalid, match="line 2"):
        RehearsalDriver().launch(replace(job, options={"cassette": str(file)}))


@pytest.mark.parametrize("path", ["link/x", "file-link", "sub/link/x"])
def test_a_link_in_the_workspace_leads_nowhere(job, tmp_path, path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "target").write_text("safe")
    (job.workspace / "link").symlink_to(outside)
    (job.workspace / "file-link").symlink_to(outside / "target")
    (job.workspace / "sub").mkdir()
    (job.workspace / "sub" / "link").symlink_to(outside)
    file = written(tmp_path / "d.jsonl", {"kind": "write", "path": path, "text": "x"})
    done = run(RehearsalDriver(), replace(job, options={"cassette": str(file)}))
    assert done.code == replay.BROKEN
    assert b"rehearsal: " in done.err
    assert [p.name for p in outside.iterdir()] == ["target"]
    assert (outside / "target").read_text() == "safe"


# --- what is no cassette --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "nothing to play"),
        ("not json", "line 1"),
        ("[1]", "line 1"),
        ('{"kind": "dance"}', "kind"),
        ('{"kind": ["out"]}', "line 1"),
        ('{"kind": "cassette", "version": 2}', "version 2"),
        ('{"kind": "cassette", "dialect": "latin"}', "dialect"),
        ('{"kind": "cassette", "source": 1}', "source"),
        ('{"kind": "out", "text": "a"}\n{"kind": "cassette"}', "line 2"),
        ('{"kind": "exit"}\n{"kind": "out", "text": "a"}', "line 2"),
        ('{"kind": "exit", "code": 300}', "code"),
        ('{"kind": "exit", "code": true}', "code"),
        ('{"kind": "out"}', "text or data"),
        ('{"kind": "out", "text": "a", "data": "YQ=="}', "text or data"),
        ('{"kind": "out", "data": "%%"}', "base64"),
        ('{"kind": "out", "text": "a", "t": -1}', "seconds"),
        ('{"kind": "out", "text": "a", "t": NaN}', "seconds"),
        ('{"kind": "out", "text": "a", "t": "1"}', "seconds"),
        ('{"kind": "write", "path": "a", "text": "a", "mode": "rwx"}', "mode"),
        ('{"kind": "write", "path": "a", "text": "a", "mode": null}', "mode"),
        ('{"kind": "write", "path": 1, "text": "a"}', "path"),
    ],
)
def test_what_is_wrong_with_a_cassette_is_said_with_its_line(job, tmp_path, text, word):
    (tmp_path / "d.jsonl").write_text(text)
    own = replace(job, options={"cassette": str(tmp_path / "d.jsonl")})
    with pytest.raises(Invalid, match=word) as told:
        RehearsalDriver().launch(own)
    assert "d.jsonl" in told.value.detail
    assert told.value.hint


@given(st.binary(max_size=300))
def test_any_bytes_are_a_cassette_or_are_refused(data):
    with contextlib.suppress(Invalid):
        assert cassette.parse(data, "it").takes


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "needs a cassette"),
        ({"cassette": "a", "cassettes": ["b"]}, "needs a cassette"),
        ({"cassette": "relative.jsonl"}, "whole path"),
        ({"cassette": "/no/such/file"}, "/no/such/file"),
        ({"cassette": 1}, "cassette"),
        ({"cassettes": "a"}, "cassettes"),
        ({"speed": -1}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"dialect": "latin"}, "dialect"),
    ],
)
def test_a_wrong_option_is_named(job, options, word):
    given_options = (
        options
        if set(options) & {"cassette", "cassettes"} or not options
        else {**job.options, **options}
    )
    with pytest.raises(Invalid, match=word):
        RehearsalDriver().launch(replace(job, options=given_options))


def test_a_cassette_lies_below_the_persons_home_or_musters(job, tmp_path):
    environ = {**job.environ, "HOME": str(tmp_path), "MUSTER_HOME": str(tmp_path)}
    for name in ("~/demo.jsonl", "demo.jsonl"):
        own = replace(job, options={"cassette": name}, environ=environ)
        assert str(tmp_path / "demo.jsonl") in RehearsalDriver().launch(own).argv


def test_it_is_always_there():
    assert RehearsalDriver().find({}).path == sys.executable


# --- recording ------------------------------------------------------------------------------------


def test_a_recorded_run_is_replayed_as_it_was(job, tmp_path):
    out = [(5.0, "grüße\n"), (6.5, b"cut \xc3"), (6.6, b"\xa4 here\n")]
    err = [(6.0, b"\xff\xfe")]
    changes = {"a/new.py": b"x = 1\n", "old.py": None, "run.sh": b"#!/bin/sh\n", ".git/x": b"no"}
    (job.workspace / "old.py").write_text("old")
    take = recording.record(out, err, changes, 4, executable=["run.sh"])
    assert [json.loads(line)["t"] for line in take] == [0.0, 1.0, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6]
    path = tmp_path / "made.jsonl"
    path.write_text(recording.cassette([take], source="a run"))
    done = run(RehearsalDriver(), replace(job, options={"cassette": str(path), "speed": 0}))
    assert done.out.split(b"\n", 1)[1] == "grüße\ncut ä here\n".encode()
    assert done.err == b"\xff\xfe"
    assert done.code == 4
    assert (job.workspace / "a/new.py").read_bytes() == b"x = 1\n"
    assert (job.workspace / "run.sh").stat().st_mode & 0o100
    assert not (job.workspace / "old.py").exists()
    assert not (job.workspace / ".git").exists()


def test_takes_of_several_attempts_make_one_cassette():
    takes = [recording.record([(0, f"{n}\n")], [], {}, 0) for n in (1, 2)]
    made = cassette.parse(recording.cassette(takes, source="s", dialect="claude").encode(), "made")
    assert [made.take(n)[0].data for n in (0, 1, 2, 3)] == [b"1\n", b"1\n", b"2\n", b"2\n"]
    assert (made.source, made.dialect) == ("s", "claude")


@pytest.mark.parametrize(
    ("code", "played"), [(0, 0), (3, 3), (-9, 137), (-200, 255), (None, 255), (999, 255)]
)
def test_a_status_that_a_program_cannot_end_with_is_played_as_a_shell_shows_it(code, played):
    assert json.loads(recording.record([], [], {}, code)[-1])["code"] == played


@given(
    out=st.lists(st.tuples(st.floats(0, 1000), st.binary(max_size=20) | st.text(max_size=20))),
    changes=st.dictionaries(st.text(max_size=10), st.none() | st.binary(max_size=20)),
)
def test_every_recording_can_be_read_again(out, changes):
    text = recording.cassette([recording.record(out, [], changes, 0)])
    lines = cassette.parse(text.encode(), "made").take(1)
    sent = sorted(out, key=lambda piece: piece[0])
    whole = b"".join(p if isinstance(p, bytes) else p.encode("utf-8", "replace") for _, p in sent)
    assert b"".join(line.data for line in lines if line.kind == "out") == whole


def test_the_player_itself_writes_deletes_and_ends_as_recorded(job, tmp_path, monkeypatch, capfd):
    (job.workspace / "old.txt").write_text("old")
    tool = {"kind": "write", "path": "bin/deep/tool", "text": "x", "mode": 0o755}
    gone = {"kind": "delete", "path": "old.txt"}
    never = {"kind": "delete", "path": "never/was"}
    path = written(tmp_path / "d.jsonl", *SIMPLE[:3], tool, gone, never)
    monkeypatch.chdir(job.workspace)
    assert replay.main([str(path), "--speed", "0"]) == 0
    assert capfd.readouterr().err == "a warning\n"
    assert (job.workspace / "bin/deep/tool").stat().st_mode & 0o777 == 0o755
    assert not (job.workspace / "old.txt").exists()


def test_a_broken_cassette_ends_the_player_with_its_own_status(tmp_path, capfdbinary):
    assert replay.main([str(tmp_path / "none.jsonl")]) == replay.BROKEN
    assert b"none.jsonl" in capfdbinary.readouterr().err


def test_the_player_reads_its_plain_output_from_the_running_process(job):
    assert read(RehearsalDriver(), job, b"rehearsal: x\nlast\n", 1).ending.reason.endswith("last")
