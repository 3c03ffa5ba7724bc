"""Rules of breakpoints at work: who is asked, once, and what the answer does."""

from __future__ import annotations

import asyncio
import json

import pytest

from agents.small_acp import acp_agent
from engine.houses import CALC, Town, commit, marked, shell, spending, town
from house.patience import PATIENCE
from muster.agents.base import Fact
from muster.domain.person import FIRST_USER
from muster.engine.overseer import Overseer
from muster.engine.tools import job_and_agent
from muster.store import tasks

ADDS = "printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done"
GOOD = shell(ADDS)
SLEEPS = shell("echo begun; sleep 300")
RULES = ".muster/breakpoints.yaml"

ASKS_THEN_RUNS = """
CALL = {"toolCallId": "c", "kind": "execute", "rawInput": {"command": COMMAND}}
def turn(number, prompt):
    global asked
    asked = number
    if ASKS:
        ask(CALL)
        return
    for n in range(TIMES):
        update(sessionUpdate="tool_call", **{**CALL, "toolCallId": f"c{n}"}, status="completed")
    if ENDS:
        pathlib.Path("did.txt").write_text(COMMAND)
        end(number)
def hear(message):
    if message.get("id") == 7:
        pathlib.Path("answer.txt").write_text(message["result"]["outcome"]["optionId"])
        end(asked)
"""


def running(command: str, *, asks: bool = False, times: int = 1, ends: bool = True) -> dict:
    """An own agent that runs a command, so many times, or asks to."""
    return acp_agent(ASKS_THEN_RUNS, COMMAND=command, ASKS=asks, TIMES=times, ENDS=ends)


def with_rules(text: str) -> dict[str, str]:
    return {**CALC, RULES: text}


def rule(name: str, when: str, do: str = "pause") -> str:
    return f"  - name: {name}\n    when: {when}\n    do: {do}\n"


def mine(when: str, do: str = "pause") -> str:
    return "rules:\n" + rule("mine", when, do)


async def held(place: Town, kind: str = "rule.held") -> list[dict]:
    return [e["payload"] for e in (await place.service.list_events(type=kind))["items"]]


async def questions(place: Town) -> list[dict]:
    return (await place.service.list_breakpoints(open_only=False))["items"]


async def test_work_that_a_rule_holds_for_waits_although_it_would_be_merged(tmp_path):
    files = with_rules(mine("{files: [calc.py]}"))
    async with town(tmp_path, {"good": GOOD}, files) as place:
        before = place.main()
        task = await place.do("good", type="chore")
        item = task["breakpoint"]
        assert (task["status"], item["kind"]) == ("waiting", "rule")
        assert item["options"] == ["merge", "retry", "fail", "cancel"]
        (told,) = item["evidence"]["rules"]
        assert (told["rule"], told["source"]) == ("mine", "project")
        assert told["conditions"] == [
            {"kind": "files", "asked": ["calc.py"], "saw": {"files": ["calc.py"], "count": 1}}
        ]
        assert "mine" in item["question"] + " ".join(item["evidence"]["reasons"])
        assert task["decisions"][0]["step"] == "ask"
        assert place.main() == before
        await place.restart()
        assert [q["id"] for q in await questions(place)] == [item["id"]]
        await place.service.resolve_breakpoint(item["id"], "merge")
        assert (await place.until(task["id"], "completed"))["merged_commit"] == place.main()
        assert [(each["rule"], each["at"]) for each in await held(place)] == [("mine", "verdict")]


@pytest.mark.long
async def test_a_rule_that_notifies_holds_nothing_up_and_is_told_once(tmp_path):
    files = with_rules(mine("{lines: {above: 1}, decision: accept}", "notify"))
    async with town(tmp_path, {"good": GOOD}, files) as place:
        task = await place.do("good", type="chore")
        assert task["status"] == "completed"
        assert [each["action"] for each in await held(place)] == ["notify"]
        assert any("The rule 'mine' holds" in line["text"] for line in task["trail"])


@pytest.mark.long
async def test_approval_names_the_role_and_an_offered_answer_only(tmp_path):
    breaks = shell("printf 'def add(a, b):\\n    return a - b\\n' > calc.py; echo done")
    files = with_rules(mine("{finding: [tests.broken]}", "{approve: lead}"))
    async with town(tmp_path, {"breaks": breaks}, files) as place:
        task = await place.do("breaks", type="chore")
        item = task["breakpoint"]
        assert (task["status"], task["attempt"], item["kind"]) == ("waiting", 1, "rule")
        assert item["evidence"]["rules"][0]["role"] == "lead"
        assert "lead" in item["question"]
        with pytest.raises(Exception, match="does not answer"):
            await place.service.resolve_breakpoint(item["id"], "merge", by=FIRST_USER)
        await place.service.resolve_breakpoint(item["id"], "fail", by=FIRST_USER)
        assert (await place.until(task["id"], "failed"))["merged_commit"] is None


