"""Agents that lie, flood, hide, sabotage and flee: each ends with the right verdict, contained."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.houses import CALC, commit, git, marked, shell, town, waiting_for
from house.all_files import contents
from house.patience import PATIENCE
from muster.domain.plain import plain

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
PYTEST = (
    # The plugins of our own tests take longer to load than the tests of these repositories.
    f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 '{sys.executable}' -B -m pytest -q -p no:cacheprovider"
)
NEW = "printf 'def two():\\n    return 2\\n' > two.py;"
BREAK = "printf 'def add(a, b):\\n    return a - b\\n' > calc.py;"
CHEAT = BREAK + "sed -i 's/calc.add(1, 2), 3/calc.add(1, 2), -1/' test_calc.py;"
TEST_IN_PYTEST = {
    "calc.py": CALC["calc.py"],
    "test_calc.py": "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n",
}
ALL_PASS = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""
MiB = 1 << 20


def python(source: str) -> dict[str, Any]:
    """An agent that is a Python program."""
    return {"driver": "command", "command": [sys.executable, "-c", source]}


def vetoes(task: dict[str, Any]) -> set[str]:
    return {f["code"] for v in task["verdicts"] for f in v["findings"] if f["severity"] == "veto"}


def doubts(task: dict[str, Any]) -> set[str]:
    """What stands between the work and its merge."""
    told = [f for v in task["verdicts"] for f in v["findings"]]
    return {f["code"] for f in told if f["severity"] in {"veto", "ask", "abstain"}}


def objects(repo: Path) -> bytes:
    """The content of every object that a repository holds, reachable or not."""
    return subprocess.run(
        ["git", "-C", str(repo), "cat-file", "--batch-all-objects", "--batch", "--buffer"],
        capture_output=True,
        check=True,
    ).stdout


def bare_repositories(home: Path) -> list[Path]:
    """The control plane's own repositories; workspaces may go while this looks."""
    folders = (Path(folder) for folder, _, names in os.walk(home) if "HEAD" in names)
    own = (folder for folder in folders if "spaces" not in folder.parts)
    return [folder for folder in own if (folder / "objects").is_dir()]


async def log_of(place: Any, task: dict[str, Any]) -> str:
    """All that the last agent wrote, as the doors tell it."""
    text, position = "", 0
    while True:
        page = await place.service.agent_logs(task["agents"][-1]["id"], offset=position)
        text += "".join(item["text"] for item in page["items"])
        if page["next"] == position:
            return text
        position = page["next"]


async def tidied(place: Any) -> None:
    """Wait until the workspaces of what has ended are gone."""
    async with asyncio.timeout(PATIENCE):
        while place.house.workspaces.list():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        pytest.param("echo all tests pass, done", {"change.none"}, id="lies"),
        pytest.param(CHEAT + "exit 0", {"tests.only_by_changed_tests"}, id="edits the tests"),
        pytest.param(
            BREAK + "rm test_calc.py",
            {"tests.only_by_changed_tests", "tests.broken", "tests.missing"},
            id="deletes the tests",
        ),
        pytest.param('rm -rf "$PWD" "$PWD"/* "$PWD"/.git', None, id="deletes its workspace"),
    ],
)
async def test_work_that_only_looks_done_is_refused(tmp_path, script, codes):
    async with town(tmp_path, {"bad": shell(script)}, max_attempts=1) as place:
        before = place.main()
        task = await place.do("bad", type="bug")
        assert task["status"] == "failed", (task["reason"], doubts(task))
        assert vetoes(task)
        assert codes is None or vetoes(task) <= codes
        assert place.main() == before
        assert marked(place.home) == []
        await tidied(place)


async def test_a_test_that_loses_an_assertion_beside_new_ones_is_refused(tmp_path):
    tests = TEST_IN_PYTEST["test_calc.py"].replace("assert calc.add(1, 2) == 3", "calc.add(1, 2)")
    proves = "\n\ndef test_sub():\n    assert calc.sub(3, 1) == 2\n"
    script = (
        "printf '\n\ndef sub(a, b):\n    return a - b\n' >> calc.py;"
        f" cat > test_calc.py <<'END'\n{tests}{proves}END\n"
    )
    agents, given = {"bad": shell(script)}, {"test_command": PYTEST, "max_attempts": 1}
    async with town(tmp_path, agents, TEST_IN_PYTEST, **given) as place:
        task = await place.do("bad", type="feature")
        assert (task["status"], vetoes(task)) == ("failed", {"tests.weakened"})


