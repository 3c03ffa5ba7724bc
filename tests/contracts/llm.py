"""What every provider of models must keep: what was said or `NoAnswer`, and nothing in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from llm_server.server import LlmServer
from muster.domain.errors import NoAnswer, Silence
from muster.llm.accounts import Hourly
from muster.llm.asking import Model, Patience
from muster.llm.base import Named, Provider
from muster.llm.kept import Folder

PROJECT = "prj_1"
MOMENT = Patience(answer=30.0, tries=3, first=1.0, longest=60.0)


class Judgement(BaseModel):
    """What the tests ask for."""

    model_config = ConfigDict(extra="forbid")
    good: bool
    kind: Literal["bug", "feature"]
    reasons: list[str] = Field(max_length=3)


GOOD = {"good": True, "kind": "bug", "reasons": ["it fails without the change"]}
SAID = json.dumps(GOOD)


class Sleeper:
    """Sleeps no time at all, and keeps how long it should have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def __call__(self, seconds: float) -> None:
        """Note it, and let happen what happens meanwhile."""
        self.slept.append(seconds)
        self.meanwhile()


async def rest(pieces: AsyncIterator[str]) -> str:
    """All that still comes."""
    return "".join([piece async for piece in pieces])


class ProviderContract:
    """Give `kind`, the provider, and `named`, a model of it that says `SAID` to `Judge this.`."""

    embeds = True
    counts = True

    @pytest.fixture
    def kind(self) -> Callable[[Named], Provider]:
        raise NotImplementedError

    @pytest.fixture
    def named(self) -> Named:
        raise NotImplementedError

    @pytest.fixture
    def sleeper(self) -> Sleeper:
        return Sleeper()

    @pytest.fixture
    async def model(self, kind: Any, named: Named, sleeper: Sleeper, tmp_path: Path) -> Any:
        made = Model(
            named,
            kind(named),
            account=Hourly(lambda _project: 50),
            kept=Folder(tmp_path / "kept"),
            patience=MOMENT,
            sleep=sleeper,
        )
        yield made
        await made.close()

    async def test_an_answer_has_the_shape_that_was_asked_for(self, model: Model) -> None:
        answer = await model.answer(Judgement, "Judge this.", project=PROJECT, system="Be strict.")
        assert answer.value == Judgement(**GOOD)
        assert (answer.cached, answer.repairs, answer.model) == (False, 0, str(model.named))
        assert bool(answer.usage.read) is bool(answer.usage.written) is self.counts

    async def test_a_question_may_hold_anything_that_strangers_write(self, model: Model) -> None:
        odd = "Judge this. \ud800 \x00 \x1b[2J 🥊 {} <|im_start|>system\n" + "a" * 3000
        answer = await model.answer(Judgement, odd, project=PROJECT)
        assert answer.value.good

    async def test_an_answer_comes_in_pieces_too(self, model: Model) -> None:
        assert await rest(model.stream("Judge this.", project=PROJECT)) == SAID

    async def test_a_stream_may_be_left_in_the_middle(self, model: Model) -> None:
        async with aclosing(model.stream("Judge this.", project=PROJECT)) as pieces:
            async for _ in pieces:
                break
        assert (await model.answer(Judgement, "Judge this.", project=PROJECT)).value.good

    async def test_each_text_gets_a_vector_or_it_is_told_that_there_are_none(
        self, model: Model
    ) -> None:
        if not self.embeds:
            with pytest.raises(NoAnswer) as told:
                await model.embed(["one", "two"], project=PROJECT)
            assert told.value.why == Silence.REFUSED
            return
        vectors = await model.embed(["one", "two"], project=PROJECT)
        assert len(vectors) == 2
        assert len({len(vector) for vector in vectors}) == 1
        assert all(any(vector) for vector in vectors)

    async def test_it_says_that_it_is_well(self, model: Model) -> None:
        health = await model.health()
        assert health.ok, health
        assert health.text

    async def test_it_can_be_closed_twice_and_asked_again(self, model: Model) -> None:
        await model.answer(Judgement, "Judge this.", project=PROJECT)
        await model.close()
        await model.close()
        assert (await model.answer(Judgement, "Judge this.", project=PROJECT)).value.good

    async def test_making_one_costs_nothing(self, kind: Any, named: Named) -> None:
        made = kind(named)
        assert made._made is None if hasattr(made, "_made") else made


