"""The driver of Claude Code, on recorded runs of the real program."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from agents.fake_claude import install
from agents.jobs import job_in, read
from agents.scenarios import SCENARIOS
from contracts.driver import StructuredDriverContract
from muster.agents import cassette
from muster.agents.claude import ClaudeDriver
from muster.domain.agent import Outcome, Usage
from muster.domain.errors import Invalid, Refused

CASSETTES = Path(__file__).parents[1] / "cassettes"
SESSION = "7b755b82-2506-49e6-8622-71993dfb1e99"


def recorded(name: str) -> tuple[bytes, int]:
    """The whole standard output and the exit status of a recorded run."""
    lines = cassette.read(CASSETTES / f"claude-{name}.jsonl").take(1)
    return b"".join(line.data for line in lines if line.kind == "out"), lines[-1].code


@pytest.fixture
def job(tmp_path):
    install(tmp_path / "bin", CASSETTES / "claude-edit.jsonl")
    environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "person")}
    return job_in(tmp_path, environ=environ)


def with_environ(job, **more):
    return replace(job, environ={**job.environ, **more})


class TestTheClaudeDriverKeepsTheContract(StructuredDriverContract):
    @pytest.fixture
    def driver(self):
        return ClaudeDriver()

    @pytest.fixture
    def job(self, tmp_path):
        install(tmp_path / "bin", CASSETTES / "claude-edit.jsonl")
        return job_in(tmp_path, environ={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)})

    @pytest.fixture
    def success(self):
        return recorded("edit")[0]

    @pytest.fixture
    def failures(self):
        bad = [name for name, s in SCENARIOS.items() if s.outcome is not Outcome.COMPLETED]
        return [recorded(name) for name in bad]


# --- endings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_recorded_run_is_understood(job, name):
    scenario = SCENARIOS[name]
    out, code = recorded(name)
    ending = read(ClaudeDriver(), job, out, code).ending
    assert ending.outcome is scenario.outcome
    assert scenario.reason in ending.reason
    assert ending.retry_at == scenario.retry_at


def test_an_interrupt_leaves_status_0_and_is_no_success(job):
    out, code = recorded("interrupted")
    assert code == 0
    assert read(ClaudeDriver(), job, out, code).ending.outcome is Outcome.CRASHED
    assert read(ClaudeDriver(), job, out, code, "stopped").ending.outcome is Outcome.CANCELLED
    init = out.splitlines(keepends=True)[0]
    silent = read(ClaudeDriver(), job, init, code).ending
    assert silent.outcome is Outcome.CRASHED
    assert "without a result" in silent.reason


def result(**fields) -> bytes:
    """A result line, by default one of success."""
    event = {"type": "result", "subtype": "success", "is_error": False, "result": "ok", **fields}
    return json.dumps(event).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"is_error": True}, Outcome.FAILED),
        ({"is_error": None}, Outcome.FAILED),
        ({"is_error": 0}, Outcome.FAILED),
        ({"subtype": "error_during_execution"}, Outcome.FAILED),
        ({"subtype": "error_max_turns", "is_error": True}, Outcome.BUDGET),
        ({"subtype": "error_max_budget_usd", "is_error": True, "errors": 3}, Outcome.BUDGET),
        ({"is_error": True, "api_error_status": 429}, Outcome.RATE_LIMITED),
        ({"is_error": True, "api_error_status": "401"}, Outcome.FAILED),
        ({"is_error": True, "terminal_reason": "api_error"}, Outcome.CRASHED),
        ({"is_error": True, "terminal_reason": "api_error", "api_error_status": 404}, None),
        (
            {"is_error": True, "terminal_reason": "api_error", "api_error_status": 503},
            Outcome.UNAVAILABLE,
        ),
        ({"is_error": True, "stop_reason": "refusal"}, Outcome.REFUSED),
    ],
)
def test_a_result_is_a_success_only_in_both_of_its_words(job, fields, outcome):
    ending = read(ClaudeDriver(), job, result(**fields), 1).ending
    assert ending.outcome is (outcome or Outcome.FAILED)
    # A status of 0 beside an error changes nothing.
    assert read(ClaudeDriver(), job, result(**fields), 0).ending.outcome is ending.outcome


def test_the_last_result_counts(job):
    both = result() + result(is_error=True, result="then it broke")
    assert read(ClaudeDriver(), job, both, 0).ending.reason == "then it broke"
    assert read(ClaudeDriver(), job, both + result(), 0).ending.outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("resets", "retry_at"),
    [(1795300000, 1795300000.0), (1795300000000, 1795300000.0), (-1, None), ("soon", None)],
)
def test_when_a_limit_ends_is_taken_in_seconds_or_not_at_all(job, resets, retry_at):
    info = {"status": "rejected", "resetsAt": resets, "rateLimitType": "five_hour"}
    event = json.dumps({"type": "rate_limit_event", "rate_limit_info": info}).encode() + b"\n"
    done = read(ClaudeDriver(), job, event + result(is_error=True, api_error_status=429), 1)
    assert done.ending.retry_at == retry_at
    assert done.of("rate_limit") == [{"retry_at": retry_at, "limit": "five_hour"}]


def test_a_limit_that_is_only_near_is_not_one_that_was_met(job):
    info = {"status": "allowed_warning", "resetsAt": 1795300000, "utilization": 0.93}
    event = json.dumps({"type": "rate_limit_event", "rate_limit_info": info}).encode() + b"\n"
    done = read(ClaudeDriver(), job, event + result(), 0)
    assert done.ending.outcome is Outcome.COMPLETED
    assert done.of("rate_limit") == []
    assert "93%" in done.of("raw")[0]["text"]


# --- facts ----------------------------------------------------------------------------------------


def test_a_run_is_told_step_by_step(job):
    done = read(ClaudeDriver(), replace(job, workspace=Path("/workspace")), *recorded("edit"))
    assert done.of("session")[0]["model"] == "claude-sonnet-4-5"
    assert done.of("session")[0]["version"] == "2.1.329"
    assert [f["summary"] for f in done.of("tool_started")] == [
        "Read sums.py",
        "Edit sums.py",
        "Write NOTES.md",
        "Bash cat NOTES.md; exit 3",
    ]
    assert [(f["tool"], f["ok"]) for f in done.of("tool_finished")] == [
        ("Read", True),
        ("Edit", True),
        ("Write", True),
        ("Bash", False),
    ]
    assert "Exit code 3" in done.of("tool_finished")[-1]["summary"]
    assert done.of("file") == [
        {"path": "sums.py", "action": "modified"},
        {"path": "NOTES.md", "action": "created"},
    ]
    assert [f["text"] for f in done.of("text")] == ["The sign is wrong.", "add adds now."]
    assert done.of("finished")[-1]["ok"] is True


def test_tokens_and_cost_are_totals_that_only_grow(job):
    used = read(ClaudeDriver(), job, *recorded("edit")).of("usage")
    # As the script said: 1000 + 1100 + 1200 read, 40 + 60 + 10 written; 3 and 15 USD per million.
    assert used[-1]["input_tokens"] == 3300
    assert used[-1]["output_tokens"] == 110
    assert used[-1]["cost_usd"] == pytest.approx(3300 * 3e-6 + 110 * 15e-6)
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        values = [u[name] for u in used]
        assert values == sorted(values)


def test_what_a_budget_cut_off_is_still_counted(job):
    used = read(ClaudeDriver(), job, *recorded("budget")).of("usage")[-1]
    assert (used["input_tokens"], used["output_tokens"]) == (100_000, 50_000)
    assert used["cost_usd"] == pytest.approx(1.05)


def test_a_resumed_run_is_only_charged_its_own_part(job):
    cost = {"total_cost_usd": 2.1, "usage": {"input_tokens": 100, "output_tokens": 50}}
    session = {"modelUsage": {"m": {"inputTokens": 200, "outputTokens": 100}}}
    again = replace(job, resume_session=SESSION, resume_usage=Usage(100, 50, 1.05))
    used = read(ClaudeDriver(), again, result(**cost, **session), 0).of("usage")[-1]
    assert used == {"input_tokens": 100, "output_tokens": 50, "cost_usd": pytest.approx(1.05)}


def test_cost_of_several_models_and_turns_is_summed(job):
    models = {
        "a": {"inputTokens": 10, "outputTokens": 1, "cacheReadInputTokens": 5},
        "b": {"inputTokens": 20, "outputTokens": 2, "cacheCreationInputTokens": 7},
    }
    turn = {"usage": {"input_tokens": 10, "output_tokens": 1}}
    out = result(**turn, total_cost_usd=0.5) + result(**turn, total_cost_usd=0.75)
    assert read(ClaudeDriver(), job, out, 0).of("usage")[-1]["input_tokens"] == 20
    assert read(ClaudeDriver(), job, out, 0).of("usage")[-1]["cost_usd"] == 0.75
    used = read(ClaudeDriver(), job, out + result(modelUsage=models), 0).of("usage")[-1]
    assert (used["input_tokens"], used["output_tokens"]) == (42, 3)


def test_retries_are_told_with_their_cause(job):
    retry = read(ClaudeDriver(), job, *recorded("rate-limit")).of("retry")[0]
    assert (retry["attempt"], retry["status"]) == (1, 429)
    assert "rate_limit" in retry["text"]


def test_an_answer_of_the_service_is_an_error_and_not_the_models_text(job):
    done = read(ClaudeDriver(), job, *recorded("unauthorised"))
    assert done.of("text") == []
    assert "401" in done.of("error")[0]["text"]


# --- launching ------------------------------------------------------------------------------------


def value_of(argv, flag):
    return argv[argv.index(flag) + 1]


def test_the_command_asks_for_a_stream_and_leaves_the_repositorys_settings_alone(job):
    argv = ClaudeDriver().launch(job).argv
    assert value_of(argv, "--output-format") == "stream-json"
    assert value_of(argv, "--setting-sources") == "user"
    assert value_of(argv, "--add-dir") == str(job.workspace)
    assert {"-p", "--verbose", "--strict-mcp-config"} <= set(argv)
    assert "SendMessage" in value_of(argv, "--disallowedTools")
    assert not {"--model", "--max-budget-usd", "--resume"} & set(argv)


def test_model_budget_session_and_own_arguments_are_passed(job):
    more = replace(
        job,
        model="opus",
        budget_usd=0.25,
        resume_session=SESSION,
        options={"args": ["--effort", "low"], "env": {"A": "b"}},
    )
    launch = ClaudeDriver().launch(more)
    assert value_of(launch.argv, "--model") == "opus"
    assert float(value_of(launch.argv, "--max-budget-usd")) == 0.25
    assert value_of(launch.argv, "--resume") == SESSION
    assert launch.argv[-2:] == ("--effort", "low")
    assert launch.env["A"] == "b"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"resume_session": "--fork-session"}, "--fork-session"),
        ({"resume_session": "../x"}, "../x"),
        ({"budget_usd": 0.0}, "budget"),
        ({"budget_usd": float("nan")}, "budget"),
        ({"model": "--help"}, "--help"),
        ({"options": {"args": "--help"}}, "args"),
    ],
)
def test_what_cannot_be_right_is_refused(job, change, word):
    with pytest.raises(Invalid, match=word):
        ClaudeDriver().launch(replace(job, **change))


def test_it_quiets_the_program_and_bounds_its_retries(job):
    env = ClaudeDriver().launch(job).env
    assert env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert env["CLAUDE_CODE_MAX_RETRIES"] == "2"
    assert ("IS_SANDBOX" in env) is (os.geteuid() == 0)


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
)
def test_with_a_key_the_run_has_a_configuration_of_its_own(job, name):
    launch = ClaudeDriver().launch(with_environ(job, **{name: "sk-ant-secret"}))
    assert launch.env[name] == "sk-ant-secret"
    assert launch.env["CLAUDE_CONFIG_DIR"] == str(job.home / "claude")
    assert launch.secrets == ("sk-ant-secret",)


def test_with_a_service_of_its_own_the_login_is_not_shown_to_it(job):
    launch = ClaudeDriver().launch(with_environ(job, ANTHROPIC_BASE_URL="http://127.0.0.1:9"))
    assert launch.env["CLAUDE_CONFIG_DIR"] == str(job.home / "claude")


def test_without_a_key_the_run_is_pointed_at_the_persons_login(job, tmp_path):
    login = str(tmp_path / "person" / ".claude")
    assert ClaudeDriver().launch(job).env["CLAUDE_CONFIG_DIR"] == login
    moved = with_environ(job, CLAUDE_CONFIG_DIR="/elsewhere", ANTHROPIC_API_KEY="")
    assert ClaudeDriver().launch(moved).env["CLAUDE_CONFIG_DIR"] == "/elsewhere"
    assert ClaudeDriver().launch(moved).secrets == ()


def test_the_values_of_own_headers_are_secret(job):
    headers = "X-Auth: top-secret-1\nX-B: top-secret-2"
    launch = ClaudeDriver().launch(with_environ(job, ANTHROPIC_CUSTOM_HEADERS=headers))
    assert launch.secrets == ("top-secret-1", "top-secret-2")


def test_the_other_agents_instructions_stand_in_where_there_are_none_for_claude(job):
    page = job.workspace / "AGENTS.md"
    page.write_text("Be kind.\n")
    argv = ClaudeDriver().launch(job).argv
    assert value_of(argv, "--append-system-prompt-file") == str(page)
    (job.workspace / "CLAUDE.md").write_text("Be brief.\n")
    assert "--append-system-prompt-file" not in ClaudeDriver().launch(job).argv


def test_instructions_that_are_a_link_are_not_followed(job):
    (job.workspace / "AGENTS.md").symlink_to("/etc/hostname")
    assert "--append-system-prompt-file" not in ClaudeDriver().launch(job).argv


# --- finding --------------------------------------------------------------------------------------


def test_the_program_its_version_and_the_sign_in_are_found(job, tmp_path):
    found = ClaudeDriver().find(job.environ)
    assert found.path == str(tmp_path / "bin" / "claude")
    assert found.version == "2.1.329"
    assert found.signed_in is False
    assert "sign in" in found.hint
    login = tmp_path / "person" / ".claude" / ".credentials.json"
    login.parent.mkdir(parents=True)
    # Only its existence is looked at.
    login.touch(mode=0o000)
    assert ClaudeDriver().find(job.environ).signed_in is True
    assert ClaudeDriver().find({**job.environ, "HOME": "/none"}).signed_in is False
    keyed = {**job.environ, "HOME": "/none", "ANTHROPIC_API_KEY": "k"}
    assert ClaudeDriver().find(keyed).signed_in is True


def test_the_native_installers_place_is_looked_at_too(tmp_path):
    program = install(tmp_path / ".local" / "bin", CASSETTES / "claude-edit.jsonl")
    environ = {"PATH": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
    assert ClaudeDriver().find(environ).path == str(program)


def test_a_missing_program_is_refused_with_the_way_to_get_it(job, tmp_path):
    bare = replace(job, environ={"PATH": str(tmp_path / "nowhere")})
    with pytest.raises(Refused) as told:
        ClaudeDriver().launch(bare)
    assert "npm install" in told.value.hint


def test_a_contained_run_without_a_key_is_lent_the_login_alone(job, tmp_path):
    launch = ClaudeDriver().launch(replace(job, contained=True))
    own = job.home / "claude"
    assert launch.env["CLAUDE_CONFIG_DIR"] == str(own)
    lent = tmp_path / "person" / ".claude" / ".credentials.json"
    assert launch.logins == {own / ".credentials.json": lent}
    assert "api.anthropic.com" in launch.network
    keyed = with_environ(replace(job, contained=True), ANTHROPIC_API_KEY="sk-ant-secret")
    assert ClaudeDriver().launch(keyed).logins == {}