async def test_work_that_ends_the_test_runner_early_is_refused(tmp_path):
    script = BREAK + "printf 'import os\\nos._exit(0)\\n' >> calc.py"
    async with town(
        tmp_path, {"bad": shell(script)}, TEST_IN_PYTEST, test_command=PYTEST, max_attempts=1
    ) as place:
        before = place.main()
        task = await place.do("bad", type="chore")
        assert (task["status"], vetoes(task)) == ("failed", {"tests.no_report"})
        assert place.main() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conftest.py", ALL_PASS),
        ("sitecustomize.py", "import os\nos._exit(0)\n"),
        ("pytest.ini", "[pytest]\naddopts = --collect-only\n"),
        ("pytest.py", "print('1 passed')\n"),
    ],
)
async def test_a_test_runner_that_was_tampered_with_proves_nothing(tmp_path, name, text):
    plant = python(
        f"from pathlib import Path; Path({name!r}).write_text({text!r});"
        "Path('calc.py').write_text('def add(a, b):\\n    return a - b\\n')"
    )
    async with town(
        tmp_path, {"bad": plant}, files=TEST_IN_PYTEST, test_command=PYTEST, max_attempts=1
    ) as place:
        before = place.main()
        task = await place.do("bad", type="bug")
        assert task["status"] in {"failed", "waiting"}, task["status"]
        assert doubts(task)
        assert place.main() == before
        assert marked(place.home) == []


async def test_an_agent_without_end_is_stopped_with_everything_it_started(tmp_path):
    endless = shell("trap '' INT TERM HUP; (setsid sleep 300 &); while :; do sleep 1; done")
    async with town(tmp_path, {"endless": endless}, max_attempts=1) as place:
        task = await place.do("endless", timeout_minutes=0.02)
        assert task["status"] == "failed"
        assert task["agents"][0]["status"] == "timeout"
        assert marked(place.home) == []


DAEMON = """
import os, sys, time
from pathlib import Path

for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3):
                os.close(fd)
            Path({pids!r}, str(os.getpid())).touch()
            os.execve("/bin/sleep", ["sleep", "4242"], {{}})
        os._exit(0)
    os.wait()
while len(os.listdir({pids!r})) < 3:
    time.sleep(0.01)
Path("two.py").write_text("def two():\\n    return 2\\n")
"""


def _sleeps_still(pid: str) -> bool:
    try:
        return b"4242" in Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False


