"""The real agent programs: each edits a real file for the loopback model, through its driver.

No engine and no runtime: one process, spoken with by its session. What the programs do of
themselves with a stranger's repository is tried here too, since only they can show it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.jobs import job_in, run
from agents.pump import Talk, allow, talk
from agents.two_way_programs import KEY, PROGRAMS, START
from house.all_files import contents
from model_server.server import ModelServer
from muster.agents.acp import AcpDriver
from muster.agents.base import Answer, Fact, Job
from muster.agents.command import CommandDriver
from muster.domain.agent import Outcome, Usage
from muster.domain.errors import Refused

SMALL = {"input_tokens": 100, "output_tokens": 10}
SCRIPTS = {
    "edit": [
        {
            "text": "The sign is wrong.",
            "tools": [{"tool": "read", "path": "sums.py"}],
            "usage": {"input_tokens": 1000, "output_tokens": 40},
        },
        {
            "tools": [
                {"tool": "edit", "path": "sums.py", "old": "a - b", "new": "a + b"},
                {"tool": "write", "path": "NOTES.md", "content": "add adds – ä.\n"},
            ],
            "usage": {"input_tokens": 1100, "output_tokens": 60},
        },
        {"text": "add adds now.", "usage": {"input_tokens": 1200, "output_tokens": 10}},
    ],
    "say": [{"text": "Hello.", "usage": SMALL}],
    "more": [{"text": "Once more.", "usage": SMALL}],
    "touch": [{"tools": [{"tool": "bash", "command": "touch made"}]}, {"text": "Made."}],
    "wait": [
        {"tools": [{"tool": "bash", "command": "for i in $(seq 90); do sleep 1; done"}]},
        {"text": "Waited."},
    ],
    "nap": [
        {"tools": [{"tool": "bash", "command": "until [ -e said ]; do sleep 0.1; done; sleep 1"}]},
        {"text": "Awake."},
        {"text": "And heard."},
    ],
    "blocks": [
        {
            "text": "It adds now.",
            "tools": [
                {
                    "tool": "edit",
                    "path": "sums.py",
                    "old": "    return a - b",
                    "new": "    return a + b",
                },
                {"tool": "write", "path": "NOTES.md", "content": "add adds.\n"},
            ],
        }
    ],
    "env": [{"tools": [{"tool": "bash", "command": "env > env.txt"}]}, {"text": "Looked."}],
    "401": [{"status": 401, "message": "Incorrect API key provided"}],
    "429": [{"status": 429, "message": "Rate limit reached, please try again in 7m0s."}],
    "500": [{"status": 500, "message": "The server had an error"}],
    "529": [{"status": 529, "message": "Overloaded"}],
}
REFUSALS = {
    "401": Outcome.AUTH,
    "429": Outcome.RATE_LIMITED,
    "500": Outcome.UNAVAILABLE,
    "529": Outcome.RATE_LIMITED,
}


def named(*names: str, always: tuple[str, ...] = ()) -> Any:
    """The programs of these names, each needing its own part of the machine.

    Where some are `always` tried, the others are by `make test-long` only: they start slowly.
    """
    marks = {name: [getattr(pytest.mark, f"needs_{name}")] for name in names}
    for name in marks.keys() - set(always or names):
        marks[name].append(pytest.mark.long)
    return pytest.mark.parametrize("name", [pytest.param(n, marks=m) for n, m in marks.items()])


MANY = named(*PROGRAMS, always=("claude", "codex", "gemini"))
TWO = ("claude", "codex")
MOST = named(*PROGRAMS, always=TWO)
STEERED = named("claude", "codex")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture
def talked(tmp_path: Path, server: ModelServer) -> Callable[..., Talk]:
    """Let a program go through a script; keep its job."""

    def go(name: str, script: str, rule=allow, changes: dict | None = None, **how: Any) -> Talk:
        program = PROGRAMS[name]
        job = program.job(tmp_path, server.url, script, **(changes or {}))
        done = asyncio.run(talk(program.driver(), job, rule, **how))
        assert done.ending is not None
        return done

    return go


def interrupt(done: Talk, fact: Fact) -> None:
    """Interrupt as soon as a tool is at work."""
    if fact.kind == "tool_started":
        done.say(done.session.interrupt())


# --- the work -------------------------------------------------------------------------------------


@MANY
def test_it_edits_a_real_file_and_asks_first_though_muster_restarts_all_the_time(
    name: str, tmp_path: Path, talked
):
    asked: list[str] = []

    def rule(fact: Any) -> Answer:
        asked.append(fact["summary"])
        return Answer(allow=True)

    done = talked(name, "edit", rule, {"ask": True}, restarts=True)
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    place = tmp_path / "workspace"
    assert (place / "sums.py").read_text().startswith("def add(a, b):\n    return a + b")
    assert (place / "NOTES.md").read_text().rstrip() == "add adds – ä."
    assert any("NOTES.md" in summary for summary in asked)
    assert done.of("session")[0]["session_id"]
    assert "The sign is wrong." in [fact["text"] for fact in done.of("text")]
    started = [fact["id"] for fact in done.of("tool_started")]
    assert [f["id"] for f in done.of("tool_finished") if f["id"] not in started] == []
    assert "NOTES.md" in {fact["path"] for fact in done.of("file")}
    used = done.of("usage")[-1]
    # OpenCode tells the tokens of its last request alone.
    whole = (1200, 10) if name == "opencode" else (3300, 110)
    assert (used["input_tokens"], used["output_tokens"]) == whole


@MOST
def test_what_is_denied_is_not_done(name: str, tmp_path: Path, talked):
    said_no: list[Any] = []

    def rule(fact: Any) -> Answer:
        said_no.append(fact)
        return Answer(allow=False)

    done = talked(name, "touch", rule, {"ask": True})
    assert said_no
    assert not (tmp_path / "workspace" / "made").exists()
    assert done.session.finished


@MOST
def test_without_asking_it_waits_for_nobody(name: str, tmp_path: Path, talked):
    done = talked(name, "touch", lambda _: None)
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert (tmp_path / "workspace" / "made").exists()
    assert done.of("permission") == []


@pytest.mark.needs_claude
def test_an_allowed_call_is_done_as_it_was_edited(tmp_path: Path, talked):
    def rule(fact: Any) -> Answer:
        return Answer(True, edited={"content": "changed\n"} if fact["tool"] == "Write" else None)

    assert talked("claude", "edit", rule, {"ask": True}).ending.outcome is Outcome.COMPLETED
    assert (tmp_path / "workspace" / "NOTES.md").read_text() == "changed\n"


# --- turns and sessions ---------------------------------------------------------------------------


@MOST
def test_it_takes_another_turn_in_the_same_session(name: str, talked):
    done = talked(name, "say", more=["And then? [[script:more]]"])
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert [fact["text"] for fact in done.of("text")] == ["Hello.", "Once more."]
    assert len({fact["session_id"] for fact in done.of("session")}) == 1


@MOST
def test_a_running_turn_is_interrupted_and_the_next_one_works(name: str, talked):
    done = talked(name, "wait", on_fact=interrupt, more=["And then? [[script:more]]"])
    assert "Waited." not in [fact["text"] for fact in done.of("text")]
    assert done.of("finished")[0]["ok"] is False
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)


@STEERED
def test_a_word_into_a_running_turn_is_heard(
    name: str, tmp_path: Path, talked, server: ModelServer
):
    said: list[str] = []

    def steer(done: Talk, fact: Fact) -> None:
        if fact.kind == "tool_started" and not said:
            said.append("Mind the gap.")
            done.say(done.session.say(said[0]))
            (tmp_path / "workspace" / "said").touch()

    done = talked(name, "nap", on_fact=steer, restarts=True)
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert "Mind the gap." in json.dumps(server.requests[-1].body)


@named("claude", "codex", "qwen", "opencode", always=TWO)
def test_a_session_is_resumed_by_another_process(name: str, talked, server: ModelServer):
    """Not Gemini: it can load a session only in a later minute than it was begun in."""
    first = talked(name, "say")
    number = first.of("session")[0]["session_id"]
    used = first.of("usage")[-1]
    before = Usage(used["input_tokens"], used["output_tokens"], used["cost_usd"])
    resumed = {"resume_session": number, "resume_usage": before, "run_id": "coding-0000000b"}
    second = talked(name, "more", changes=resumed)
    assert second.ending.outcome is Outcome.COMPLETED, (second.ending, second.err)
    assert second.of("session")[0]["session_id"] == number
    assert [fact["text"] for fact in second.of("text")] == ["Once more."]
    assert "[[script:say]]" in json.dumps(server.requests[-1].body)
    assert second.of("usage")[-1]["input_tokens"] == 100


@STEERED
def test_a_fork_leaves_its_session_as_it_was(name: str, talked):
    number = talked(name, "say").of("session")[0]["session_id"]
    fork = {"resume_session": number, "fork": True, "run_id": "coding-0000000b"}
    done = talked(name, "more", changes=fork)
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert done.of("session")[0]["session_id"] not in {"", number}


@MOST
def test_a_session_that_is_gone_is_no_success_and_says_so(name: str, talked):
    gone = {"resume_session": "7b755b82-2506-49e6-8622-71993dfb1e99"}
    ending = talked(name, "say", changes=gone).ending
    assert ending.outcome is not Outcome.COMPLETED
    assert ending.reason


# --- errors of the service ------------------------------------------------------------------------


def refused() -> Any:
    """Each program with each error; here one program for each driver with what it tells apart.

    OpenCode and Qwen Code ask a service that failed for more than a minute.
    """
    short = {*((name, script) for name in TWO for script in ("401", "429")), ("gemini", "401")}
    return pytest.mark.parametrize(
        ("name", "script"),
        [
            pytest.param(
                *(name, script),
                marks=[
                    getattr(pytest.mark, f"needs_{name}"),
                    *([] if (name, script) in short else [pytest.mark.long]),
                ],
            )
            for name in PROGRAMS
            for script in REFUSALS
        ],
    )


@refused()
@pytest.mark.timeout(300)
def test_each_error_of_the_service_has_its_outcome(name: str, script: str, talked):
    done = talked(name, script)
    assert done.ending.outcome is REFUSALS[script], (done.ending, done.err)
    assert done.of("finished")[-1]["ok"] is False
    # What a person reads: what the service said, in its words or by its number.
    said = SCRIPTS[script][0]["message"].split(",")[0].lower()
    assert said in done.ending.reason.lower() or script in done.ending.reason, done.ending


# --- a repository is a stranger -------------------------------------------------------------------


def plant(workspace: Path, marks: Path) -> None:
    """Put everything into a repository that these programs would run or obey by default."""
    marks.mkdir()
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)

    def put(path: str, text: str) -> None:
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(text)

    def hooks(name: str) -> dict:
        run_it = {"type": "command", "command": f"touch {marks}/{name}"}
        events = ("SessionStart", "PreToolUse", "UserPromptSubmit", "BeforeTool", "Stop")
        return {event: [{"matcher": "*", "hooks": [run_it]}] for event in events}

    codex = f'[mcp_servers.planted]\ncommand = "touch"\nargs = ["{marks}/codex-server"]\n'
    put(".codex/config.toml", codex)
    put(".codex/hooks.json", json.dumps({"hooks": hooks("codex-hook")}))
    planted = "PLANTED=1\nGOOGLE_GEMINI_BASE_URL=http://127.0.0.1:1\n"
    for name in ("gemini", "qwen"):
        server = {"command": "touch", "args": [f"{marks}/{name}-server"], "trust": True}
        settings = {
            "mcpServers": {"planted": server},
            "tools": {"enableHooks": True, "discoveryCommand": f"touch {marks}/{name}-discovery"},
            "hooks": hooks(f"{name}-hook"),
        }
        put(f".{name}/settings.json", json.dumps(settings))
        put(f".{name}/.env", planted)
    put(".env", planted)
    local = {"type": "local", "command": ["touch", f"{marks}/opencode-server"], "enabled": True}
    put("opencode.json", json.dumps({"mcp": {"planted": local}}))
    put("AGENTS.md", "INSTRUCTIONS FOR ALL.\n")


@named("codex", "gemini", "qwen", "opencode", always=("codex", "gemini", "opencode"))
def test_settings_servers_and_hooks_of_a_repository_are_not_run(
    name: str, tmp_path: Path, server: ModelServer
):
    program = PROGRAMS[name]
    job = program.job(tmp_path, server.url, "env")
    plant(job.workspace, tmp_path / "marks")
    done = asyncio.run(talk(program.driver(), job))
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert list((tmp_path / "marks").iterdir()) == []
    assert "PLANTED" not in (job.workspace / "env.txt").read_text()
    asked = json.dumps([request.body for request in server.requests])
    assert "Instructions for work in this repository are in AGENTS.md" in asked


@pytest.mark.needs_codex
def test_the_same_plants_do_run_without_the_drivers_word(tmp_path: Path, server: ModelServer):
    """The proof that the test above looks at something."""
    program = PROGRAMS["codex"]
    job = program.job(tmp_path, server.url, "env")
    plant(job.workspace, tmp_path / "marks")

    class Trusting(type(program.driver())):
        def launch(self, job: Job):
            launch = super().launch(job)
            return replace(launch, argv=launch.argv[:2])

    asyncio.run(talk(Trusting(), job))
    assert "codex-server" in {path.name for path in (tmp_path / "marks").iterdir()}


@pytest.mark.needs_opencode
@pytest.mark.parametrize("kind", ["plugin", "plugins", "tool", "tools"])
def test_a_repository_with_plugins_that_would_be_loaded_is_refused(
    kind: str, tmp_path: Path, server: ModelServer
):
    job = PROGRAMS["opencode"].job(tmp_path, server.url, "say")
    (job.workspace / ".opencode" / kind).mkdir(parents=True)
    with pytest.raises(Refused, match=kind) as told:
        AcpDriver().launch(job)
    assert "refuse_files" in told.value.hint


@MANY
def test_the_key_is_no_argument_and_is_kept_nowhere(name: str, tmp_path: Path, talked):
    done = talked(name, "say")
    program = PROGRAMS[name]
    job = program.job(tmp_path, "http://127.0.0.1:1", "say")
    launch = program.driver().launch(job)
    assert KEY not in " ".join(launch.argv) + "".join(launch.files.values())
    assert [path for path, held in contents(tmp_path) if KEY.encode() in held] == []
    assert KEY.encode() not in done.out + done.err
    assert not (tmp_path / "person").exists()


@MOST
def test_it_is_offered_musters_skill_and_the_tree_is_left_alone(
    name: str, tmp_path: Path, talked, server: ModelServer
):
    talked(name, "say")
    asked = json.dumps([request.body for request in server.requests])
    assert "How to reach muster, which started you" in asked
    assert {path.name for path in (tmp_path / "workspace").iterdir()} == set(START)


# --- one way --------------------------------------------------------------------------------------


def aided(folder: Path, server: ModelServer, script: str) -> Job:
    """A job of aider."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "person"),
        "OPENAI_API_BASE": f"{server.url}/v1",
        "OPENAI_API_KEY": KEY,
    }
    prompt = f"Change sums.py and NOTES.md: [[script:{script}]]"
    job = job_in(folder, prompt, environ=environ, model="openai/scripted")
    for path, text in START.items():
        (job.workspace / path).write_text(text)
    return replace(job, options={"preset": "aider"})


@pytest.mark.long  # the matrix shows it with a server
@pytest.mark.needs_aider
def test_aider_edits_a_real_file(tmp_path: Path, server: ModelServer):
    job = aided(tmp_path, server, "blocks")
    done = run(CommandDriver(), job)
    assert done.ending.outcome is Outcome.COMPLETED, (done.ending, done.err)
    assert "return a + b" in (job.workspace / "sums.py").read_text(), done.out.decode()
    assert (job.workspace / "NOTES.md").read_text() == "add adds.\n"


@pytest.mark.needs_aider
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "script", [pytest.param(s, marks=[] if s == "401" else [pytest.mark.long]) for s in REFUSALS]
)
def test_aider_did_not_work_where_its_service_refused_though_it_ends_well(
    script: str, tmp_path: Path, server: ModelServer
):
    done = run(CommandDriver(), aided(tmp_path, server, script))
    assert done.code == 0
    assert done.ending.outcome is REFUSALS[script], done.out.decode()
    assert SCRIPTS[script][0]["message"] in done.ending.reason
    assert not any('"event"' in fact["text"] for fact in done.of("text"))
