"""Checkpoints: kept before and after each attempt and when asked for, gone back to, forked off."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest

from agents.small_acp import acp_agent
from engine.houses import git, shell, town, waiting_for
from engine.test_resume import mortal  # noqa: F401 - a fixture
from house.patience import PATIENCE
from muster.domain.errors import Conflict
from muster.store import permissions
from muster.workspace.git import Place

COUNTS = shell(
    'echo "$MUSTER_TASK" > "part$(ls | grep -c "^part")" && mkdir -p bin'
    " && echo run > bin/tool && chmod 755 bin/tool && ln -sf part0 link"
)


RISKS = """
def turn(number, prompt):
    global at
    at = number
    pathlib.Path("precious").mkdir()
    pathlib.Path("precious/untracked.bin").write_bytes(b"\\0days of work")
    ask({"toolCallId": "c", "kind": "execute", "rawInput": {"command": COMMAND}})
def hear(message):
    if message.get("id") == 7 and "result" in message:
        answer = message["result"]["outcome"]["optionId"]
        with open("answers.txt", "a") as file:
            file.write(answer + "\\n")
        if answer == "allow_once":
            pathlib.Path("precious/untracked.bin").unlink()
        end(at)
"""


def risking(command: str) -> dict[str, Any]:
    """An own agent that makes a file, asks to run a command, and has lost the file after it."""
    return acp_agent(RISKS, COMMAND=command)


async def request_of(place) -> dict:
    async with asyncio.timeout(PATIENCE):
        while not (items := (await place.service.list_breakpoints())["items"]):
            await place.service.wait_change(place.service.current_rev(), 0.02)
    return items[0]


async def eventually(place, is_so) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await place.service.wait_change(place.service.current_rev(), 0.02)


async def points(place, ref: str) -> list[dict]:
    return (await place.service.list_checkpoints(ref))["items"]


def asked(place, *words: str) -> str:
    """What git says in muster's own repository."""
    mirror = place.house.workspaces.mirror(project_id(place))
    return mirror.git.run(Place(mirror.path), *words).decode()


def shown(place, commit: str) -> list[str]:
    """The files of a commit with their modes, as muster's own repository has them."""
    lines = asked(place, "ls-tree", "-r", commit).splitlines()
    return [f"{line.split()[0]} {line.split(chr(9))[1]}" for line in lines]


def project_id(place) -> str:
    (folder,) = (place.settings.workspaces / "repos").iterdir()
    return folder.name


async def test_there_is_one_before_and_one_after_each_attempt(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, test_command="true") as place:
        task = await place.do("work", type="chore")
        assert task["status"] == "completed", task["reason"]
        before, after, merged = await points(place, task["id"])
    assert [p["label"] for p in (before, after, merged)] == [
        "before attempt 1", "attempt 1", "merged",
    ]  # fmt: skip
    assert before["commit"] == before["base_commit"] == after["base_commit"] == task["base_commit"]
    assert (after["agent_id"], after["tries"]) == (task["agents"][0]["id"], 1)
    assert merged["commit"] == place.main()


async def test_one_can_be_taken_while_the_agent_works(tmp_path):
    go = tmp_path / "go"
    script = f"echo half > half.txt; echo told; {waiting_for(go)} echo whole > whole.txt"
    async with town(tmp_path, {"slow": shell(script)}, test_command="true") as place:
        made = await place.submit("slow", type="chore")
        await place.until(made["id"], "executing")
        spaces = place.house.workspaces
        await eventually(
            place, lambda: [w for w in spaces.list() if (w.tree / "half.txt").exists()]
        )
        point, replayed = await place.service.take_checkpoint(made["id"], "half way")
        assert (point["label"], replayed) == ("half way", False)
        assert point["agent_id"] == (await place.service.get_task(made["id"]))["agents"][0]["id"]
        again, _ = await place.service.take_checkpoint(made["id"], "half way")
        assert again["n"] == point["n"]
        assert "100644 half.txt" in shown(place, point["commit"])
        assert "100644 whole.txt" not in shown(place, point["commit"])
        go.touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert "100644 whole.txt" in shown(place, task["result_commit"])


async def test_going_back_keeps_what_there_was_and_says_how_to_come_again(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, autonomy="confirm", test_command="true") as place:
        first = await place.do("work", type="chore")
        await place.service.retry_task(first["id"], "once more")
        second = await place.until(first["id"], "waiting")
        assert first["result_commit"] != second["result_commit"]
        known = await points(place, first["id"])
        one = next(p for p in known if p["commit"] == first["result_commit"])
        put = await place.service.restore_checkpoint(first["id"], one["n"])
        assert put["result_commit"] == first["result_commit"]
        assert git(place.repo, "rev-parse", f"muster/{first['id']}") == put["result_commit"]
        # The retry's own checkpoint is there still, under the commit that was left.
        assert second["result_commit"] in {p["commit"] for p in await points(place, first["id"])}
        mirror = place.house.workspaces.mirror(project_id(place))
        left = str(second["result_commit"])
        assert mirror.ref(f"refs/muster/rescue/{first['id']}-{left[:12]}") == left
        back = next(p for p in await points(place, first["id"]) if p["commit"] == left)
        again = await place.service.restore_checkpoint(first["id"], back["n"])
        assert again["result_commit"] == left
        begun = await place.service.restore_checkpoint(first["id"], 1)
        assert (begun["result_commit"], begun["base_commit"]) == (None, first["base_commit"])