async def test_daemons_that_left_session_and_environment_end_with_their_agent(tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    async with town(tmp_path, {"daemons": python(DAEMON.format(pids=str(pids)))}) as place:
        task = await place.do("daemons", type="chore")
        assert task["status"] == "completed"
        started = [path.name for path in pids.iterdir()]
        assert len(started) == 3
        assert [pid for pid in started if _sleeps_still(pid)] == []


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def most_memory():
    """The most that this process held inside the block, looked at often."""
    seen = [_resident()]

    async def look() -> None:
        while True:
            await asyncio.sleep(0.02)
            seen.append(_resident())

    looking = asyncio.ensure_future(look())
    try:
        yield seen
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


@pytest.mark.parametrize("stream", ["out", pytest.param("err", marks=pytest.mark.long)])
async def test_a_flood_of_output_is_capped_and_says_so(tmp_path, stream):
    size = (1000 if LONG else 120) * 1_000_000
    redirect = ">&2" if stream == "err" else ""
    flood = shell(
        f"head -c {size} /dev/zero | tr '\\0' 'x' {redirect}; {NEW} echo the end {redirect}"
    )
    async with town(tmp_path, {"flood": flood}) as place, most_memory() as memory:
        task = await place.do("flood", type="chore")
        agent = task["agents"][-1]["id"]
        assert task["status"] == "completed"
        kept = sum(p.stat().st_size for p in place.run_dir(agent).glob(f"{stream}*"))
        assert 19 * MiB < kept < 25 * MiB
        first = await place.service.agent_logs(agent, limit=MiB)
        gaps, position = [], first["next"]
        while not gaps:
            page = await place.service.agent_logs(agent, offset=position, limit=MiB)
            assert page["next"] > position
            gaps += [page["truncated"]] if page["truncated"] else []
            position = page["next"]
        assert gaps[0]["to"] - gaps[0]["from"] > size - 25 * MiB
        last = await place.service.agent_logs(agent, tail=1000)
        assert last["items"][-1]["text"].endswith("the end\n")
        assert max(memory) - memory[0] < 100 * 1_000_000


async def test_output_that_is_no_text_is_told_as_text(tmp_path):
    rude = shell(
        r"printf 'a\377\376b \303\050 \033[31mred\033[2J\033]0;owned\007\n';"
        r"printf '\033]52;c;ZXZpbA==\007\000end\n';" + NEW
    )
    async with town(tmp_path, {"rude": rude}) as place:
        task = await place.do("rude", type="chore")
        assert task["status"] == "completed"
        said = await log_of(place, task)
        assert said.encode("utf-8")
        assert "\ufffd" in said
        assert "end\n" in said
        shown = plain(said)
        assert "red" in shown
        assert not set(shown) & {"\x1b", "\x07", "\x00"}
        assert "owned" not in shown
        whole = str(await place.service.get_task(task["id"]))
        assert "\\x1b" not in whole
        assert "\x1b" not in whole


# --- what an agent leaves behind for git ----------------------------------------------------------

PLANTS = {
    "a .git with fsmonitor and hooks": """
        rm -rf .git; git init -q .
        git config core.fsmonitor "{run}"
        git config core.hooksPath "$PWD/hooks"
        git config core.pager "{run}"; git config core.sshCommand "{run}"
        git config diff.external "{run}"; git config gpg.program "{run}"
        git config commit.gpgSign true; git config alias.status '!{run}'
        mkdir hooks
        for h in pre-commit post-checkout reference-transaction post-index-change pre-merge-commit
        do printf '#!/bin/sh\\n{run}\\n' > hooks/$h; chmod +x hooks/$h; done
        rm -rf hooks/../.git/hooks; cp -r hooks .git/hooks; rm -rf hooks
        """,
    "settings in the .git it was given": """
        d="$(git rev-parse --git-dir)"; c="$(git rev-parse --git-common-dir)"
        for where in "$d" "$c"; do
            mkdir -p "$where/hooks"
            for h in pre-commit post-checkout reference-transaction post-index-change
            do printf '#!/bin/sh\\n{run}\\n' > "$where/hooks/$h"; chmod +x "$where/hooks/$h"; done
            printf '[core]\\n\\tfsmonitor = {run}\\n\\thooksPath = %s\\n' "$where/hooks" \
                >> "$where/config"
            printf '[core]\\n\\tfsmonitor = {run}\\n' > "$where/config.worktree"
            printf '* filter=evil diff=evil merge=evil\\n' > "$where/info/attributes"
            printf '[filter "evil"]\\n\\tclean = {run}\\n\\tsmudge = {run}\\n\\trequired\\n' \
                >> "$where/config"
            printf '[diff "evil"]\\n\\ttextconv = {run}\\n\\tcommand = {run}\\n' >> "$where/config"
        done
        """,
    "a .git file that points elsewhere": """
        git init -q --bare ../elsewhere.git 2>/dev/null || git init -q --bare "$HOME/elsewhere.git"
        for e in ../elsewhere.git "$HOME/elsewhere.git"; do
            test -d "$e" && git -C "$e" config core.fsmonitor "{run}" \
                && git -C "$e" config core.bare false && rm -rf .git \
                && printf 'gitdir: %s\\n' "$e" > .git
        done; true
        """,
    "settings in its home": """
        git config --file "$HOME/.gitconfig" core.fsmonitor "{run}"
        git config --file "$HOME/.gitconfig" core.hooksPath "$HOME/hooks"
        mkdir -p "$HOME/hooks" "$HOME/.config/git"
        printf '#!/bin/sh\\n{run}\\n' > "$HOME/hooks/post-checkout"; chmod +x "$HOME"/hooks/*
        cp "$HOME/.gitconfig" "$HOME/.config/git/config"
        """,
}


def canary(tmp_path: Path) -> tuple[Path, Path]:
    """A program that leaves a trace when anything but a run starts it, and the trace."""
    trace, program = tmp_path / "trace", tmp_path / "canary"
    program.write_text(f'#!/bin/sh\ntest -n "$MUSTER_RUN_ID" || echo "$PPID" >> {trace}\ncat\n')
    program.chmod(0o755)
    return program, trace


@pytest.mark.parametrize("plant", PLANTS)
async def test_what_an_agent_plants_for_git_is_never_run(tmp_path, plant):
    program, trace = canary(tmp_path)
    script = NEW + PLANTS[plant].replace("{run}", str(program))
    async with town(tmp_path, {"plants": shell(script)}, max_attempts=1) as place:
        task = await place.do("plants", type="chore")
        assert not trace.exists()
        assert task["status"] == "completed", (task["reason"], doubts(task))
        # The work is there; what was planted is not.
        assert git(place.repo, "ls-tree", "--name-only", "main").split() == [
            "calc.py", "test_calc.py", "two.py",
        ]  # fmt: skip
        commit(place.repo, {"mine.txt": "by the user\n"})
        assert not trace.exists()
        assert marked(place.home) == []


async def test_filters_named_by_the_work_itself_are_never_run(tmp_path):
    program, trace = canary(tmp_path)
    script = (
        f"{NEW} printf '* filter=evil diff=evil merge=evil\\n' > .gitattributes;"
        f" git config filter.evil.clean {program}; git config filter.evil.smudge {program};"
        f" git config filter.evil.process {program}; git config filter.evil.required true;"
        f" git config diff.evil.textconv {program}; git config merge.evil.driver {program}; true"
    )
    async with town(tmp_path, {"filters": shell(script)}, max_attempts=1) as place:
        before = place.main()
        task = await place.do("filters", type="chore")
        assert not trace.exists()
        assert (task["status"], doubts(task)) == ("waiting", {"change.guarded"})
        assert place.main() == before


@pytest.mark.parametrize(
    "script",
    [
        "mkdir inner; cd inner; git init -q .; git config core.fsmonitor {run}; echo x > x;"
        " git -c core.fsmonitor= add x; git -c core.fsmonitor= commit -qm x",
        "git init -q --bare lib; touch lib/refs/keep lib/objects/keep;"
        " git -C lib config core.fsmonitor {run};"
        " git -C lib config core.worktree ..; git -C lib config core.bare false",
        "mkdir -p .hidden/.git/objects .hidden/.git/refs; echo 'ref: refs/heads/x' >"
        " .hidden/.git/HEAD; printf '[core]\\n\\tfsmonitor = {run}\\n' > .hidden/.git/config",
    ],
    ids=["nested", "embedded bare", "made by hand"],
)
async def test_a_repository_inside_the_work_is_refused(tmp_path, script):
    program, trace = canary(tmp_path)
    agent = shell(NEW + script.replace("{run}", str(program)))
    async with town(tmp_path, {"nests": agent}, max_attempts=1) as place:
        before = place.main()
        task = await place.do("nests", type="chore")
        assert not trace.exists()
        assert (task["status"], vetoes(task)) == ("failed", {"change.nested_repository"})
        assert place.main() == before


async def test_a_link_out_of_the_tree_never_carries_content_in(tmp_path):
    secret = tmp_path / "person" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("the-users-private-words\n")
    agent = shell(
        f"{NEW} ln -s {secret} notes.txt; ln -s {secret.parent} folder;"
        f" rm test_calc.py; ln -s {secret} test_calc.py; rm -rf calc.py; ln -s /dev/zero calc.py"
    )
    async with town(tmp_path, {"links": agent}, max_attempts=1) as place:
        before = place.main()
        task = await place.do("links", type="chore")
        assert task["status"] in {"failed", "waiting"}
        assert place.main() == before
        await tidied(place)
        for repo in (place.repo, *bare_repositories(place.home)):
            assert b"the-users-private-words" not in objects(repo)
        assert secret.read_text() == "the-users-private-words\n"


# --- what an agent does to those who watch it -----------------------------------------------------


async def test_an_agent_that_kills_its_supervisor_is_lost_and_tried_again(tmp_path):
    kills = shell(f'[ "$MUSTER_ATTEMPT" != 1 ] || kill -9 $PPID; sleep 0.2; {NEW}')
    async with town(tmp_path, {"kills": kills}, max_attempts=1) as place:
        task = await place.do("kills", type="chore")
        assert (task["status"], task["attempt"]) == ("completed", 2)
        assert "lost" in {a["outcome"] for a in task["agents"]}
        assert marked(place.home) == []


RESULTS = {
    "a pipe": 'mkfifo "$MUSTER_RESULT"',
    "huge": 'head -c 300000000 /dev/zero > "$MUSTER_RESULT"',
    "a link": 'ln -s /dev/zero "$MUSTER_RESULT"',
    "a folder": 'mkdir -p "$MUSTER_RESULT/deep"',
    "deep": 'python3 -c "print(\'[\' * 200000)" > "$MUSTER_RESULT"',
    "no text": "printf '\\377\\000' > \"$MUSTER_RESULT\"",
    "cut": 'printf \'{"status": "failed\' > "$MUSTER_RESULT"',
}


@pytest.mark.parametrize("result", RESULTS)
async def test_a_result_file_that_is_none_says_nothing_and_is_told(tmp_path, result):
    agent = shell(f"{NEW} {RESULTS[result]}")
    async with town(tmp_path, {"odd": agent}) as place, most_memory() as memory:
        task = await place.do("odd", type="chore")
        assert task["status"] == "completed", doubts(task)
        codes = [finding["code"] for finding in task["verdicts"][0]["findings"]]
        assert codes.count("agent.result") == 1
        assert max(memory) - memory[0] < 100 * 1_000_000


@pytest.mark.parametrize(
    "makes", ["mkfifo", *(pytest.param(m, marks=pytest.mark.long) for m in ("true", "mkdir"))]
)
async def test_an_agent_that_takes_its_prompt_away_holds_no_later_server_up(tmp_path, makes):
    go = tmp_path / "go"
    agent = shell(
        f'rm "$MUSTER_PROMPT_FILE"; {makes} "$MUSTER_PROMPT_FILE"; {NEW}'
        f" touch {tmp_path}/begun; {waiting_for(go)}"
    )
    async with town(tmp_path, {"takes": agent}) as place:
        task = await place.submit("takes", type="chore")
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.01)
        await place.restart()
        go.touch()
        done = await place.until(task["id"])
        assert (done["status"], done["attempt"]) == ("completed", 1)


