"""The other services that the loopback model stands in for, each in its own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from model_server.asked import post
from model_server.server import ModelServer

WRITE = {"tool": "write", "path": "a.txt", "content": "x\n"}
SCRIPTS = {
    "work": [
        {"text": "First.", "tools": [WRITE, {"tool": "bash", "command": "ls"}]},
        {"text": "Second.", "usage": {"input_tokens": 7, "output_tokens": 3}},
    ],
    "limit": [{"status": 429, "headers": {"retry-after": 5}, "message": "slow down"}],
    "cut": [{"text": "never whole", "cut": True}],
}
STRING = {"type": "string"}
FILE = {"type": "object", "properties": {"file_path": STRING, "content": STRING}}
SHELL = {
    "type": "object",
    "properties": {"command": STRING, "is_background": {"type": "boolean"}},
    "required": ["command", "is_background"],
}


@dataclass(frozen=True)
class Dialect:
    """One service: where it is asked, how a conversation is put, and what is read of its answer."""

    path: str
    stream_path: str

    def body(self, *said: str, stream: bool = False) -> dict[str, Any]:
        raise NotImplementedError

    def read(self, answer: dict[str, Any]) -> tuple[list[str], list[tuple[str, Any]], tuple]:
        raise NotImplementedError


def roles(said: tuple[str, ...], assistant: str) -> list[tuple[str, str]]:
    """Who said what: the user first, then in turns."""
    return [("user" if n % 2 == 0 else assistant, text) for n, text in enumerate(said)]


class Responses(Dialect):
    def body(self, *said, stream=False):
        items = [
            {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
            for role, text in roles(said, "assistant")
        ]
        tools = [
            {"type": "function", "name": "write", "parameters": FILE},
            {"type": "function", "name": "shell", "parameters": SHELL},
        ]
        return {"model": "m", "input": items, "tools": tools, "stream": stream}

    def read(self, answer):
        said = [o["content"][0]["text"] for o in answer["output"] if o["type"] == "message"]
        calls = [
            (o["name"], json.loads(o["arguments"]))
            for o in answer["output"]
            if o["type"] == "function_call"
        ]
        return said, calls, (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])


class Chat(Dialect):
    def body(self, *said, stream=False):
        messages = [{"role": role, "content": text} for role, text in roles(said, "assistant")]
        tools = [
            {"type": "function", "function": {"name": name, "parameters": parameters}}
            for name, parameters in (("write", FILE), ("shell", SHELL))
        ]
        return {"model": "m", "messages": messages, "tools": tools, "stream": stream}

    def read(self, answer):
        message = answer["choices"][0]["message"]
        functions = [call["function"] for call in message.get("tool_calls", [])]
        calls = [(f["name"], json.loads(f["arguments"])) for f in functions]
        usage = answer["usage"]
        tokens = (usage["prompt_tokens"], usage["completion_tokens"])
        return [message["content"]], calls, tokens


class Gemini(Dialect):
    def body(self, *said, stream=False):
        contents = [
            {"role": role, "parts": [{"text": text}]} for role, text in roles(said, "model")
        ]
        declared = [
            {"name": name, "parametersJsonSchema": parameters}
            for name, parameters in (("write", FILE), ("shell", SHELL))
        ]
        return {"contents": contents, "tools": [{"functionDeclarations": declared}]}

    def read(self, answer):
        parts = answer["candidates"][0]["content"]["parts"]
        calls = [p["functionCall"] for p in parts if "functionCall" in p]
        usage = answer["usageMetadata"]
        return (
            [p["text"] for p in parts if "text" in p],
            [(call["name"], call["args"]) for call in calls],
            (usage["promptTokenCount"], usage["candidatesTokenCount"]),
        )


DIALECTS = {
    "responses": Responses("/v1/responses", "/v1/responses"),
    "chat": Chat("/v1/chat/completions", "/v1/chat/completions"),
    "gemini": Gemini(
        "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"
    ),
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture(params=DIALECTS)
def dialect(request) -> Dialect:
    return DIALECTS[request.param]


def test_a_step_becomes_the_tools_that_were_offered(server, dialect):
    status, _, data = post(server, dialect.path, dialect.body("[[script:work]]"))
    said, calls, _ = dialect.read(json.loads(data))
    assert (status, said) == (200, ["First."])
    assert calls == [
        ("write", {"file_path": "a.txt", "content": "x\n"}),
        ("shell", {"command": "ls", "is_background": False}),
    ]


def test_steps_are_counted_and_a_retry_gets_the_same(server, dialect):
    body = dialect.body("[[script:work]]", "First.", "go on")
    first, again = (post(server, dialect.path, body)[2] for _ in range(2))
    said, calls, tokens = dialect.read(json.loads(first))
    assert first == again
    assert (said, calls, tokens) == (["Second."], [], (7, 3))


def test_a_stream_tells_the_same_and_a_cut_one_less(server, dialect):
    whole = dialect.body("[[script:work]]", stream=True)
    _, headers, data = post(server, dialect.stream_path, whole)
    assert headers["Content-Type"] == "text/event-stream"
    lines = [line for line in data.decode().splitlines() if line.startswith("data: {")]
    assert all(json.loads(line[6:]) for line in lines)
    assert all(word in data.decode() for word in ("First.", "a.txt", "is_background"))
    cut = post(server, dialect.stream_path, dialect.body("[[script:cut]]", stream=True))[2]
    for last in ("response.completed", "[DONE]", "finishReason"):
        assert last not in cut.decode()


def test_an_error_has_its_status_headers_and_words(server, dialect):
    status, headers, data = post(server, dialect.path, dialect.body("[[script:limit]]"))
    assert (status, headers["retry-after"]) == (429, "5")
    assert json.loads(data)["error"]["message"] == "slow down"


def test_a_question_beside_the_work_takes_no_step(server, dialect):
    body = {**dialect.body("Title for [[script:work]]"), "tools": []}
    said, calls, _ = dialect.read(json.loads(post(server, dialect.path, body)[2]))
    assert (said, calls) == (["ok"], [])


def test_where_there_is_only_a_shell_it_writes_the_files(server):
    body = {**DIALECTS["chat"].body("[[script:work]]")}
    body["tools"] = body["tools"][1:]
    _, calls, _ = DIALECTS["chat"].read(json.loads(post(server, "/v1/chat/completions", body)[2]))
    assert [name for name, _ in calls] == ["shell", "shell"]
    assert calls[0][1]["command"].startswith("cat > 'a.txt'")


def test_aider_gets_its_edits_as_blocks(server):
    body = DIALECTS["chat"].body("Use SEARCH/REPLACE blocks [[script:work]]")
    del body["tools"]
    said, _, _ = DIALECTS["chat"].read(json.loads(post(server, "/v1/chat/completions", body)[2]))
    assert "a.txt\n```\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE" in said[0]


def test_tokens_can_be_counted_in_geminis_way_too(server):
    _, _, data = post(server, "/v1beta/models/m:countTokens", {"contents": []})
    assert json.loads(data)["totalTokens"] > 0
