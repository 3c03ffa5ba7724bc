"""The loopback model server answers as its scripts say, whoever asks and however often."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_server import answers, scripts
from model_server.asked import post
from model_server.server import ModelServer

SCRIPTS = {
    "work": [
        {"text": "First.", "tools": [{"tool": "write", "path": "a.txt", "content": "x"}]},
        {"text": "Second.", "usage": {"input_tokens": 7, "output_tokens": 3}},
    ],
    "other": [{"text": "Other."}],
    "limit": [{"status": 429, "headers": {"retry-after": 5}, "message": "slow down"}],
    "cut": [{"text": "never whole", "cut": True}],
    "You are": [{"text": "I am."}],
    "You are a reader": [{"text": "I read PAGE.", "heard": {"PAGE": "page (\\d+)"}}],
}
WRITE = {
    "name": "create_file",
    "input_schema": {
        "type": "object",
        "properties": {"filePath": {}, "contents": {}, "description": {}},
        "required": ["filePath", "contents"],
    },
}
ASSISTANT = {"role": "assistant", "content": "…"}


def user(text: str) -> dict:
    return {"role": "user", "content": text}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


def ask(server: ModelServer, messages: list[dict], path: str = "/v1/messages", **more):
    return post(server, path, {"model": "m", "messages": messages, "tools": [WRITE], **more})


def test_a_step_becomes_the_tool_that_was_offered_in_its_own_words(server):
    system = [{"type": "text", "text": "Working directory: /repo\n"}]
    status, _, body = ask(server, [user("[[script:work]]")], system=system)
    content = json.loads(body)["content"]
    assert status == 200
    assert content[0] == {"type": "text", "text": "First."}
    assert content[1]["name"] == "create_file"
    assert content[1]["input"]["filePath"] == "/repo/a.txt"
    assert content[1]["input"]["contents"] == "x"
    assert json.loads(body)["stop_reason"] == "tool_use"


def test_a_tool_that_nobody_offered_is_said_and_not_called():
    fits = scripts.as_offered({"tool": "bash", "command": "ls"}, [WRITE], "")
    assert fits is None
    whole = answers.message({"tools": [{"tool": "bash", "command": "ls"}]}, {"tools": [WRITE]})
    assert whole["content"][0]["type"] == "text"
    assert whole["stop_reason"] == "end_turn"


def test_steps_are_counted_after_the_newest_marker_and_a_retry_gets_the_same_answer(server):
    first = [user("[[script:work]]")]
    assert ask(server, first)[2] == ask(server, first)[2]
    second = json.loads(ask(server, [*first, ASSISTANT, user("ok")])[2])
    assert second["content"] == [{"type": "text", "text": "Second."}]
    assert second["usage"]["input_tokens"] == 7
    over = json.loads(ask(server, [*first, ASSISTANT, user("ok"), ASSISTANT, user("ok")])[2])
    assert over["content"] == [{"type": "text", "text": "Done."}]
    newer = [*first, ASSISTANT, user("now [[script:other]]")]
    assert json.loads(ask(server, newer)[2])["content"][0]["text"] == "Other."


def test_words_choose_a_script_of_their_name_and_are_heard_by_its_steps(server):
    def said(words: str) -> str:
        return json.loads(ask(server, [user(words)])[2])["content"][0]["text"]

    assert said("You are something else.") == "I am."
    assert said("You are a reader of page 12.") == "I read 12."
    assert said("You are a reader. [[script:other]]") == "Other."


def test_a_stream_carries_the_same_message(server):
    _, headers, body = ask(server, [user("[[script:work]]")], stream=True)
    assert headers["Content-Type"] == "text/event-stream"
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line[:5] == "data:"]
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"
    parts = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    assert parts[0]["text"] == "First."
    assert json.loads(parts[1]["partial_json"])["contents"] == "x"


def test_an_error_has_its_status_headers_and_shape(server):
    status, headers, body = ask(server, [user("[[script:limit]]")])
    assert status == 429
    assert headers["retry-after"] == "5"
    error = json.loads(body)["error"]
    assert error == {"type": "rate_limit_error", "message": "slow down"}


def test_a_cut_stream_ends_before_its_end(server):
    _, _, body = ask(server, [user("[[script:cut]]")], stream=True)
    assert b"message_start" in body
    assert b"message_stop" not in body


def test_a_question_beside_the_work_is_answered_at_once_and_takes_no_step(server):
    aside = json.loads(ask(server, [user("Title for: [[script:work]]")], tools=[])[2])
    assert aside["content"] == [{"type": "text", "text": "ok"}]


def test_tokens_are_counted_and_other_addresses_are_not_found(server):
    status, _, body = ask(server, [user("hello")], "/v1/messages/count_tokens?beta=true")
    assert (status, json.loads(body)["input_tokens"] > 0) == (200, True)
    assert ask(server, [], "/v1/other")[0] == 404
    assert [request.path for request in server.requests][-1] == "/v1/other"


def test_without_a_marker_or_with_an_unknown_one_it_says_so(server):
    assert b"Nothing is scripted" in ask(server, [user("hello")])[2]
    assert b"no script nope" in ask(server, [user("[[script:nope]]")])[2]


def test_it_runs_as_a_program_of_its_own(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(SCRIPTS))
    program = Path(__file__).with_name("server.py")
    argv = [sys.executable, program, "--port", "0", "--script", tmp_path / "s.json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        word, port = process.stdout.readline().split()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
        connection.request("HEAD", "/")
        assert (word, connection.getresponse().status) == ("port", 200)
        connection.close()
        process.terminate()
