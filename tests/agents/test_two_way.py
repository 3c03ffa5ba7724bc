"""The drivers of two-way programs, on recorded conversations of the real programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.fake_two_way import install
from agents.two_way_programs import PROGRAMS
from contracts.two_way import TwoWayDriverContract
from muster.agents.acp import AcpDriver
from muster.agents.claude import ClaudeDriver
from muster.agents.codex import CodexDriver

CASSETTES = Path(__file__).parents[1] / "cassettes"


def recording_of(name: str) -> Path:
    return CASSETTES / f"talk-{name}.jsonl"


def job_with(tmp_path: Path, name: str):
    """A job in which the recorded conversation is the program."""
    install(tmp_path / "bin", name, recording_of(name), "9.9.9")
    job = PROGRAMS[name].job(tmp_path, "http://127.0.0.1:1", "talk", ask=True)
    job.environ["PATH"] = str(tmp_path / "bin")
    return job


def rpc(**message) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


class TestTheCodexDriverKeepsTheContract(TwoWayDriverContract):
    @pytest.fixture
    def driver(self):
        return CodexDriver()

    @pytest.fixture
    def job(self, tmp_path):
        return job_with(tmp_path, "codex")

    @pytest.fixture
    def recording(self):
        return recording_of("codex")

    @pytest.fixture
    def strange(self):
        return rpc(id=77, method="item/tool/call", params={"tool": "x"}), 77

    @pytest.fixture
    def failures(self):
        refused = rpc(id="thread", error={"code": -32600, "message": "no such thread"})
        return [(refused, 0), (b"", 1), (b"not json\n", 0)]


class AcpContract(TwoWayDriverContract):
    agent = ""

    @pytest.fixture
    def driver(self):
        return AcpDriver()

    @pytest.fixture
    def job(self, tmp_path):
        return job_with(tmp_path, self.agent)

    @pytest.fixture
    def recording(self):
        return recording_of(self.agent)

    @pytest.fixture
    def strange(self):
        return rpc(id="t-1", method="terminal/create", params={"command": "id"}), "t-1"

    @pytest.fixture
    def failures(self):
        refused = rpc(id="session", error={"code": -32000, "message": "Authentication required"})
        old = rpc(id="initialize", result={"protocolVersion": 0})
        return [(refused, 0), (old, 0), (b"", 0)]


class TestTheAcpDriverKeepsTheContractWithGemini(AcpContract):
    agent = "gemini"


@pytest.mark.long
class TestTheAcpDriverKeepsTheContractWithOpenCode(AcpContract):
    agent = "opencode"


@pytest.mark.long
class TestTheAcpDriverKeepsTheContractWithQwen(AcpContract):
    agent = "qwen"

    @pytest.mark.parametrize("code", [2, 127, 255, -9, -15, None])
    def test_no_words_make_a_bad_status_good(self, driver, job, success, code):
        """Its own status at the end of its input is 1."""
        super().test_no_words_make_a_bad_status_good(driver, job, success, code)


class TestTheClaudeDriverKeepsTheContractInAConversation(TwoWayDriverContract):
    @pytest.fixture
    def driver(self):
        return ClaudeDriver()

    @pytest.fixture
    def job(self, tmp_path):
        return job_with(tmp_path, "claude")

    @pytest.fixture
    def recording(self):
        return recording_of("claude")

    @pytest.fixture
    def strange(self):
        request = {"subtype": "hook_callback", "callback_id": "x"}
        event = {"type": "control_request", "request_id": "r-1", "request": request}
        return json.dumps(event).encode() + b"\n", "r-1"

    @pytest.fixture
    def failures(self):
        response = {"subtype": "error", "request_id": "initialize", "error": "too old"}
        refused = json.dumps({"type": "control_response", "response": response}).encode()
        return [(refused + b"\n", 0), (b"", 0)]
