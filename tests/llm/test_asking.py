"""What stands between muster and a provider: limits, estimates, kept answers, names and keys."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from contracts.llm import GOOD, MOMENT, PROJECT, Judgement, Sleeper, rest
from muster.domain.errors import Invalid, NoAnswer, Silence
from muster.domain.model_name import split_model
from muster.llm.accounts import Hourly
from muster.llm.asking import Model, Patience
from muster.llm.base import Asked, Named, Piece, Reply, Usage, Vectors
from muster.llm.estimate import Estimate
from muster.llm.kept import Folder, key_of
from muster.llm.names import defaults, named
from muster.llm.structured import Unusable, read_answer
from muster.settings import load, parse_project_setting
from muster.store.projects import NewProject, add_project
from muster.store.sqlite import open_store
from muster.vault import model_key
from muster.wiring.models import Models, looked_at, provider_of

NAMED = Named("scripted", "one")


class Sure(BaseModel):
    sure: float


class Scripted:
    """A provider that gives what it was given; faults are raised."""

    def __init__(self, *given):
        self.given, self.asked = list(given), []

    async def reply(self, asked):
        self.asked.append(asked)
        one = self.given.pop(0)
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, Reply) else Reply(one)

    async def embed(self, texts):
        return Vectors(self.given.pop(0))


def model(*given, **more) -> Model:
    return Model(NAMED, Scripted(*given), patience=MOMENT, sleep=Sleeper(), **more)


def away(why=Silence.AWAY, after=None) -> NoAnswer:
    return NoAnswer("gone", why=why, after=after)


async def test_an_hour_holds_so_many_requests_of_a_project_and_no_more():
    now = [1000.0]
    account = Hourly(lambda project: {"a": 2, "b": 1, "c": 0}[project], lambda: now[0])
    await account.take("a")
    now[0] += 100
    await account.take("a")
    await account.take("b")
    with pytest.raises(NoAnswer) as told:
        await account.take("a")
    assert (told.value.why, told.value.after) == (Silence.CALLS, 3500.0)
    assert told.value.problem()["retry_after"] == 3500.0
    now[0] += 3500
    await account.take("a")
    with pytest.raises(NoAnswer) as none:
        await account.take("c")
    assert none.value.after is None


async def test_repairs_and_retries_count_against_the_limit():
    made = model("no json", away(), json.dumps(GOOD), account=Hourly(lambda _project: 2))
    with pytest.raises(NoAnswer) as told:
        await made.answer(Judgement, "?", project=PROJECT)
    assert told.value.why == Silence.CALLS
    assert len(made.provider.asked) == 2


async def test_at_the_limit_an_answer_from_before_stands_in(tmp_path: Path):
    kept = Folder(tmp_path / "kept", clock=lambda: 7.0)
    made = model(json.dumps(GOOD), account=Hourly(lambda _project: 1), kept=kept)
    await made.answer(Judgement, "?", project=PROJECT)
    answer = await made.answer(Judgement, "?", project=PROJECT)
    assert (answer.cached, answer.kept_at, answer.value.good) == (True, 7.0, True)
    with pytest.raises(NoAnswer):
        await made.answer(Judgement, "another?", project=PROJECT)


@pytest.mark.parametrize("why", [Silence.REFUSED, Silence.TOO_LONG, Silence.UNUSABLE])
async def test_nothing_stands_in_for_a_model_that_is_there(tmp_path: Path, why: Silence):
    made = model(json.dumps(GOOD), away(why), kept=Folder(tmp_path / "kept"))
    await made.answer(Judgement, "?", project=PROJECT)
    with pytest.raises(NoAnswer) as told:
        await made.answer(Judgement, "?", project=PROJECT)
    assert told.value.why == why


async def test_a_stream_that_goes_on_for_ever_is_left(tmp_path: Path):
    class Endless(Scripted):
        async def stream(self, asked):
            while True:
                yield Piece("on and ")
                await asyncio.sleep(0)

    made = Model(NAMED, Endless(), patience=Patience(stream=0.05))
    with pytest.raises(NoAnswer) as told:
        await rest(made.stream("?", project=PROJECT))
    assert told.value.why == Silence.SLOW


async def test_the_usage_of_all_requests_is_told():
    good = json.dumps(GOOD)
    made = model(Reply("no", Usage(10, 1)), Reply(good, Usage(20, None)))
    assert (await made.answer(Judgement, "?", project=PROJECT)).usage == Usage(30, 1)


@pytest.mark.parametrize(
    "vectors",
    [
        [[1.0]],
        [[1.0], [1.0, 2.0]],
        [[], []],
        [[1.0], [0.0]],
        [[1.0], [float("nan")]],
        [[1.0], [float("inf")]],
    ],
    ids=["too-few", "uneven", "empty", "zero", "nan", "infinite"],
)
async def test_vectors_that_cannot_be_are_none(vectors):
    with pytest.raises(NoAnswer) as told:
        await model(vectors).embed(["one", "two"], project=PROJECT)
    assert told.value.why == Silence.UNUSABLE


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": "other", "at": 1, "text": "{}"}'])
def test_a_damaged_or_foreign_kept_answer_is_none(tmp_path: Path, damage: str):
    kept = Folder(tmp_path)
    kept.put("k", "{}")
    (tmp_path / "k.json").write_text(damage)
    assert kept.get("k") is None


def test_kept_answers_are_private_and_the_oldest_go(tmp_path: Path):
    kept = Folder(tmp_path / "kept", most=2)
    for number, key in enumerate("abc"):
        kept.put(key, "{}")
        if (path := tmp_path / "kept" / f"{key}.json").exists():
            assert path.stat().st_mode & 0o777 == 0o600
            os.utime(path, (number, number))
    kept.put("d", "{}")
    assert [kept.get(key) is None for key in "abcd"] == [True, True, False, False]


def test_a_question_is_another_when_any_part_of_it_is():
    asked = Asked("p", "s", 10)
    others = [Asked("p", "s", 11), Asked("p", "", 10), Asked("ps", "", 10), Asked("", "ps", 10)]
    keys = {key_of(NAMED, one) for one in (asked, *others)}
    assert len(keys | {key_of(Named("scripted", "two"), asked)}) == 6
    assert key_of(Named("scripted", "one", key="secret"), asked) == key_of(NAMED, asked)


def test_an_estimate_is_safe_at_first_and_learns_from_what_was_counted():
    estimate, code = Estimate(), "x = compute(value)\n" * 1000
    first = estimate.tokens(code)
    assert first > len(code) / 4
    estimate.learn([code], len(code) // 2)
    assert estimate.tokens(code) > first
    calm = Estimate()
    for _ in range(3):
        calm.learn([code], len(code) // 5)
    assert len(code) / 5 <= calm.tokens(code) < first
    calm.learn(["short"], 500)
    calm.learn([code], None)
    assert calm.tokens(code) < first


@given(st.text(), st.integers(-5, 10**9))
def test_no_count_of_a_provider_breaks_an_estimate(text: str, counted: int):
    estimate = Estimate()
    estimate.learn([text * 500], counted)
    assert 1 <= estimate.tokens(text) <= 4 * len(text) + 1


@given(st.text(max_size=300))
def test_whatever_a_model_says_is_read_as_the_shape_or_refused(text: str):
    told = ""
    try:
        assert isinstance(read_answer(Reply(text), Judgement), Judgement)
    except Unusable as fault:
        told = str(fault)
    assert told.isprintable()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_though_python_would_take_it(number: str):
    with pytest.raises(Unusable):
        read_answer(Reply(f'{{"sure": {number}}}'), Sure)
    assert read_answer(Reply('{"sure": 0.5}'), Sure).sure == 0.5


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ollama", ("ollama", "", "")),
        ("ollama:qwen3:8b", ("ollama", "qwen3:8b", "")),
        ("ollama:hf.co/a/b:Q4_K_M@http://h:1/", ("ollama", "hf.co/a/b:Q4_K_M", "http://h:1")),
        ("openai:a b@https://h/v1", ("openai", "a b", "https://h/v1")),
        ("openai@http://[::1]:8080/v1", ("openai", "", "http://[::1]:8080/v1")),
    ],
)
def test_a_model_is_named_by_kind_model_and_address(text: str, parts):
    assert split_model(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        *("", "Ollama", ":x", "ollama:", "openai:a@localhost:1", "openai:a@ftp://h", "a\nb"),
        *("openai:a@http://user:pass@h", "openai:a@http://h/?key=1", "openai:a@http://h:99999"),
        *("openai:" + "a" * 600, "openai:a@http://", "openai:a\x1b[2J"),
    ],
)
def test_what_names_no_model_is_refused_as_a_setting(text: str):
    with pytest.raises(Invalid) as told:
        parse_project_setting("supervisor", text)
    assert told.value.hint
    assert "pass" not in str(told.value.problem())


def test_what_is_left_out_is_in_the_file_of_defaults():
    assert str(named("ollama")) == f"ollama:{defaults()['ollama']['model']}@http://127.0.0.1:11434"
    assert named("ollama", embedding=True).model == defaults()["ollama"]["embedding"]
    with pytest.raises(Invalid, match="has no model for embeddings"):
        named("anthropic", embedding=True)
    with pytest.raises(Invalid, match="has no default model"):
        named("riddle")


def test_a_key_goes_to_its_own_service_and_nowhere_else():
    environ = {"ANTHROPIC_API_KEY": "own", "MUSTER_KEY_GATE_EXAMPLE_8443": "theirs"}
    own = defaults()["anthropic"]["url"]
    assert model_key(environ, "anthropic", own, own) == "own"
    assert model_key(environ, "anthropic", "https://evil.example", own) == ""
    assert model_key(environ, "anthropic", "https://gate.example:8443/x", own) == "theirs"


async def test_the_house_makes_one_model_for_each_name(tmp_path: Path):
    path = tmp_path / "answers.toml"
    path.write_text("[[answer]]\njson = {good = true, kind = 'bug', reasons = []}\n")
    models = Models(load(tmp_path, {}), lambda _project: 1)
    one = models.of(f"scripted:{path}")
    assert one is models.of(f"scripted:{path}")
    assert (await one.answer(Judgement, "?", project=PROJECT)).value.good
    assert (await one.answer(Judgement, "?", project=PROJECT)).cached
    await models.close()
    with pytest.raises(Invalid) as told:
        models.of("riddle:x")
    assert "ollama" in told.value.hint


def test_the_key_is_in_no_text_of_a_model(tmp_path: Path):
    settings = load(tmp_path, {"ANTHROPIC_API_KEY": "sk-secret"})
    wanted, _ = provider_of(settings, "anthropic")
    assert wanted.key == "sk-secret"
    assert "sk-secret" not in f"{wanted} {wanted!r}"


def test_the_doctor_looks_at_each_configured_model_once(tmp_path: Path):
    answers = tmp_path / "answers.toml"
    answers.write_text("[[answer]]\ntext = 'yes'\n")
    (tmp_path / "config.toml").write_text(f"supervisor = 'scripted:{answers}'\n")
    environ = {"MUSTER_SUPERVISOR": f"scripted:{answers}", "MUSTER_EMBEDDING": "anthropic"}
    found = dict(looked_at(load(tmp_path, environ)))
    assert found[f"scripted:{answers}"].ok
    assert "has no model for embeddings" in found["anthropic"].text
    assert len(found) == 2


async def test_the_doctor_knows_the_models_of_projects_too(tmp_path: Path):
    store = open_store("", tmp_path)
    wanted = {"supervisor": "scripted:/nowhere.toml", "embedding": "none"}
    new = NewProject("shop", "/g", "/w", "main", wanted, {"supervisor": 7}, "", "")
    await store.write(add_project, new)
    await store.close()
    ((name, health),) = await asyncio.to_thread(looked_at, load(tmp_path, {}))
    assert name == "scripted:/nowhere.toml"
    assert not health.ok
    assert "[[answer]]" in health.fix


def test_nothing_heavy_is_loaded_until_a_model_is_asked():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from muster.settings import load\n"
        "from muster.wiring.models import Models, looked_at\n"
        "settings = load(Path('/nonexistent'), {'MUSTER_SUPERVISOR': 'openai:x@http://127.0.0.1:9',"
        " 'MUSTER_EMBEDDING': 'ollama:x@http://127.0.0.1:9'})\n"
        "assert len(looked_at(settings)) == 2\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "pydantic",
        "pydantic_ai",
        "httpx2",
        "openai",
        "anthropic",
    }
