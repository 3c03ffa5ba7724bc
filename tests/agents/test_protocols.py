"""What is said to two-way programs, checked with the protocols' own schemas."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from acp import schema

from agents.fake_two_way import entries
from agents.test_two_way import job_with, recording_of, rpc
from agents.two_way_programs import PROGRAMS
from muster.agents.acp import AcpDriver
from muster.agents.base import Answer, Job
from muster.agents.claude import ClaudeDriver
from muster.agents.codex import TESTED, CodexDriver
from muster.domain.agent import Outcome
from muster.domain.errors import Conflict, Invalid


def said_of(driver, job: Job, recording: Path, answer: Answer) -> list[dict[str, Any]]:
    """All that a session says through a recording, with a word after it."""
    session = driver.reader(job)
    written = session.opening()
    for entry in entries(recording):
        facts = session.feed(entry["out"].encode() + b"\n") if "out" in entry else []
        written += session.replies()
        for fact in facts:
            if fact.kind == "permission":
                written += session.answer(fact.data["id"], answer)
    written += session.say("Go on.") + session.interrupt()
    return [json.loads(line) for line in written.splitlines()]


# --- ACP ------------------------------------------------------------------------------------------

ACP = {
    "initialize": schema.InitializeRequest,
    "session/new": schema.NewSessionRequest,
    "session/load": schema.LoadSessionRequest,
    "session/prompt": schema.PromptRequest,
    "session/set_mode": schema.SetSessionModeRequest,
    "session/cancel": schema.CancelNotification,
}


@pytest.mark.parametrize("name", ["gemini", "opencode", "qwen"])
@pytest.mark.parametrize("answer", [Answer(True), Answer(True, True), Answer(False)])
def test_what_is_said_to_an_acp_agent_is_in_its_schema(tmp_path, name, answer):
    job = job_with(tmp_path, name)
    methods = set()
    for message in said_of(AcpDriver(), job, recording_of(name), answer):
        assert message["jsonrpc"] == "2.0"
        if "method" in message:
            methods.add(message["method"])
            ACP[message["method"]].model_validate(message["params"])
        elif "result" in message:
            schema.RequestPermissionResponse.model_validate(message["result"])
    assert {"initialize", "session/new", "session/prompt"} <= methods


def test_a_session_is_loaded_where_the_agent_can(tmp_path):
    job = replace(job_with(tmp_path, "qwen"), resume_session="ses-1")
    session = AcpDriver().reader(job)
    can = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
    session.feed(rpc(id="initialize", result=can))
    (load,) = map(json.loads, session.replies().splitlines())
    assert load["method"] == "session/load"
    schema.LoadSessionRequest.model_validate(load["params"])
    past = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "old"}}
    params = {"sessionId": "ses-1", "update": past}
    assert session.feed(rpc(method="session/update", params=params)) == []
    (fact,) = session.feed(rpc(id="session", result={}))
    assert fact.data["session_id"] == "ses-1"


def test_an_agent_that_cannot_load_a_session_begins_one(tmp_path):
    session = AcpDriver().reader(replace(job_with(tmp_path, "qwen"), resume_session="ses-1"))
    session.feed(rpc(id="initialize", result={"protocolVersion": 1}))
    (new,) = map(json.loads, session.replies().splitlines())
    assert new["method"] == "session/new"
    (fact,) = session.feed(rpc(id="session", result={"sessionId": "ses-2"}))
    assert fact.data["session_id"] == "ses-2"
    (prompt,) = map(json.loads, session.replies().splitlines())
    assert prompt["params"]["sessionId"] == "ses-2"


def test_a_session_that_is_gone_is_begun_anew_unless_the_service_is_the_fault(tmp_path):
    can = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
    for code, said, anew in (
        (-32602, "session not found", True),
        (-32000, "sign in first", False),
        (429, "too many requests", False),
    ):
        session = AcpDriver().reader(replace(job_with(tmp_path, "qwen"), resume_session="ses-1"))
        session.feed(rpc(id="initialize", result=can))
        session.replies()
        session.feed(rpc(id="session", error={"code": code, "message": said}))
        assert session.finished is not anew
        if anew:
            (new,) = map(json.loads, session.replies().splitlines())
            assert new["method"] == "session/new"
            schema.NewSessionRequest.model_validate(new["params"])
            (fact,) = session.feed(rpc(id=new["id"], result={"sessionId": "ses-2"}))
            assert fact.data["session_id"] == "ses-2"


def test_a_plan_of_an_agent_is_told(tmp_path):
    session = AcpDriver().reader(job_with(tmp_path, "gemini"))
    session.feed(rpc(id="initialize", result={"protocolVersion": 1}))
    session.feed(rpc(id="session", result={"sessionId": "s"}))
    steps = [{"content": "Look", "status": "completed", "priority": "high"}]
    update = {"sessionUpdate": "plan", "entries": steps}
    (fact,) = session.feed(rpc(method="session/update", params={"update": update}))
    assert fact.data == {"steps": [{"text": "Look", "status": "completed"}]}


def test_a_request_to_an_interrupted_agent_is_given_up(tmp_path):
    session = AcpDriver().reader(job_with(tmp_path, "gemini"))
    for entry in entries(recording_of("gemini")):
        session.feed(entry.get("out", "").encode() + b"\n")
        session.replies()
        if session.waiting:
            break
    cancel, answer = map(json.loads, session.interrupt().splitlines())
    assert cancel["method"] == "session/cancel"
    assert answer["result"]["outcome"]["outcome"] == "cancelled"
    assert list(session.waiting) == []


def test_an_id_is_answered_as_the_kind_of_thing_it_was(tmp_path):
    session = AcpDriver().reader(job_with(tmp_path, "gemini"))
    for number in (7, "7", '"', "", "a b"):
        session.feed(rpc(id=number, method="terminal/create", params={}))
        (answer,) = map(json.loads, session.replies().splitlines())
        assert answer["id"] == number
        assert type(answer["id"]) is type(number)


def test_an_agent_that_ends_a_prompt_otherwise_has_another_outcome(tmp_path):
    reasons = {
        "max_tokens": Outcome.BUDGET,
        "max_turn_requests": Outcome.BUDGET,
        "refusal": Outcome.REFUSED,
        "cancelled": Outcome.CANCELLED,
        "what?": Outcome.FAILED,
    }
    for reason, outcome in reasons.items():
        session = AcpDriver().reader(job_with(tmp_path, "gemini"))
        session.feed(rpc(id="session", result={"sessionId": "s"}))
        session.feed(rpc(id="prompt-1", result={"stopReason": reason}))
        assert session.end(0, "exit").outcome is outcome


def test_what_opencodes_plugin_tells_is_a_retry_and_the_status_of_the_error_after_it(tmp_path):
    session = AcpDriver().reader(job_with(tmp_path, "opencode"))
    session.feed(rpc(id="session", result={"sessionId": "s"}))
    told = {"message": "Rate limit reached", "delay": 3_600_000}
    (retry,) = session.feed(rpc(method="_muster/retry", params=told))
    assert retry.kind == "retry"
    assert (retry.data["text"], retry.data["delay_seconds"]) == ("Rate limit reached", 3600)
    assert session.feed(rpc(method="_muster/error", params={"status": 500})) == []
    session.feed(rpc(id="prompt-1", error={"code": -32603, "message": "Internal error: no"}))
    assert session.end(0, "exit").outcome is Outcome.UNAVAILABLE
    session.say("Go on.")
    session.feed(rpc(id="prompt-2", error={"code": -32603, "message": "Internal error: no"}))
    assert session.end(0, "exit").outcome is Outcome.FAILED


def test_an_acp_agent_that_nobody_knows_is_named_by_its_command(tmp_path):
    job = replace(job_with(tmp_path, "gemini"), options={"command": ["gemini", "--speak-acp"]})
    launch = AcpDriver().launch(job)
    assert launch.argv == (str(tmp_path / "bin" / "gemini"), "--speak-acp")
    assert "GEMINI_API_KEY" not in launch.env
    for wrong, word in [({}, "command"), ({"preset": "x"}, "gemini"), ({"comand": 1}, "comand")]:
        with pytest.raises(Invalid) as told:
            AcpDriver().launch(replace(job, options=wrong))
        assert word in f"{told.value} {told.value.hint}"


def test_a_session_over_acp_cannot_be_forked(tmp_path):
    with pytest.raises(Invalid, match="fork"):
        AcpDriver().reader(replace(job_with(tmp_path, "gemini"), fork=True))


# --- Codex ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def codex_schema(tmp_path_factory) -> Path:
    """The schema that the installed Codex prints of its own protocol."""
    folder = tmp_path_factory.mktemp("schema")
    argv = ["codex", "app-server", "generate-json-schema", "--out", str(folder)]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CODEX_HOME": str(folder)}
    subprocess.run(argv, check=True, env=env, capture_output=True, timeout=60)
    return folder


CODEX = {
    "initialize": "v1/InitializeParams",
    "thread/start": "v2/ThreadStartParams",
    "thread/resume": "v2/ThreadResumeParams",
    "thread/fork": "v2/ThreadForkParams",
    "turn/start": "v2/TurnStartParams",
    "turn/steer": "v2/TurnSteerParams",
    "turn/interrupt": "v2/TurnInterruptParams",
}
HEARD = {
    "item/started": "v2/ItemStartedNotification",
    "item/completed": "v2/ItemCompletedNotification",
    "turn/started": "v2/TurnStartedNotification",
    "turn/completed": "v2/TurnCompletedNotification",
    "turn/plan/updated": "v2/TurnPlanUpdatedNotification",
    "thread/tokenUsage/updated": "v2/ThreadTokenUsageUpdatedNotification",
    "account/rateLimits/updated": "v2/AccountRateLimitsUpdatedNotification",
    "error": "v2/ErrorNotification",
    "item/commandExecution/requestApproval": "CommandExecutionRequestApprovalParams",
    "item/fileChange/requestApproval": "FileChangeRequestApprovalParams",
    "item/permissions/requestApproval": "PermissionsRequestApprovalParams",
}


def check(folder: Path, name: str, value: Any) -> None:
    jsonschema.validate(value, json.loads((folder / f"{name}.json").read_text()))


@pytest.mark.needs_codex
@pytest.mark.parametrize("answer", [Answer(True), Answer(True, True), Answer(False, message="no")])
def test_what_is_said_to_codex_is_in_the_schema_that_it_prints(tmp_path, codex_schema, answer):
    job = job_with(tmp_path, "codex")
    methods = set()
    for message in said_of(CodexDriver(), job, recording_of("codex"), answer):
        if message.get("method") in CODEX:
            methods.add(message["method"])
            check(codex_schema, CODEX[message["method"]], message["params"])
        elif "result" in message:
            check(codex_schema, "FileChangeRequestApprovalResponse", message["result"])
        else:
            assert message["method"] == "initialized"
    assert {"initialize", "thread/start", "turn/start"} <= methods


@pytest.mark.needs_codex
def test_all_that_is_heard_of_codex_is_still_in_its_schema(codex_schema):
    """A name that is gone from the schema would silently never be heard again."""
    told = json.loads((codex_schema / "ServerNotification.json").read_text())
    asked = json.loads((codex_schema / "ServerRequest.json").read_text())
    methods = {one["properties"]["method"]["enum"][0] for one in [*told["oneOf"], *asked["oneOf"]]}
    assert set(HEARD) <= methods
    for name in HEARD.values():
        assert (codex_schema / f"{name}.json").exists()
    recorded = [json.loads(e["out"]) for e in entries(recording_of("codex")) if "out" in e]
    for message in recorded:
        if message.get("method") in HEARD:
            check(codex_schema, HEARD[message["method"]], message["params"])


@pytest.mark.needs_codex
def test_codex_is_the_version_that_was_tested():
    found = CodexDriver().find({"PATH": os.environ["PATH"], "HOME": "/none", "OPENAI_API_KEY": "k"})
    assert found.version.split(".")[:2] == TESTED.split(".")[:2]
    assert found.signed_in is True


@pytest.mark.needs_codex
def test_more_rights_are_granted_as_asked_or_not_at_all(tmp_path, codex_schema):
    job = job_with(tmp_path, "codex")
    wanted = {"network": {"enabled": True}}
    for answer, given in ((Answer(True, True), wanted), (Answer(False), {})):
        session = CodexDriver().reader(job)
        params = {"permissions": wanted, "itemId": "i", "cwd": "/w"}
        session.feed(rpc(id=3, method="item/permissions/requestApproval", params=params))
        result = json.loads(session.answer("3", answer))["result"]
        assert result["permissions"] == given
        check(codex_schema, "PermissionsRequestApprovalResponse", result)


def begun(tmp_path: Path):
    session = CodexDriver().reader(job_with(tmp_path, "codex"))
    session.feed(rpc(id="initialize", result={}))
    session.feed(rpc(id="thread", result={"thread": {"id": "t"}, "model": "gpt-5"}))
    session.feed(rpc(id="turn-1", result={"turn": {"id": "u"}}))
    session.replies()
    return session


def over(status: str, **error: Any) -> bytes:
    turn = {"id": "u", "status": status, **({"error": error} if error else {})}
    return rpc(method="turn/completed", params={"threadId": "t", "turn": turn})


@pytest.mark.parametrize(
    ("info", "outcome"),
    [
        ("usageLimitExceeded", Outcome.RATE_LIMITED),
        ("rateLimitExceeded", Outcome.RATE_LIMITED),
        ("serverOverloaded", Outcome.RATE_LIMITED),
        ("unauthorized", Outcome.AUTH),
        ("internalServerError", Outcome.UNAVAILABLE),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}, Outcome.RATE_LIMITED),
        ({"httpConnectionFailed": {"httpStatusCode": 401}}, Outcome.AUTH),
        ({"responseStreamDisconnected": {"httpStatusCode": None}}, Outcome.FAILED),
        ("other", Outcome.FAILED),
        (None, Outcome.FAILED),
        (7, Outcome.FAILED),
    ],
)
def test_codexs_typed_errors_have_their_outcomes(tmp_path, info, outcome):
    session = begun(tmp_path)
    session.feed(over("failed", message="no", codexErrorInfo=info))
    assert session.finished
    assert session.end(0, "exit").outcome is outcome


def test_when_codexs_limit_ends_is_taken_from_its_own_report(tmp_path):
    session = begun(tmp_path)
    windows = {"primary": {"usedPercent": 100, "resetsAt": 1795300000}, "secondary": None}
    update = rpc(method="account/rateLimits/updated", params={"rateLimits": windows})
    assert session.feed(update)[0].data == {"retry_at": 1795300000.0}
    session.feed(over("failed", message="limit", codexErrorInfo="usageLimitExceeded"))
    assert session.end(0, "exit").retry_at == 1795300000.0


def test_a_turn_of_another_thread_ends_nothing(tmp_path):
    session = begun(tmp_path)
    turn = {"id": "x", "status": "completed"}
    session.feed(rpc(method="turn/completed", params={"threadId": "other", "turn": turn}))
    assert not session.finished


def test_a_word_that_came_too_late_for_its_turn_begins_the_next(tmp_path):
    session = begun(tmp_path)
    assert b"turn/steer" in session.say("Mind the gap.")
    session.feed(over("completed"))
    session.feed(rpc(id="steer-2", error={"code": -32600, "message": "no active turn"}))
    (again,) = map(json.loads, session.replies().splitlines())
    assert again["method"] == "turn/start"
    assert again["params"]["input"][0]["text"] == "Mind the gap."
    assert not session.finished


@pytest.mark.parametrize(
    ("params", "subject"),
    [
        ({"command": "/bin/bash -lc 'npm test'"}, "npm test"),
        ({"command": "/bin/bash -lc 'a b' c"}, "/bin/bash -lc 'a b' c"),
        ({"command": "it's"}, "it's"),
        ({"command": "sh -c 'rm -r x'", "cwd": "{tree}/src"}, "rm -r x"),
        ({"command": "sh -c 'rm -r x'", "cwd": "{tree}/../.."}, None),
        ({"command": "sh -c 'rm -r x'", "cwd": "/"}, None),
    ],
)
def test_rules_judge_a_command_as_it_was_typed_and_only_in_the_workspace(tmp_path, params, subject):
    session = begun(tmp_path)
    tree = str(job_with(tmp_path, "codex").workspace)
    given = {name: value.replace("{tree}", tree) for name, value in params.items()}
    asked = rpc(id=3, method="item/commandExecution/requestApproval", params=given)
    (fact,) = session.feed(asked)
    assert fact.data["subject"] == subject


TOO_LATE = rpc(id="steer-2", error={"code": -32600, "message": "no active turn"})
TAKEN = rpc(id="steer-2", result={})


@pytest.mark.parametrize("record_first", [True, False])
@pytest.mark.parametrize("answer", [TOO_LATE, TAKEN, b""], ids=["too late", "taken", "unanswered"])
def test_a_word_is_known_again_whichever_is_read_first(tmp_path, answer, record_first):
    said = begun(tmp_path).say("Mind the gap.")
    again = begun(tmp_path)
    if record_first:
        again.sent(said)
    again.feed(answer + over("completed"))
    if not record_first:
        again.sent(said)
    assert again.words == 1
    due = again.replies()
    assert (b"Mind the gap." in due) is (answer == TOO_LATE)
    assert again.finished is (answer == TAKEN)


def test_codex_cannot_be_given_another_command_than_it_asked_for(tmp_path):
    session = begun(tmp_path)
    params = {"command": "ls", "itemId": "i"}
    session.feed(rpc(id=3, method="item/commandExecution/requestApproval", params=params))
    with pytest.raises(Invalid):
        session.answer("3", Answer(True, edited={"command": "pwd"}))
    assert list(session.waiting) == ["3"]


def test_a_request_that_codex_gave_up_cannot_be_answered(tmp_path):
    session = begun(tmp_path)
    params = {"command": "ls", "itemId": "i"}
    session.feed(rpc(id=3, method="item/commandExecution/requestApproval", params=params))
    session.feed(rpc(method="serverRequest/resolved", params={"requestId": 3}))
    with pytest.raises(Conflict):
        session.answer("3", Answer(True))


def test_without_a_key_codex_is_pointed_at_the_persons_login(tmp_path):
    job = job_with(tmp_path, "codex")
    bare = {"PATH": job.environ["PATH"], "HOME": "/person"}
    launch = CodexDriver().launch(replace(job, environ=bare))
    assert launch.env["CODEX_HOME"] == "/person/.codex"
    assert all(path.is_relative_to(job.home) for path in launch.files)
    assert launch.secrets == ()


def test_a_session_that_is_none_of_codex_is_refused(tmp_path):
    with pytest.raises(Invalid, match="session"):
        CodexDriver().launch(replace(job_with(tmp_path, "codex"), resume_session="--yolo"))


# --- Claude Code ----------------------------------------------------------------------------------


def test_an_agent_that_asks_must_be_spoken_with(tmp_path):
    job = replace(job_with(tmp_path, "claude"), two_way=False)
    with pytest.raises(Invalid, match="spoken with"):
        ClaudeDriver().launch(job)
    assert ClaudeDriver().launch(replace(job, ask=False)).interactive is False


def test_what_is_allowed_for_a_session_is_written_into_nobodys_settings(tmp_path):
    session = ClaudeDriver().reader(PROGRAMS["claude"].job(tmp_path, "x", "y"))
    rule = {"type": "addRules", "destination": "localSettings", "behavior": "allow"}
    request = {
        "subtype": "can_use_tool",
        "tool_name": "Write",
        "input": {"a": 1},
        "permission_suggestions": [rule],
    }
    event = {"type": "control_request", "request_id": "r", "request": request}
    session.feed(json.dumps(event).encode() + b"\n")
    said = json.loads(session.answer("r", Answer(True, for_session=True)))
    told = said["response"]["response"]
    # An input that was not edited is not sent back: what was heard of it may be redacted.
    assert "updatedInput" not in told
    assert [one["destination"] for one in told["updatedPermissions"]] == ["session"]


def test_edited_inputs_replace_those_they_name(tmp_path):
    session = ClaudeDriver().reader(PROGRAMS["claude"].job(tmp_path, "x", "y"))
    request = {"subtype": "can_use_tool", "tool_name": "Write", "input": {"a": 1, "b": 2}}
    event = {"type": "control_request", "request_id": "r", "request": request}
    session.feed(json.dumps(event).encode() + b"\n")
    said = json.loads(session.answer("r", Answer(True, edited={"b": 3})))
    assert said["response"]["response"]["updatedInput"] == {"a": 1, "b": 3}


def test_a_request_that_claude_gave_up_cannot_be_answered(tmp_path):
    session = ClaudeDriver().reader(PROGRAMS["claude"].job(tmp_path, "x", "y"))
    request = {"subtype": "can_use_tool", "tool_name": "Write", "input": {}}
    for event in (
        {"type": "control_request", "request_id": "r", "request": request},
        {"type": "control_cancel_request", "request_id": "r"},
    ):
        session.feed(json.dumps(event).encode() + b"\n")
    with pytest.raises(Conflict):
        session.answer("r", Answer(True))


# --- contained ------------------------------------------------------------------------------------

LENT = {
    "codex": {"codex/auth.json": ".codex/auth.json"},
    "gemini": {
        "gemini/.gemini/oauth_creds.json": ".gemini/oauth_creds.json",
        "gemini/.gemini/google_accounts.json": ".gemini/google_accounts.json",
    },
    "opencode": {".local/share/opencode/auth.json": ".local/share/opencode/auth.json"},
    "qwen": {"qwen/oauth_creds.json": ".qwen/oauth_creds.json"},
}


@pytest.mark.parametrize("name", LENT)
def test_a_contained_program_without_a_key_is_lent_the_login_alone(tmp_path, name):
    job = job_with(tmp_path, name)
    person = tmp_path / "ann"
    job = replace(job, environ={"PATH": job.environ["PATH"], "HOME": str(person)}, contained=True)
    launch = PROGRAMS[name].driver().launch(job)
    assert launch.logins == {job.home / at: person / own for at, own in LENT[name].items()}
    assert launch.network
    assert not [value for value in launch.env.values() if str(person) in value]


def test_the_address_of_codex_own_service_is_allowed_though_no_variable_names_it(tmp_path):
    job = job_with(tmp_path, "codex")
    job = replace(job, environ={**job.environ, "OPENAI_BASE_URL": "https://models.example:444/v1"})
    assert "models.example:444" in CodexDriver().launch(job).network
