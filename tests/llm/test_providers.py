"""Ollama, OpenAI-compatible servers, Anthropic and the script keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.llm import (
    GOOD,
    PROJECT,
    SAID,
    Judgement,
    ProviderContract,
    ServedContract,
    Sleeper,
    rest,
)
from llm_server import anthropic, ollama, openai
from muster.domain.errors import NoAnswer, Silence
from muster.llm.anthropic import AnthropicProvider
from muster.llm.asking import Model
from muster.llm.base import Named
from muster.llm.ollama import OllamaProvider
from muster.llm.openai_compatible import OpenAiCompatible
from muster.llm.scripted import ScriptedProvider


class TestOllamaKeepsTheContract(ServedContract):
    @pytest.fixture
    def kind(self):
        return OllamaProvider

    @pytest.fixture
    def dialect(self):
        return ollama

    async def test_the_context_is_set_to_hold_the_question(self, model, server):
        await self.answer(model)
        await self.answer(model, "Judge this." + "x" * 40_000)
        await self.answer(model)
        sizes = [body["options"]["num_ctx"] for body in server.asked]
        assert sizes == [8192, 16384, 16384]
        assert all(body["truncate"] is body["shift"] is False for body in server.asked)

    async def test_a_question_that_the_model_cannot_hold_is_not_sent(self, model, server):
        server.state.context = 8192
        fault = await self.silence(model, "x" * 60_000)
        assert (fault.why, server.asked) == (Silence.TOO_LONG, [])

    @pytest.mark.parametrize("knows", [True, False], ids=["refused", "cut in silence"])
    async def test_a_question_that_the_server_cuts_is_no_answer(self, model, server, knows):
        server.state.knows_truncate = knows
        model.estimate.tokens = lambda *texts: 10  # an estimate that is far too small
        fault = await self.silence(model, "x" * 60_000)
        assert fault.why == Silence.TOO_LONG

    async def test_a_server_that_gives_less_context_than_it_was_asked_for_is_noticed(
        self, model, server
    ):
        server.state.granted = 4096
        fault = await self.silence(model, "x" * 20_000)
        assert fault.why == Silence.TOO_LONG
        assert "4096" in fault.detail

    async def test_a_stream_from_less_context_than_it_was_asked_for_is_not_whole(
        self, model, server
    ):
        server.state.granted = 4096
        with pytest.raises(NoAnswer, match="was given 4096 tokens") as told:
            await rest(model.stream("x" * 20_000, project=PROJECT))
        assert told.value.why == Silence.TOO_LONG

    async def test_the_context_of_embeddings_holds_the_longest_text_and_never_beyond_the_models(
        self, model, server
    ):
        await model.embed(["short"], project=PROJECT)
        await model.embed(["short", "x" * 40_000], project=PROJECT)
        server.state.context = 2048
        await model.close()
        await model.embed(["x" * 4000], project=PROJECT)
        assert [body["options"]["num_ctx"] for body in server.asked] == [8192, 16384, 2048]
        assert all(body["truncate"] is False for body in server.asked)
        with pytest.raises(NoAnswer) as told:
            await model.embed(["x" * 40_000], project=PROJECT)
        assert told.value.why == Silence.TOO_LONG

    async def test_an_error_in_the_middle_of_a_stream_is_told(self, model, server):
        line = b'{"message":{"content":"so far"},"done":false}\n{"error":"llama runner died"}\n'
        server.then({"body": line})
        with pytest.raises(NoAnswer, match="llama runner died"):
            await rest(model.stream("Judge this.", project=PROJECT))

    async def test_a_form_goes_in_as_format_and_thoughts_are_not_waited_for(self, model, server):
        await self.answer(model)
        assert server.asked[0]["format"]["properties"]["good"] == {
            "title": "Good",
            "type": "boolean",
        }
        assert server.asked[0]["think"] is False


class TestOpenAiCompatibleServersKeepTheContract(ServedContract):
    key = "s3cret-of-the-server"

    @pytest.fixture
    def kind(self):
        return OpenAiCompatible

    @pytest.fixture
    def dialect(self):
        return openai

    async def test_a_form_goes_in_as_response_format(self, model, server):
        await self.answer(model)
        wanted = server.asked[0]["response_format"]
        assert wanted["type"] == "json_schema"
        assert "good" in wanted["json_schema"]["schema"]["properties"]
        assert server.asked[0]["max_tokens"] == 2000

    async def test_a_server_that_ignores_the_form_is_understood(self, model, server):
        server.then({"text": f"<think>Hm.</think>Here it is:\n```json\n{SAID}\n```\nGood luck!"})
        answer = await self.answer(model)
        assert (answer.value, answer.repairs) == (Judgement(**GOOD), 0)

    async def test_a_question_beyond_the_context_is_told_as_that(self, model, server):
        server.state.context = 1000
        assert (await self.silence(model, "x" * 8000)).why == Silence.TOO_LONG

    async def test_without_a_key_none_of_the_environment_is_sent(
        self, kind, server, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("OPENAI_API_KEY", self.key)
        bare = Named("openai", "qwen3:8b", server.url)
        model = Model(bare, kind(bare), sleep=Sleeper())
        assert (await self.silence(model)).why == Silence.REFUSED
        await model.close()

    async def test_a_wrong_key_is_told_by_health(self, kind, server):
        health = await kind(Named("openai", "qwen3:8b", server.url, "wrong")).health()
        assert not health.ok
        assert "key" in health.text


class TestAnthropicKeepsTheContract(ServedContract):
    key = "s3cret-of-the-service"
    embeds = False

    @pytest.fixture
    def kind(self):
        return AnthropicProvider

    @pytest.fixture
    def dialect(self):
        return anthropic

    async def test_a_form_goes_in_as_the_one_tool(self, model, server):
        await self.answer(model)
        (tool,) = server.asked[0]["tools"]
        assert tool["name"] == "Judgement"
        assert server.asked[0]["tool_choice"]["type"] in {"any", "tool"}

    async def test_without_a_key_it_is_told_before_anything_is_sent(self, kind, server):
        bare = Named("anthropic", "qwen3:8b", server.url)
        fault = await self.silence(Model(bare, kind(bare), sleep=Sleeper()))
        assert (fault.why, server.asked) == (Silence.REFUSED, [])
        assert "ANTHROPIC_API_KEY" in fault.hint
        assert not (await kind(bare).health()).ok


class TestTheScriptKeepsTheContract(ProviderContract):
    @pytest.fixture
    def kind(self):
        return ScriptedProvider

    @pytest.fixture
    def named(self, tmp_path):
        path = tmp_path / "answers.toml"
        path.write_text(
            f"[[answer]]\nwhen = 'not now'\nfault = 'busy'\n\n[[answer]]\ntext = '{SAID}'\n"
        )
        return Named("scripted", str(path))

    async def test_it_can_be_scripted_to_fail(self, model):
        with pytest.raises(NoAnswer) as told:
            await model.answer(Judgement, "Judge it, but not now.", project=PROJECT)
        assert told.value.why == Silence.BUSY

    @pytest.mark.parametrize(
        "text",
        ["", "answer = 3", "[[answer]]\ntext='a'\nfault='busy'", "[[answer]]\nfault='sad'", "[[a"],
    )
    async def test_a_file_that_is_no_script_is_told(self, model, named, text: str):
        Path(named.model).write_text(text)
        assert not (await model.health()).ok
        with pytest.raises(Exception, match=r"answers|TOML"):
            await model.answer(Judgement, "Judge this.", project=PROJECT)