async def test_a_test_report_that_is_a_pipe_proves_nothing_and_holds_nothing_up(tmp_path):
    report = (
        "import os, shlex, sys\n"
        "words = sys.argv + shlex.split(os.environ.get('PYTEST_ADDOPTS', ''))\n"
        "for word in words:\n"
        "    name, _, path = word.partition('=')\n"
        "    if 'junit' in name and path:\n"
        "        os.mkfifo(path)\n"
        "        os._exit(0)\n"
    )
    agent = python(f"open('calc.py', 'a').write({report!r})")
    async with town(
        tmp_path, {"pipes": agent}, files=TEST_IN_PYTEST, test_command=PYTEST, max_attempts=1
    ) as place:
        before = place.main()
        task = await place.do("pipes", type="bug")
        assert task["status"] in {"failed", "waiting"}
        assert place.main() == before


async def test_a_secret_of_the_server_never_reaches_a_stored_byte(tmp_path, monkeypatch):
    secret = "hostile-5f0c1d-very-secret"
    monkeypatch.setenv("HOSTILE_API_TOKEN", secret)
    agent = shell(
        f'{NEW} echo "token $HOSTILE_API_TOKEN"; printf "%s" "$HOSTILE_API_TOKEN" | cut -c 1-9;'
        ' printf "hostile-5f0c1d"; sleep 0.2; printf -- "-very-secret\\n" >&1;'
        ' echo "err $HOSTILE_API_TOKEN" >&2; printf \'{"status": "ok", "output": "%s"}\''
        ' "$HOSTILE_API_TOKEN" > "$MUSTER_RESULT"',
        pass_env=["HOSTILE_API_TOKEN"],
    )
    async with town(tmp_path, {"tells": agent}) as place:
        task = await place.do("tells", type="chore")
        said = await log_of(place, task)
        assert "token " in said
        assert secret not in said
        assert secret not in str(await place.service.get_task(task["id"]))
        own = place.run_dir(task["agents"][-1]["id"]) / "agent" / "result.json"
        holders = [
            path for path, data in contents(place.home) if path != own and secret.encode() in data
        ]
        assert holders == []