async def test_a_fork_begins_with_the_files_and_leaves_the_first_as_it_was(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, autonomy="confirm", test_command="true") as place:
        first = await place.do("work", type="chore", priority=7)
        point = (await points(place, first["id"]))[-1]
        body = {"description": "the other way"}
        made, _ = await place.service.fork_task(first["id"], point["n"], body, "key")
        same, replayed = await place.service.fork_task(first["id"], point["n"], body, "key")
        assert (same["id"], replayed) == (made["id"], True)
        assert (made["priority"], made["title"]) == (7, "the other way")
        forked = await place.until(made["id"], "waiting")
        assert (forked["fork_of"], forked["fork_point"]) == (first["id"], point["n"])
        assert forked["base_commit"] == first["base_commit"]
        files = shown(place, forked["result_commit"])
        assert {"100644 part0", "100644 part1", "100755 bin/tool", "120000 link"} <= set(files)
        left = await place.service.get_task(first["id"])
        assert (left["status"], left["result_commit"]) == ("waiting", first["result_commit"])


async def test_a_fork_of_merged_work_stands_on_it(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, test_command="true") as place:
        first = await place.do("work", type="chore")
        merged = (await points(place, first["id"]))[-1]
        made, _ = await place.service.fork_task(first["id"], merged["n"], {})
        task = await place.until(made["id"])
        assert (task["status"], task["base_commit"]) == ("completed", merged["commit"])


async def test_a_fork_goes_on_with_a_copy_of_the_conversation(tmp_path, mortal):  # noqa: F811
    mortal()
    async with town(tmp_path, {}, autonomy="confirm", test_command="true") as place:
        first = await place.do("claude", type="chore")
        point = (await points(place, first["id"]))[-1]
        session = first["agents"][0]["session_id"]
        assert (point["session_id"], point["agent_id"]) == (session, first["agents"][0]["id"])
        made, _ = await place.service.fork_task(first["id"], point["n"], {})
        task = await place.until(made["id"], "waiting")
        told = asked(place, "show", f"{task['result_commit']}:told.txt").splitlines()
        # It knows its home and the session, in a folder of its own.
        assert [line.split()[0] for line in told] == ["fresh", "knows"]
        assert told[1].split()[1] == session
        assert told[0].split()[2] != told[1].split()[2]
        argv = place.run_dir(task["agents"][0]["id"]) / "spec.json"
        assert "--fork-session" in argv.read_text()
        # The first one's home is as it was.
        homes = [place.run_dir(t["agents"][0]["id"]) / "agent" / "home" for t in (first, task)]
        assert all(home.is_dir() for home in homes)


async def test_one_can_go_back_to_right_before_a_risky_step_that_was_allowed(tmp_path):
    agents = {"risks": risking("rm -rf .git")}
    given = {"permissions": "ask", "autonomy": "confirm", "test_command": "true"}
    async with town(tmp_path, agents, **given) as place:
        made = await place.submit("risks", type="chore")
        item = await request_of(place)
        assert item["evidence"]["checkpoint"] == "before: execute rm -rf .git"
        assert len(await points(place, made["id"])) == 1
        await place.service.resolve_breakpoint(item["id"], "allow")
        task = await place.until(made["id"], "waiting")
        begun, before, after = await points(place, made["id"])
        assert [p["label"] for p in (begun, before, after)] == [
            "before attempt 1", item["evidence"]["checkpoint"], "attempt 1",
        ]  # fmt: skip
        assert (before["agent_id"], before["session_id"]) == (task["agents"][0]["id"], "s-1")
        assert "100644 precious/untracked.bin" in shown(place, before["commit"])
        assert "100644 answers.txt" not in shown(place, before["commit"])
        assert "100644 precious/untracked.bin" not in shown(place, after["commit"])
        told = (await place.service.list_events(type="checkpoint.taken"))["items"]
        assert before["label"] in [event["payload"]["label"] for event in told]
        put = await place.service.restore_checkpoint(task["id"], before["n"])
        assert put["result_commit"] == before["commit"]
        kept = asked(place, "show", f"{put['result_commit']}:precious/untracked.bin")
        assert kept == "\0days of work"