@pytest.mark.long
async def test_a_run_is_stopped_once_for_a_cause_and_goes_on_when_a_person_says_so(tmp_path):
    go = tmp_path / "go"
    slow = shell(f"echo begun; while [ ! -e '{go}' ]; do sleep 0.05; done; {ADDS}")
    files = with_rules(mine("{minutes: {above: 0}}"))
    async with town(tmp_path, {"slow": slow}, files) as place:
        task = await place.do("slow", type="chore")
        item = task["breakpoint"]
        assert (task["status"], item["kind"]) == ("waiting", "rule")
        assert item["options"] == ["retry", "fail", "cancel"]
        assert item["evidence"]["rules"][0]["conditions"][0]["kind"] == "minutes"
        assert [(a["status"], a["outcome"]) for a in task["agents"]] == [("killed", "held")]
        go.touch()
        await place.service.resolve_breakpoint(item["id"], "retry")
        done = await place.until(task["id"], "completed", "failed", "cancelled")
        assert (done["status"], done["attempt"]) == ("completed", 2)
        assert len(await held(place)) == len(await questions(place)) == 1


async def test_a_run_that_was_stopped_is_not_taken_for_cancelled_by_the_next_server(tmp_path):
    files = with_rules(mine("{minutes: {above: 0}}"))
    async with town(tmp_path, {"sleeps": SLEEPS}, files) as place:
        task = await place.submit("sleeps", type="chore")
        async with asyncio.timeout(PATIENCE):
            while not await held(place):
                await asyncio.sleep(0.01)
        await place.restart()
        done = await place.until(task["id"])
        assert (done["status"], done["breakpoint"]["kind"]) == ("waiting", "rule")
        assert done["breakpoint"]["evidence"]["rules"][0]["rule"] == "mine"
        assert len(await held(place)) == len(await questions(place)) == 1


@pytest.mark.long
async def test_a_destructive_command_stops_an_agent_that_asks_nobody(tmp_path):
    long = "# what comes before may be long\n" * 20
    force = running(f"{long}cd . && git push --force origin main", ends=False)
    async with town(tmp_path, {"force": force}, test_command="true") as place:
        task = await place.do("force", type="chore")
        item = task["breakpoint"]
        assert (task["status"], item["kind"]) == ("waiting", "rule")
        (told,) = item["evidence"]["rules"]
        assert (told["rule"], told["source"]) == ("destructive-command", "built in")
        assert told["conditions"][0]["saw"]["pattern"] == "git push --force*"


async def test_a_destructive_command_that_is_asked_for_is_put_to_a_person_in_spite_of_rules(
    tmp_path,
):
    agents = {"force": running("git push --force", asks=True)}
    allow = {"permissions": "rules", "permission_rules": ["allow execute"]}
    async with town(tmp_path, agents, test_command="true", **allow) as place:
        made = await place.submit("force", type="chore")
        async with asyncio.timeout(PATIENCE):
            while not (items := (await place.service.list_breakpoints())["items"]):
                await asyncio.sleep(0.02)
        assert items[0]["kind"] == "permission"
        assert items[0]["evidence"]["rules"][0]["rule"] == "destructive-command"
        await place.restart()
        await place.service.resolve_breakpoint(items[0]["id"], "deny", "never")
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert (place.repo / "answer.txt").read_text() == "reject_once"
        assert len(await held(place)) == len(await questions(place)) == 1


@pytest.mark.long
async def test_an_agent_that_repeats_one_call_is_stuck(tmp_path):
    again = running("make check", times=30, ends=False)
    async with town(tmp_path, {"again": again}, test_command="true") as place:
        task = await place.do("again", type="chore")
        (told,) = task["breakpoint"]["evidence"]["rules"]
        assert told["rule"] == "stuck"
        assert told["conditions"][0]["kind"] == "repeated_calls"


