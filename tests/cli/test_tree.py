"""The tree of commands as a whole: help, JSON on success and on failure, exit codes, plain text."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from tests.cli.conftest import Run
from tests.client.loopback import Answer, Loopback, problem

from muster.cli.help import EXIT_CODES
from muster.cli.line import Line
from muster.cli.main import COMMANDS, main, root

AGENT = "coding-1f3a9c02"
LINES: dict[str, list[str]] = {
    "status": [],
    "project list": [],
    "project show": ["sample"],
    "project set": ["sample", "agent", "claude"],
    "project try": ["max_attempts", "1", "--project", "sample"],
    "project remove": ["sample"],
    "do": ["add a retry", "--project", "sample"],
    "plan": ["two things", "--project", "sample"],
    "worker list": ["--project", "sample"],
    "worker logs": [AGENT],
    "worker clean": [],
    "task list": [],
    "task show": ["MU-1"],
    "task approve": ["MU-1"],
    "task cancel": ["MU-1"],
    "task retry": ["MU-1", "--note", "again"],
    "task budget": ["MU-1", "20"],
    "task priority": ["MU-1", "9"],
    "task diff": ["MU-1"],
    "task merge": ["MU-1"],
    "task outcome": ["MU-1", "wrong", "--why", "totals were off"],
    "task log": ["MU-1"],
    "task checkpoints": ["MU-1"],
    "task checkpoint": ["MU-1", "half way"],
    "task restore": ["MU-1", "1"],
    "task fork": ["MU-1", "1", "Another way."],
    "agent list": [],
    "agent show": [AGENT],
    "agent analytics": ["--since", "7d", "--until", "1d"],
    "agent logs": [AGENT],
    "agent kill": [AGENT],
    "agent send": [AGENT, "Use decimals."],
    "agent retry": [AGENT],
    "inbox": [],
    "breakpoint list": ["--all"],
    "breakpoint rules": ["sample"],
    "breakpoint show": ["bp_1"],
    "breakpoint resolve": ["bp_1", "merge"],
    "token create": ["anna", "--role", "lead", "--expires", "30d"],
    "token list": ["--all"],
    "token revoke": ["tok_1"],
    "github status": [],
    "github pr list": ["team/app"],
    "github pr show": ["team/app", "7"],
    "github pr merge": ["team/app", "7", "--method", "squash"],
    "queue show": [],
    "queue add": ["MU-1", "--position", "2"],
    "queue move": ["MU-1", "2"],
    "queue order": ["MU-1"],
    "queue remove": ["MU-1"],
    "queue pause": [],
    "queue resume": [],
    "queue set": ["max_concurrent", "4"],
    "queue clear": [],
    "playbook list": ["--project", "sample"],
    "playbook show": ["plan", "--project", "sample"],
    "metrics": ["--since", "7d"],
    "event list": ["--pending", "--type", "task.queued"],
    "event show": ["4"],
    "event done": ["4"],
    "event tail": ["--after", "0", "-n", "1"],
    "event emit": ["ci.done", "build"],
}
"""A working line for each command that only speaks to the server."""

ELSEWHERE = {
    "demo",
    "up",
    "down",
    "open",
    "doctor",
    "init",
    "mcp",
    "record",
    "service print",
    "debug bundle",
    "help",
    "image build",
    "playbook check",
    "plugin list",
    "agent attach",
    "manager",
    "worker spawn",
    "worker result",
    "worker reset",
} | {f"host {name}" for name in ("list", "add", "remove")}
"""Commands with more to them; they have tests of their own."""


def _leaves(command: click.Command, path: str = "") -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return {path: command}
    ctx = click.Context(command, info_name=path, obj=Line())
    found: dict[str, click.Command] = {}
    for name in command.list_commands(ctx):
        child = command.get_command(ctx, name)
        assert child is not None
        found |= _leaves(child, f"{path} {name}".strip())
    return found


LEAVES = _leaves(root)


def test_the_lines_of_this_file_are_all_commands_there_are() -> None:
    assert set(LINES) | ELSEWHERE == set(LEAVES)


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_help(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: muster {path} ")
    assert LEAVES[path].help, "what it does"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_outermost_help_says_what_each_command_says_of_itself(name: str) -> None:
    module, attribute, told = COMMANDS[name]
    own = getattr(importlib.import_module(module), attribute).help.splitlines()[0]
    assert told.split()[0] == own.split()[0], "the same verb"


@pytest.mark.parametrize("path", LINES)
def test_json_is_one_document_on_success(path: str, run: Run) -> None:
    ended = run(*path.split(), *LINES[path], "--json")
    assert (ended.code, ended.err) == (0, "")
    json.loads(ended.out)


@pytest.mark.parametrize("path", LINES)
def test_json_is_one_document_on_failure(path: str, run: Run, server: Loopback) -> None:
    server.routes = {key: problem(409, "conflict") for key in server.routes}
    ended = run("--json", *path.split(), *LINES[path])
    assert ended.code == 5
    told = json.loads(ended.out)["error"]
    assert (told["code"], told["detail"], told["hint"]) == (
        "conflict",
        "it is conflict",
        "try another",
    )
    assert json.loads(ended.err) == told


@pytest.mark.parametrize("path", LINES)
def test_a_failure_says_what_happened_and_what_to_do_next(
    path: str, run: Run, server: Loopback
) -> None:
    server.routes = {}
    ended = run(*path.split(), *LINES[path])
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines() == ["muster: it is not-found", "  next: try another"]


@pytest.mark.parametrize("path", LINES)
def test_people_read_something(path: str, run: Run) -> None:
    ended = run(*path.split(), *LINES[path])
    assert ended.code == 0
    assert ended.out.strip()
    assert "\x1b" not in ended.out + ended.err, "no colour where there is no terminal"
    assert "None" not in ended.out


@pytest.mark.parametrize("path", LINES)
def test_global_options_work_at_the_end_of_the_line(
    path: str, server: Loopback, capsys: Any
) -> None:
    more = ["--url", server.url, "--token", "wrong", "--json", "--quiet", "--no-color"]
    assert main([*path.split(), *LINES[path], *more]) in {0, 4}
    out = json.loads(capsys.readouterr().out)
    assert out["error"]["code"] == "not-signed-in"


# --- strangers' text ------------------------------------------------------------------------------

HOSTILE = [
    "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\x1b[2J\x1b[H", "\x1b[?1049h", "\x1b[6n",
    "\x1b[c", "\x1b[>c", "\x1bP$qm\x1b\\", "\x1b_apc\x1b\\", "\x1b^pm\x1b\\", "\x1bXsos\x1b\\",
    "\x1bc", "\x1b(0lqqk", "\x1b[1;31mred", "\x1b[31", "\x1b]unfinished", "\x1b", "\x9b2J",
    "\x9d0;t\x9c", "\x90q\x9c", "\x85\x84\x8d", "\x00nul", "\x08\x08\x08gone", "\rover", "bell\x07",
    "\x7f\x7f", "\u202etxt.exe", "\u2066hidden\u2069", "\u200e\u200f\u061c",
    "\u2028\u2029", "a\u200bb\ufeff",
    "\U000e0041\U000e0042tags", "\x1b\x1b[31m\x1b]0;x", "line\nMU-2  ✓ completed\ttab",
]  # fmt: skip
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)


@pytest.fixture(scope="module")
def hostile_server() -> Any:
    with Loopback("⟦" + "⟧⟦".join(HOSTILE) + "⟧") as server:
        yield server


@pytest.mark.parametrize("path", LINES)
def test_hostile_text_moves_nothing_on_the_terminal(
    path: str, hostile_server: Loopback, run: Run
) -> None:
    for more in ([], ["--json"]):
        ended = run(*path.split(), *LINES[path], *more, url=hostile_server.url)
        assert ended.code == 0
        assert not FORBIDDEN.findall(ended.out + ended.err)


def test_hostile_text_in_an_error_moves_nothing_on_the_terminal(run: Run, server: Loopback) -> None:
    text = "".join(HOSTILE)
    server.routes["GET", "/api/queue"] = problem(409, "conflict", detail=text, hint=text)
    for more in ([], ["--json"]):
        ended = run("queue", "show", *more)
        assert ended.code == 5
        assert not FORBIDDEN.findall(ended.out + ended.err)


# --- exit codes -----------------------------------------------------------------------------------

STATUSES = {
    (400, "usage"): 2, (422, "invalid"): 2, (404, "not-found"): 3, (410, "gone"): 3,
    (401, "not-signed-in"): 4, (403, "not-allowed"): 4, (421, "wrong-host"): 4,
    (409, "conflict"): 5, (409, "stale"): 5, (412, "changed-meanwhile"): 5, (409, "refused"): 1,
    (501, "unavailable"): 1,
}  # fmt: skip


@pytest.mark.parametrize(("answer", "code"), STATUSES.items())
def test_the_exit_code_says_what_kind_of_failure_it_was(
    answer: tuple[int, str], code: int, run: Run, server: Loopback
) -> None:
    server.routes["GET", "/api/queue"] = problem(*answer)
    assert run("queue", "show").code == code


def test_a_server_that_is_away_is_exit_6_with_the_command_that_starts_it(
    home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with Loopback() as gone:
        url = gone.url
    ended = run("queue", "show", url=url)
    assert ended.code == 6
    assert "next: start it: muster" in ended.err
    assert url in ended.err
    assert main(["--home", str(home), "task", "list"]) == 6
    assert f"muster --home {home} up" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "tsk", "task lst", "task list --nope", "task show", "do", "queue set",
        "task restore MU-1 x", "task list --limit many", "do x --autonomy total", "do x -f y",
        "queue set paused",
        "queue set paused maybe", "queue set x 1", "queue set max_concurrent x", "project set a",
        "event emit x --payload {", "event emit x --payload []", "init no-such-folder",
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_2_in_words_and_in_json(line: str, run: Run) -> None:
    ended = run(*line.split())
    assert (ended.code, ended.out) == (2, "")
    assert "next: " in ended.err
    ended = run(*line.split(), "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["error"] == json.loads(ended.err)


def test_a_near_miss_is_named(run: Run) -> None:
    assert "'task'" in run("tsk").err


def test_no_command_at_all_is_the_help(run: Run) -> None:
    ended = run()
    assert ended.code == 0
    assert all(name in ended.out for name in COMMANDS)


def test_a_group_alone_shows_its_commands_as_wrong_usage(run: Run) -> None:
    ended = run("task")
    assert (ended.code, ended.out) == (2, "")
    assert "approve" in ended.err
    assert json.loads(run("task", "--json").out)["error"]["code"] == "usage"


def test_the_exit_codes_are_documented(run: Run) -> None:
    said = run("help", "exit-codes").out
    assert all(f"{code}  " in said and text in said for code, text in EXIT_CODES.items())
    assert json.loads(run("help", "exit-codes", "--json").out)["7"].startswith("waiting")
    assert run("help").out.count("exit-codes") == 1
    assert run("help", "nonsense").code == 3


def test_the_version_is_said(run: Run) -> None:
    assert re.fullmatch(r"muster \d+\.\d+\.\d+\n", run("--version").out)


def test_quiet_leaves_only_the_result(run: Run, server: Loopback) -> None:
    assert run("do", "x", "--project", "sample").err
    assert run("do", "x", "--project", "sample", "-q").err == ""
    server.routes["GET", "/api/tasks"] = Answer(body={"items": [], "next": None})
    assert run("task", "list", "--quiet")[1:] == ("", "")
