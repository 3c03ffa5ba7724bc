"""The MCP door over a real house, spoken to by the SDK's own client over both transports."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp.shared.exceptions import MCPError
from sqlalchemy import update

from house.patience import PATIENCE
from mcp_door.streets import TOKEN, call, refused, street
from muster.store.schema import agents

AGENTS = {
    "claim_work", "report_progress", "ask_person", "finish", "search_context", "take_locks",
    "release_locks", "list_locks", "emit_event", "propose_subtasks",
}  # fmt: skip
PEOPLES = {
    "list_projects", "submit_task", "list_tasks", "show_task", "show_diff", "approve_task",
    "read_logs", "tell_agent", "list_questions", "answer_question",
}  # fmt: skip


@pytest.fixture
async def here(tmp_path):
    async with street(tmp_path) as made:
        yield made


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("way", ["client", "program"])
async def test_each_caller_is_offered_its_own_tools_and_no_others(here, way, mode):
    _, token = await here.hire()
    async with getattr(here, way)(token, mode) as agent:
        assert {t.name for t in (await agent.list_tools()).tools} == AGENTS
        assert {str(r.uri) for r in (await agent.list_resources()).resources} == {
            "muster://task", "muster://task/brief"
        }  # fmt: skip
        problem = await refused(agent, "list_tasks")
        assert problem["code"] == "not-found"
    async with getattr(here, way)(TOKEN, mode) as person:
        assert {t.name for t in (await person.list_tools()).tools} == PEOPLES
        assert (await refused(person, "finish", status="completed", summary="x"))["hint"]
        with pytest.raises(MCPError):
            await person.read_resource("muster://task/brief")


@pytest.mark.parametrize("way", ["client", "program"])
async def test_an_agent_gets_its_work_reports_and_hands_in(here, way):
    task, token = await here.hire("Write a poem\nabout sums")
    async with getattr(here, way)(token) as agent:
        work = await call(agent, "claim_work")
        assert work["task_id"] == task["id"]
        assert "about sums" in work["brief"]
        assert work["base_commit"] == here.place.main()
        resource = await agent.read_resource("muster://task/brief")
        assert resource.contents[0].text == work["brief"]
        prompt = await agent.get_prompt("start")
        assert prompt.messages[0].content.text == work["brief"]
        await call(agent, "report_progress", text="rhyming", percent=40)
        seen = await here.place.service.get_task(task["id"])
        assert seen["live_agent"]["last_line"] == "rhyming"
        await call(agent, "finish", status="completed", summary="done", data={"lines": 4})
    ended = await here.let_go(task)
    assert ended["agents"][0]["result"] == {
        "status": "completed", "summary": "done", "data": {"lines": 4}
    }  # fmt: skip
    kinds = [e["type"] for e in (await here.place.service.list_events(task=task["id"]))["items"]]
    assert "agent.result" in kinds


async def test_an_agent_that_owes_a_report_is_told_its_schema_and_what_is_wrong_with_it(here):
    task, token = await here.hire()
    reviewing = update(agents).where(agents.c.task_id == task["id"]).values(role="reviewer")
    async with here.client(token) as agent:
        before = {t.name: t for t in (await agent.list_tools()).tools}["finish"]
        assert "enum" not in str(before.input_schema["properties"]["data"])
        await here.place.house.store.write(lambda tx: tx.conn.execute(reviewing) and None)
        offered = {t.name: t for t in (await agent.list_tools()).tools}["finish"]
        data = offered.input_schema["properties"]["data"]
        assert data["properties"]["verdict"]["enum"] == ["approve", "request_changes"]
        assert offered.input_schema["required"] == ["status", "summary"]
        problem = await refused(agent, "finish", status="completed", summary="read it")
        assert "'verdict' is missing; wanted: one of approve, request_changes" in problem["detail"]
        wrong = {"verdict": "approve", "comments": [{"path": "a.py", "text": "x"}]}
        problem = await refused(agent, "finish", status="completed", summary="read", data=wrong)
        assert "'comments[0].severity' is missing; wanted: one of must" in problem["detail"]
        example = json.loads(problem["hint"].partition('"data": ')[2])
        await call(agent, "finish", status="completed", summary="read it", data=example)
        shown = await here.place.service.get_task(task["id"])
        assert shown["agents"][0]["result"]["data"] == example
        await call(agent, "finish", status="blocked", summary="there is no diff")


async def test_the_word_of_an_agent_that_it_is_done_ends_nothing(here):
    task, token = await here.hire()
    async with here.client(token) as agent:
        await call(agent, "finish", status="completed", summary="done")
    await asyncio.sleep(0.3)
    assert (await here.place.service.get_task(task["id"]))["status"] == "executing"


@pytest.mark.parametrize("way", ["client", "program"])
async def test_a_question_waits_for_a_person_and_brings_back_the_answer(here, way):
    task, token = await here.hire()
    async with getattr(here, way)(token) as agent:
        asking = asyncio.create_task(
            call(agent, "ask_person", question="Which base?", options=["two", "ten"])
        )
        async with asyncio.timeout(PATIENCE):
            while not (asked := (await here.place.service.list_breakpoints())["items"]):
                await asyncio.sleep(0.02)
        assert asked[0]["kind"] == "question"
        assert asked[0]["options"] == ["two", "ten", "answer", "decline"]
        assert (await here.place.service.get_task(task["id"]))["status"] == "executing"
        await here.place.service.resolve_breakpoint(asked[0]["id"], "ten", "as always")
        answer = await asking
        assert (answer["answered"], answer["answer"], answer["note"]) == (True, "ten", "as always")
        again = await call(agent, "ask_person", question="Which base?")
        assert again == answer


async def test_an_answer_may_be_any_words_or_the_note_and_a_refusal_is_told(here):
    _, token = await here.hire()
    service = here.place.service
    async with here.client(token) as agent:
        found = {}
        for question, answer, note in (
            ("a", "some words", ""),
            ("b", "answer", "in the note"),
            ("c", "decline", "you know"),
        ):
            open_one = await call(agent, "ask_person", question=question, wait_seconds=0)
            assert not open_one["answered"]
            await service.resolve_breakpoint(open_one["question_id"], answer, note)
            found[question] = await call(agent, "ask_person", question=question, wait_seconds=0)
    assert found["a"]["answer"] == "some words"
    assert found["b"]["answer"] == "in the note"
    assert (found["c"]["declined"], found["c"]["answer"]) == (True, None)


@pytest.mark.parametrize("way", ["client", "program"])
async def test_a_question_outlives_the_server_and_is_answered_after_its_restart(here, way):
    _, token = await here.hire()
    async with getattr(here, way)(token) as agent:
        first = await call(agent, "ask_person", question="Now?", wait_seconds=0)
        await here.restart()
        await here.place.service.resolve_breakpoint(first["question_id"], "yes")
        again = await call(agent, "ask_person", question="Now?", wait_seconds=0)
    assert (again["question_id"], again["answer"]) == (first["question_id"], "yes")


async def test_a_call_over_stdio_that_waits_while_the_server_is_replaced_gets_its_answer(here):
    _, token = await here.hire()
    async with here.program(token) as agent:
        asking = asyncio.create_task(call(agent, "ask_person", question="Now?", wait_seconds=60))
        async with asyncio.timeout(PATIENCE):
            while not (asked := (await here.place.service.list_breakpoints())["items"]):
                await asyncio.sleep(0.02)
        await here.restart()
        await here.place.service.resolve_breakpoint(asked[0]["id"], "yes")
        assert (await asking)["answer"] == "yes"
    assert len((await here.place.service.list_breakpoints(open_only=False))["items"]) == 1


async def test_a_question_is_closed_when_its_agent_ends(here):
    task, token = await here.hire()
    async with here.client(token) as agent:
        asked = await call(agent, "ask_person", question="Anyone?", wait_seconds=0)
    await here.let_go(task)
    found = await here.place.service.get_breakpoint(asked["question_id"])
    assert (found["open"], found["answer"], found["by"]) == (False, "decline", None)


async def test_the_next_attempt_gets_the_answers_of_the_one_before_but_no_silence(here):
    task, token = await here.hire()
    async with here.client(token) as agent:
        answered = await call(agent, "ask_person", question="A?", wait_seconds=0)
        silent = await call(agent, "ask_person", question="B?", wait_seconds=0)
    await here.place.service.resolve_breakpoint(answered["question_id"], "yes")
    await here.let_go(task)
    for path in here.held.iterdir():
        path.unlink()
    await here.place.service.retry_task(task["id"])
    async with here.client(await here.token(task["label"])) as agent:
        assert (await call(agent, "ask_person", question="A?", wait_seconds=0))["answer"] == "yes"
        again = await call(agent, "ask_person", question="B?", wait_seconds=0)
        assert not again["answered"]
        assert again["question_id"] != silent["question_id"]


async def test_a_search_is_literal_and_names_its_commit(here):
    _, token = await here.hire()
    async with here.client(token) as agent:
        found = await call(agent, "search_context", query="CALC.ADD(")
        assert found["commit"] == here.place.main()
        assert [(h["path"], h["line"]) for h in found["lines"]] == [("test_calc.py", 7)]
        assert (await call(agent, "search_context", query="test_calc"))["paths"] == ["test_calc.py"]
        assert (await call(agent, "search_context", query="calc.add.1"))["lines"] == []
        below = await call(agent, "search_context", query="add", below="calc.py")
        assert {h["path"] for h in below["lines"]} == {"calc.py"}
        for query in ("-e", "--output=x", ".*", "$(id)", "'; --"):
            assert (await call(agent, "search_context", query=query))["lines"] == []


async def test_locks_are_all_or_nothing_and_end_with_the_attempt(here):
    one, first = await here.hire()
    _, second = await here.hire()
    async with here.client(first) as a, here.client(second) as b:
        await call(a, "take_locks", paths=["src", "docs/a.md"])
        problem = await refused(b, "take_locks", paths=["other", "src/deep/file.py"])
        assert problem["code"] == "conflict"
        held = (await call(b, "list_locks"))["items"]
        assert {lock["path"] for lock in held} == {"src", "docs/a.md"}
        assert (await call(b, "release_locks", paths=["src"]))["released"] == []
        assert (await call(a, "release_locks", paths=["src"]))["released"] == ["src"]
        await call(b, "take_locks", paths=["src/deep"])
        await refused(a, "take_locks", paths=["src"])
        await here.let_go(one)
        await call(b, "take_locks", paths=["docs"])


async def test_an_agent_emits_its_own_events_but_none_of_musters(here):
    task, token = await here.hire()
    async with here.client(token) as agent:
        made = await call(agent, "emit_event", type="build.finished", payload={"ok": True})
        assert (made["type"], made["task_id"]) == ("build.finished", task["id"])
        for kind in ("task.completed", "agent.ended", "breakpoint.resolved", "nodot", "lock.x"):
            await refused(agent, "emit_event", type=kind)


async def test_proposed_tasks_wait_for_a_go_and_take_over_the_limits(here):
    task, token = await here.hire(budget_usd=2.5, priority=3)
    async with here.client(token) as agent:
        made = await call(
            agent,
            "propose_subtasks",
            tasks=[{"description": "first"}, {"description": "second", "after": [0]}],
        )
        many = [{"description": "x"}] * 19
        assert (await refused(agent, "propose_subtasks", tasks=many))["code"] == "conflict"
    one, two = [await here.place.service.get_task(t["id"]) for t in made["tasks"]]
    assert (one["status"], two["status"]) == ("proposed", "proposed")
    assert (one["budget_usd"], one["priority"], two["needs"]) == (2.5, 3, [one["id"]])
    assert one["breakpoint"]["kind"] == "start"
    assert task["project_id"] == one["project_id"]


async def test_proposed_tasks_are_judged_by_acceptance_tests_where_the_project_says_so(here):
    more = {"acceptance_tests": "on", "test_command": "true"}
    await here.place.service.change_project("repo", {"settings": more})
    _, token = await here.hire(acceptance=False)
    wanted = [{"description": "first"}, {"description": "second", "after": [0]}]
    wanted.append({"description": "third", "type": "chore"})
    async with here.client(token) as agent:
        made = await call(agent, "propose_subtasks", tasks=wanted)
    one, two, three = [await here.place.service.get_task(each["id"]) for each in made["tasks"]]
    assert (one["acceptance"]["status"], three["acceptance"]) == ("proposed", None)
    author = await here.place.service.get_task(two["acceptance"]["task_id"])
    assert (author["needs"], author["breakpoint"]) == ([one["id"]], None)
    assert set(two["needs"]) == {one["id"], author["id"]}


async def test_under_full_proposed_tasks_start_but_theirs_wait(tmp_path):
    async with street(tmp_path, autonomy="full") as here:
        _, token = await here.hire()
        async with here.client(token) as agent:
            (child,) = (await call(agent, "propose_subtasks", tasks=[{"description": "c"}]))[
                "tasks"
            ]
        assert child["status"] == "queued"
        token = await here.token(child["label"])
        async with here.client(token) as agent:
            made = await call(agent, "propose_subtasks", tasks=[{"description": "grandchild"}])
        assert made["tasks"][0]["status"] == "proposed"


async def test_an_act_with_a_key_happens_once(here):
    _, token = await here.hire()
    headers = {"Idempotency-Key": "k1"}
    async with here.client(token, **headers) as agent:
        tasks = [{"description": "once"}]
        first = await call(agent, "propose_subtasks", tasks=tasks)
        assert await call(agent, "propose_subtasks", tasks=tasks) == first


@pytest.mark.parametrize("way", ["client", "program"])
async def test_a_person_submits_looks_and_decides(here, way):
    async with getattr(here, way)(TOKEN) as person:
        made = await call(
            person, "submit_task", project="repo", description="do it", agent="holds", type="chore"
        )
        await here.let_go(made)
        shown = await call(person, "show_task", task=made["label"])
        assert shown["status"] == "waiting"
        listed = await call(person, "list_tasks", status="waiting")
        assert [t["label"] for t in listed["items"]] == [made["label"]]
        diff = await call(person, "show_diff", task=made["label"])
        assert [f["path"] for f in diff["files"]] == [f"new-{made['label']}.txt"]
        logs = await call(person, "read_logs", agent=shown["agents"][0]["id"])
        assert logs["ended"]
        (asked,) = (await call(person, "list_questions"))["items"]
        await call(person, "answer_question", question=asked["id"], answer="merge")
        assert (await here.place.until(made["id"]))["status"] == "completed"
        prompt = await person.get_prompt("review", {"task": made["label"]})
        assert made["label"] in prompt.messages[0].content.text