async def test_a_step_that_is_not_risky_or_not_allowed_has_none(tmp_path):
    agents = {"tame": risking("make"), "risks": risking("rm -rf .git")}
    given = {"permissions": "ask", "autonomy": "confirm", "test_command": "true"}
    async with town(tmp_path, agents, **given) as place:
        for agent, answer in (("tame", "allow"), ("risks", "deny")):
            made = await place.submit(agent, type="chore")
            item = await request_of(place)
            await place.service.resolve_breakpoint(item["id"], answer)
            await place.until(made["id"], "waiting")
            labels = [p["label"] for p in await points(place, made["id"])]
            assert labels == ["before attempt 1", "attempt 1"]
            await place.service.cancel_task(made["id"])


async def test_a_risky_step_that_rules_allow_has_one_before_it_too(tmp_path):
    notify = "rules:\n  - name: destructive-command\n    do: notify\n"
    agents = {"risks": risking("rm -rf .git")}
    given = {"permissions": "rules", "permission_rules": ["allow *"], "test_command": "true"}
    async with town(tmp_path, agents, autonomy="confirm", **given) as place:
        (place.home / "breakpoints.yaml").write_text(notify)
        task = await place.do("risks", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "merge")
        _, before, _ = await points(place, task["id"])
        assert before["label"] == "before: execute rm -rf .git"
        assert "100644 precious/untracked.bin" in shown(place, before["commit"])


async def test_it_is_kept_once_and_before_the_answer_whoever_dies_in_between(tmp_path):
    agents = {"risks": risking("rm -rf .git")}
    given = {"permissions": "ask", "autonomy": "confirm", "test_command": "true"}
    async with town(tmp_path, agents, **given) as place:
        store = place.house.tools.store
        keep, kept = store.write, asyncio.Event()

        async def write(verb, *args, **kwargs):
            done = await keep(verb, *args, **kwargs)
            if verb is permissions.keep:
                kept.set()
                await asyncio.sleep(PATIENCE)  # gone between the checkpoint and the answer
            return done

        store.write = write
        made = await place.submit("risks", type="chore")
        item = await request_of(place)
        await place.service.resolve_breakpoint(item["id"], "allow")
        await asyncio.wait_for(kept.wait(), PATIENCE)
        (agent,) = (await place.service.active_agents())["items"]
        assert b"allow_once" not in (place.run_dir(agent["id"]) / "in").read_bytes()
        await place.restart()
        task = await place.until(made["id"], "waiting")
        labels = [p["label"] for p in await points(place, task["id"])]
        assert labels == ["before attempt 1", item["evidence"]["checkpoint"], "attempt 1"]
        assert asked(place, "show", f"{task['result_commit']}:answers.txt") == "allow_once\n"


async def test_nothing_is_kept_where_there_is_nothing(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, autonomy="manual", test_command="true") as place:
        made = await place.submit("work", type="chore")
        with pytest.raises(Conflict, match="no work to keep yet"):
            await place.service.take_checkpoint(made["id"])


async def test_work_that_is_gone_at_a_start_is_taken_from_the_users_repository(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, autonomy="confirm", test_command="true") as place:
        first = await place.do("work", type="chore")
        assert git(place.repo, "branch", "--list", first["branch"])
        await place.house.stop()
        shutil.rmtree(place.settings.workspaces / "repos" / project_id(place) / "mirror.git")
        await place.restart_only()
        mirror = place.house.workspaces.mirror(project_id(place))
        await eventually(place, lambda: mirror.has(first["result_commit"]))
        assert (await place.service.get_task(first["id"]))["reason"] == first["reason"]
        await place.service.merge_task(first["id"])
        assert (await place.until(first["id"], "completed", "failed"))["status"] == "completed"


async def test_work_that_is_gone_everywhere_goes_back_to_the_last_whole_checkpoint(tmp_path):
    async with town(tmp_path, {"work": COUNTS}, autonomy="confirm", test_command="true") as place:
        first = await place.do("work", type="chore")
        await place.service.retry_task(first["id"], "once more")
        second = await place.until(first["id"], "waiting")
        await place.house.stop()
        lost = str(second["result_commit"])
        mirror = place.settings.workspaces / "repos" / project_id(place) / "mirror.git"
        objects = [mirror / "objects", place.repo / ".git" / "objects"]
        gone = [folder / lost[:2] / lost[2:] for folder in objects]
        assert any(path.exists() for path in gone)
        for path in gone:
            path.unlink(missing_ok=True)
        git(place.repo, "update-ref", "-d", f"refs/heads/muster/{first['id']}")
        await place.restart_only()
        async with asyncio.timeout(PATIENCE):
            while (task := await place.service.get_task(first["id"]))["result_commit"] == lost:
                await place.service.wait_change(place.service.current_rev(), 0.02)
        assert task["result_commit"] == first["result_commit"]
        assert "was gone when the server started" in task["reason"]
        put = [e for e in task["trail"] if e["type"] == "checkpoint.restored"]
        assert put
        await place.service.merge_task(first["id"])
        assert (await place.until(first["id"], "completed", "failed"))["status"] == "completed"