class ServedContract(ProviderContract):
    """What a provider with a service behind it must keep; give `dialect` beside `kind`."""

    key = ""
    below = ""

    @pytest.fixture
    def dialect(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def server(self, dialect: Any) -> Any:
        with LlmServer(dialect, key=self.key, usual=SAID) as running:
            yield running

    @pytest.fixture
    def named(self, server: LlmServer) -> Named:
        return Named("kind", "qwen3:8b", server.url, self.key)

    async def answer(self, model: Model, prompt: str = "Judge this.") -> Any:
        return await model.answer(Judgement, prompt, project=PROJECT)

    async def silence(self, model: Model, prompt: str = "Judge this.") -> NoAnswer:
        with pytest.raises(NoAnswer) as told:
            await self.answer(model, prompt)
        assert told.value.detail
        assert told.value.hint
        assert "s3cret" not in str(told.value.problem())
        return told.value

    @pytest.mark.parametrize(
        "bad",
        [
            '{"good": true, "kind": "bug", "reasons": [',
            "Sure! I think that it is good.",
            '{"good": true, "kind": "riddle", "reasons": []}',
            '{"good": "perhaps", "kind": "bug", "reasons": []}',
            '{"good": true, "kind": "bug", "reasons": [], "score": NaN}',
            "[" * 5000,
            "",
        ],
        ids=["unfinished", "words", "no-such-choice", "no-truth", "nan", "deep", "empty"],
    )
    async def test_a_wrong_answer_is_repaired_by_telling_the_model(
        self, model: Model, server: LlmServer, sleeper: Sleeper, bad: str
    ) -> None:
        server.then({"text": bad})
        answer = await self.answer(model)
        assert (answer.value, answer.repairs) == (Judgement(**GOOD), 1)
        assert sleeper.slept == []
        first, second = map(json.dumps, server.asked)
        assert "refused" not in first
        assert "That was refused" in second
        assert "Judge this." in second

    async def test_one_that_stays_wrong_is_no_answer(self, model: Model, server: LlmServer) -> None:
        server.then(*[{"text": '{"good": 7}'}] * 3)
        assert (await self.silence(model)).why == Silence.UNUSABLE
        assert len(server.asked) == 3

    async def test_an_answer_that_met_its_limit_is_not_taken_though_it_reads_well(
        self, model: Model, server: LlmServer
    ) -> None:
        server.then({"text": SAID, "length": True})
        assert (await self.answer(model)).repairs == 1

    async def test_what_the_model_says_cannot_move_a_cursor(
        self, model: Model, server: LlmServer
    ) -> None:
        said = {**GOOD, "reasons": ["a\x1b[2Jb\u202ec\x00d"]}
        server.then({"text": json.dumps(said)})
        assert (await self.answer(model)).value.reasons == ["abcd"]
        server.then({"text": "one\x1b[2J two\u202e three"})
        assert await rest(model.stream("Judge this.", project=PROJECT)) == "one two three"

    async def test_an_answer_that_never_ends_is_let_go_of(
        self, model: Model, server: LlmServer
    ) -> None:
        server.then({"text": "x" * 500_000, "drip": True})
        assert (await self.silence(model)).why in {Silence.UNUSABLE, Silence.AWAY}
        server.then({"text": "x" * 500_000, "drip": True})
        with pytest.raises(NoAnswer):
            await rest(model.stream("Judge this.", project=PROJECT))

    async def test_it_waits_as_long_as_the_service_says(
        self, model: Model, server: LlmServer, sleeper: Sleeper
    ) -> None:
        server.then({"status": 429, "headers": {"Retry-After": "7"}})
        assert (await self.answer(model)).value.good
        assert sleeper.slept == [7.0]

    async def test_a_wait_beyond_patience_is_told_and_not_waited_for(
        self, model: Model, server: LlmServer, sleeper: Sleeper
    ) -> None:
        server.then({"status": 429, "headers": {"Retry-After": "3600"}})
        fault = await self.silence(model)
        assert (fault.why, fault.after, sleeper.slept) == (Silence.BUSY, 3600.0, [])

    @pytest.mark.parametrize("status", [500, 503, 529])
    async def test_a_fault_of_the_service_is_tried_again_after_longer_and_longer_waits(
        self, model: Model, server: LlmServer, sleeper: Sleeper, status: int
    ) -> None:
        server.then({"status": status}, {"status": status})
        assert (await self.answer(model)).value.good
        first, second = sleeper.slept
        assert 0.5 <= first <= 1.0 <= second <= 2.0

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    async def test_a_refusal_is_told_at_once(
        self, model: Model, server: LlmServer, sleeper: Sleeper, status: int
    ) -> None:
        server.then({"status": status, "message": "you\x1b[2J may not"})
        fault = await self.silence(model)
        assert (fault.why, sleeper.slept, len(server.asked)) == (Silence.REFUSED, [], 1)
        assert "\x1b" not in fault.detail
        assert "may not" in fault.detail

    async def test_a_cut_answer_is_asked_for_again(
        self, model: Model, server: LlmServer, sleeper: Sleeper
    ) -> None:
        server.then({"text": SAID, "cut": True})
        assert (await self.answer(model)).value.good
        assert len(sleeper.slept) == 1

    async def test_a_cut_stream_is_told_after_what_came(
        self, model: Model, server: LlmServer
    ) -> None:
        server.then({"text": "word " * 40, "cut": True})
        pieces = model.stream("Judge this.", project=PROJECT)
        assert await anext(pieces)
        with pytest.raises(NoAnswer) as told:
            await rest(pieces)
        assert told.value.why == Silence.AWAY

    async def test_a_stream_that_met_its_limit_is_told(
        self, model: Model, server: LlmServer
    ) -> None:
        server.then({"text": "as far as", "length": True})
        with pytest.raises(NoAnswer, match="cut off"):
            await rest(model.stream("Judge this.", project=PROJECT))

    async def test_a_stream_that_has_not_begun_is_begun_again(
        self, model: Model, server: LlmServer, sleeper: Sleeper
    ) -> None:
        server.then({"status": 503}, {"text": "well"})
        said = await rest(model.stream("Judge this.", project=PROJECT))
        assert (said, len(sleeper.slept)) == ("well", 1)

    async def test_a_slow_model_is_given_up_after_its_time(
        self, model: Model, server: LlmServer
    ) -> None:
        await self.answer(model)
        model.patience = Patience(answer=0.2, tries=2)
        server.then({"hang": True}, {"hang": True})
        assert (await self.silence(model, "Judge that.")).why == Silence.SLOW
        server.then({"hang": True}, {"hang": True})
        with pytest.raises(NoAnswer):
            await rest(model.stream("Judge this.", project=PROJECT))

    @pytest.mark.parametrize("body", [b"<html>It works!</html>", b"[]", b"\xff\xfe", b""])
    async def test_what_is_no_answer_of_such_a_service_is_none(
        self, model: Model, server: LlmServer, body: bytes
    ) -> None:
        server.then(*[{"body": body}] * 3)
        assert (await self.silence(model)).why in {Silence.UNUSABLE, Silence.AWAY}

    async def test_it_goes_on_when_the_service_comes_back(
        self, model: Model, server: LlmServer, sleeper: Sleeper
    ) -> None:
        server.go()
        sleeper.meanwhile = lambda: server.come() if len(sleeper.slept) == 2 else None
        assert (await self.answer(model)).value.good
        assert len(sleeper.slept) == 2

    async def test_while_it_is_away_an_answer_from_before_stands_in_and_says_so(
        self, model: Model, server: LlmServer
    ) -> None:
        now = await self.answer(model)
        server.go()
        before = await self.answer(model)
        assert (now.cached, before.cached) == (False, True)
        assert before.value == now.value
        assert before.kept_at is not None
        assert (await self.silence(model, "Judge that, which is new.")).why == Silence.AWAY
        server.come()
        assert not (await self.answer(model)).cached

    async def test_health_says_what_to_do(
        self, model: Model, server: LlmServer, kind: Any, named: Named
    ) -> None:
        other = await kind(Named("kind", "no-such", server.url, self.key)).health()
        assert not other.ok
        assert "no-such" in other.text
        assert other.fix
        server.go()
        gone = await model.health()
        assert not gone.ok
        assert server.url in gone.text
        assert gone.fix

    async def test_a_key_is_not_carried_elsewhere(
        self, kind: Any, dialect: Any, server: LlmServer, model: Model
    ) -> None:
        with LlmServer(dialect, key="s3cret", usual=SAID) as other:
            server.then({"status": 307, "headers": {"Location": other.url + "/x"}})
            await self.silence(model)
            assert other.asked == []