@pytest.mark.long
async def test_a_person_switches_a_built_in_rule_off_for_all_projects(tmp_path):
    again = running("make check", times=30)
    async with town(tmp_path, {"again": again}, test_command="true") as place:
        off = "rules:\n- name: stuck\n  active: false\n"
        (place.home / "breakpoints.yaml").write_text(off)
        await place.restart()
        task = await place.do("again", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert await held(place) == []


async def test_a_repository_switches_nothing_off_until_it_is_trusted(tmp_path):
    off = "rules:\n- name: stuck\n  active: false\n"
    agents = {"again": running("make check", times=30)}
    async with town(tmp_path, agents, with_rules(off), test_command="true") as place:
        shown = await place.service.breakpoint_rules("repo")
        assert (shown["trusted"], shown["switched_off"]) == (False, {})
        assert "not trusted" in shown["ignored"][0]
        assert (await place.do("again", type="chore"))["breakpoint"]["kind"] == "rule"
        await place.service.add_project({"path": str(place.repo), "trust": True})
        shown = await place.service.breakpoint_rules("repo")
        assert (shown["trusted"], shown["switched_off"]) == (True, {"stuck": "project"})
        assert (await place.do("again", type="chore"))["status"] == "completed"
        commit(place.repo, {RULES: off + "- name: budget\n  active: false\n"})
        changed = await place.service.breakpoint_rules("repo")
        assert (changed["trusted"], changed["switched_off"]) == (False, {})


async def test_of_a_file_with_faults_the_rules_before_it_stay_active_and_it_is_told(tmp_path):
    files = with_rules(mine("{files: [calc.py]}"))
    async with town(tmp_path, {"good": GOOD}, files) as place:
        first = await place.do("good", type="chore")
        await place.service.resolve_breakpoint(first["breakpoint"]["id"], "cancel")
        commit(place.repo, {RULES: mine("{fles: [calc.py]}", "stop")})
        await place.restart()
        task = await place.do("good", type="chore")
        assert task["breakpoint"]["evidence"]["rules"][0]["rule"] == "mine"
        (refused,) = await held(place, "rules.refused")
        assert refused["file"] == RULES
        assert [text.partition(":")[0] for text in refused["faults"]] == ["line 3", "line 4"]
        shown = await place.service.breakpoint_rules("repo")
        assert [fault["line"] for fault in shown["faults"]] == [3, 4]
        assert all(fault["remedy"] for fault in shown["faults"])


@pytest.mark.long
async def test_rules_follow_the_file_at_the_commit_that_a_task_stands_on(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        assert (await place.do("good", type="chore"))["status"] == "completed"
        commit(place.repo, {RULES: mine("{type: chore, decision: accept}")})
        assert (await place.do("good", type="chore"))["breakpoint"]["kind"] == "rule"


@pytest.mark.long
async def test_the_third_failure_of_one_kind_asks_instead_of_trying_again(tmp_path):
    breaks = shell("printf 'def add(a, b):\\n    return a - b\\n' > calc.py; echo done")
    async with town(tmp_path, {"breaks": breaks}, max_attempts=5) as place:
        task = await place.do("breaks", type="chore")
        assert (task["status"], task["attempt"]) == ("waiting", 3)
        assert task["breakpoint"]["evidence"]["rules"][0]["rule"] == "repeated-failure"


@pytest.mark.long
async def test_work_that_goes_to_and_fro_is_seen_by_its_files(tmp_path):
    toggles = shell(
        "n=$((MUSTER_ATTEMPT % 2)); printf 'def add(a, b):\\n    return a - %s\\n' $n > calc.py"
    )
    async with town(tmp_path, {"toggles": toggles}, max_attempts=9) as place:
        off = "rules:\n- name: repeated-failure\n  active: false\n"
        (place.home / "breakpoints.yaml").write_text(off)
        await place.restart()
        task = await place.do("toggles", type="chore")
        assert (task["status"], task["attempt"]) == ("waiting", 4)
        assert task["breakpoint"]["evidence"]["rules"][0]["rule"] == "oscillation"


@pytest.mark.long
async def test_an_agent_that_claims_green_tests_against_the_evidence_is_told_of(tmp_path):
    lies = shell(
        "printf 'def add(a, b):\\n    return a - b\\n' > calc.py; echo all tests pass; sleep 1"
    )
    async with town(tmp_path, {"lies": lies}, max_attempts=1) as place:
        task = await place.do("lies", type="chore")
        assert task["status"] == "failed"
        (told,) = await held(place)
        assert (told["rule"], told["action"]) == ("contradiction", "notify")
        assert json.dumps(told["conditions"]).count("all tests pass") == 1


@pytest.mark.long
async def test_work_on_files_in_which_a_mistake_is_costly_waits_for_a_person(tmp_path):
    schema = shell("mkdir -p db/migrations; echo 'drop table users' > db/migrations/2.sql")
    async with town(tmp_path, {"schema": schema}) as place:
        task = await place.do("schema", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "rule")
        (told,) = task["breakpoint"]["evidence"]["rules"]
        assert (told["rule"], told["source"]) == ("risky-files", "built in")
        assert told["conditions"][0]["saw"]["files"] == ["db/migrations/2.sql"]
        assert "merge" in task["breakpoint"]["options"]


@pytest.mark.long
async def test_most_of_a_budget_spent_is_told_once_and_holds_nothing_up(tmp_path):
    agents = {"dear": spending(0.85), "cheap": spending(0.5)}
    async with town(tmp_path, agents, test_command="true") as place:
        dear = await place.do("dear", type="chore", budget_usd=1.0)
        cheap = await place.do("cheap", type="chore", budget_usd=1.0)
        assert [t["status"] for t in (dear, cheap)] == ["completed", "completed"], dear["reason"]
        (told,) = await held(place)
        assert (told["rule"], told["action"]) == ("budget", "notify")
        assert told["conditions"][0]["saw"] == {"cost_usd": 0.85, "budget_usd": 1.0}


@pytest.mark.long
async def test_events_about_a_task_can_hold_it(tmp_path):
    go = tmp_path / "go"
    slow = shell(f"echo begun; while [ ! -e '{go}' ]; do sleep 0.05; done; {ADDS}")
    files = with_rules(mine("{event: {kind: ci.red, times: 2}}"))
    async with town(tmp_path, {"slow": slow}, files) as place:
        task = await place.submit("slow", type="chore")
        await place.until(task["id"], "executing")
        for n in range(2):
            body = {"type": "ci.red", "task_id": task["id"], "payload": {"n": n}}
            await place.service.emit_event(body)
        done = await place.until(task["id"])
        assert (done["status"], done["breakpoint"]["kind"]) == ("waiting", "rule")


@pytest.mark.long
async def test_a_rule_that_holds_anyway_puts_no_request_to_a_person(tmp_path):
    agents = {"asks": running("make it", asks=True)}
    files = with_rules(mine("{type: chore}", "notify"))
    more = {"test_command": "true", "permissions": "rules", "permission_rules": ["allow execute"]}
    async with town(tmp_path, agents, files, **more) as place:
        task = await place.do("asks", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert (place.repo / "answer.txt").read_text() == "allow_once"
        assert [each["at"] for each in await held(place)] == ["run"]


async def overseer_of(place: Town, ref: str) -> Overseer:
    """The eyes of the rules on a run, beside those of the house."""
    tools = place.house.tools
    await place.until(ref, "executing")
    async with asyncio.timeout(PATIENCE):
        while not marked(place.home):
            await asyncio.sleep(0.02)
    job, agent = await job_and_agent(tools, await tools.store.read(tasks.get_task, ref))
    made = Overseer(tools, job, agent, True)
    await made.load()
    return made


async def spent(overseer: Overseer, cost: float) -> str:
    """The condition that stops the run once so much is spent, if any does."""
    overseer.hear(Fact("tool_started", {"tool": "Read", "summary": f"Read {cost}"}))
    match = await overseer.look(cost, None, waits=False)
    return match.held[0]["kind"] if match else ""


@pytest.mark.long
async def test_money_is_spent_in_vain_where_no_file_changes_meanwhile(tmp_path):
    async with town(tmp_path, {"sleeps": SLEEPS}) as place:
        made = await place.submit("sleeps", type="chore")
        overseer = await overseer_of(place, made["id"])
        assert [await spent(overseer, cost) for cost in (1.6, 3.2)] == ["", ""]
        tree = place.house.workspaces.get(overseer.agent.id).tree
        (tree / "new.py").write_text("x = 1\n")
        await asyncio.sleep(0.2)
        assert [await spent(overseer, cost) for cost in (4.8, 6.4)] == ["", ""]
        assert await spent(overseer, 8.1) == "cost_without_change"


@pytest.mark.long
@pytest.mark.parametrize(("does", "held"), [("sleep 300", "silence"), ("while :; do :; done", "")])
async def test_silence_counts_only_where_the_processes_do_nothing_either(tmp_path, does, held):
    agent = shell(f"echo begun; {does}")
    async with town(tmp_path, {"agent": agent}) as place:
        made = await place.submit("agent", type="chore")
        overseer = await overseer_of(place, made["id"])
        await asyncio.sleep(3)
        overseer._heard_at -= 3600
        match = await overseer.look(0.0, None, waits=False)
        assert (match.held[0]["kind"] if match else "") == held
        overseer._heard_at -= 3600
        assert await overseer.look(0.0, None, waits=True) is None
