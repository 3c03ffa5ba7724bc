"""One task from its words to its merge, and every way in which it may end otherwise."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress

import pytest

from engine.houses import CALC, UNITTEST, commit, git, marked, shell, town, waiting_for
from house.patience import PATIENCE
from muster.domain.agent import Role
from muster.domain.errors import Invalid, Unreachable
from muster.domain.task import Stage
from muster.store import admission, agents
from muster.store.agents import NewAgent

GOOD = shell("printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done")
BREAKS = shell("printf 'def add(a, b):\\n    return a - b\\n' > calc.py; echo done")
CHEATS = shell(
    "printf 'def add(a, b):\\n    return a - b\\n' > calc.py;"
    "sed -i 's/calc.add(1, 2), 3/calc.add(1, 2), -1/' test_calc.py"
)
LIES = shell("echo all tests pass, done")
SLEEPS = shell("echo begun; sleep 300")


def codes(task) -> set[str]:
    return {f["code"] for v in task["verdicts"] for f in v["findings"] if f["severity"] == "veto"}


async def test_work_that_passes_is_merged_and_its_evidence_is_on_record(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        before = place.main()
        task = await place.do("good", "Add sub\n\nto calc", type="chore")
        assert (task["status"], task["title"]) == ("completed", "Add sub")
        assert place.main() == task["merged_commit"] != before
        assert "def sub" in (place.repo / "calc.py").read_text()
        assert git(place.repo, "status", "--porcelain") == ""
        assert git(place.repo, "rev-parse", task["branch"]) == task["result_commit"]
        (verdict,) = task["verdicts"]
        runs = [r for f in verdict["findings"] for r in f["evidence"].get("runs", [])]
        assert {r["name"] for r in runs} == {"base", "result"}
        assert verdict["decision"]["step"] == "accept"
        labels = [c["label"] for c in task["checkpoints"]]
        assert labels == ["before attempt 1", "attempt 1", "merged"]
        assert place.house.workspaces.list() == []
        assert marked(place.home) == []


@pytest.mark.parametrize(
    ("agent", "code"),
    [(BREAKS, "tests.broken"), (CHEATS, "tests.only_by_changed_tests"), (LIES, "change.none")],
    ids=["breaks a test", "edits the test", "does nothing"],
)
async def test_work_that_does_not_pass_is_refused_and_the_branch_stays(tmp_path, agent, code):
    async with town(tmp_path, {"bad": agent}, max_attempts=2) as place:
        before = place.main()
        task = await place.do("bad", type="bug")
        assert (task["status"], task["attempt"]) == ("failed", 2)
        assert codes(task) == {code}
        assert place.main() == before
        assert [d["step"] for d in task["decisions"]] == ["retry", "give_up"]


async def test_the_next_attempt_is_told_what_failed(tmp_path):
    learns = shell(
        "if grep -q 'test_add' \"$MUSTER_PROMPT_FILE\"; then"
        " printf 'def add(a, b):\\n    return a + b\\n\\n\\n' > calc.py;"
        " printf 'def two():\\n    return 2\\n' >> calc.py;"
        " else printf 'def add(a, b):\\n    return a - b\\n' > calc.py; fi"
    )
    async with town(tmp_path, {"learns": learns}) as place:
        task = await place.do("learns", type="chore")
        assert (task["status"], task["attempt"]) == ("completed", 2)
        assert [d["step"] for d in task["decisions"]] == ["retry", "accept"]


async def test_without_full_autonomy_accepted_work_waits_for_a_person(tmp_path):
    async with town(tmp_path, {"good": GOOD}, autonomy="confirm") as place:
        before = place.main()
        task = await place.do("good", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "merge")
        assert place.main() == before
        await place.restart()
        asked = (await place.service.list_breakpoints())["items"]
        assert [b["task_id"] for b in asked] == [task["id"]]
        await place.service.resolve_breakpoint(asked[0]["id"], "merge")
        done = await place.until(task["id"], "completed")
        assert place.main() == done["merged_commit"]


async def test_without_a_test_command_the_verdict_abstains_even_under_full(tmp_path):
    async with town(tmp_path, {"good": GOOD}, test_command=None) as place:
        task = await place.do("good")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "evidence")
        assert not task["verdicts"][0]["passed"]


async def test_a_large_binary_file_is_noted(tmp_path):
    brings = shell("head -c 5000000 /dev/zero > blob; head -c 4999999 /dev/zero > smaller")
    async with town(tmp_path, {"brings": brings}, autonomy="confirm") as place:
        task = await place.do("brings", type="chore")
        (verdict,) = task["verdicts"]
        noted = [f["evidence"]["paths"] for f in verdict["findings"] if f["code"] == "change.big"]
        assert noted == [["blob"]]


async def test_a_licence_that_the_project_does_not_have_is_asked_about_under_full_too(tmp_path):
    line = "# SPDX-License-Identifier: GPL-3.0-only"
    brings = shell(f"echo '{line}' > \"$MUSTER_TASK.py\"")
    async with town(tmp_path, {"brings": brings}) as place:
        task = await place.do("brings", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "evidence")
        assert "SPDX-License-Identifier: GPL-3.0-only" in task["breakpoint"]["question"]
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        again = await place.do("brings", type="chore", title="once more, where it is known")
        codes = {f["code"] for f in again["verdicts"][0]["findings"]}
        assert "licence.added" not in codes


async def test_under_manual_a_task_waits_for_a_go(tmp_path):
    async with town(tmp_path, {"good": GOOD}, autonomy="manual") as place:
        task = await place.submit("good", type="chore")
        assert task["status"] == "proposed"
        await place.service.approve_task(task["id"])
        assert (await place.until(task["id"], "waiting"))["attempt"] == 1


async def test_cancelling_ends_the_agent_and_leaves_no_process(tmp_path):
    stubborn = shell(
        "trap '' INT TERM; (setsid sleep 300 &) ; echo begun; while :; do sleep 1; done"
    )
    async with town(tmp_path, {"stubborn": stubborn}) as place:
        task = await place.submit("stubborn")
        await place.until(task["id"], "executing")
        while not marked(place.home):
            await asyncio.sleep(0.01)
        await place.service.cancel_task(task["id"])
        ended = await place.until(task["id"], "cancelled")
        assert marked(place.home) == []
        assert ended["agents"][0]["status"] == "killed"
        async with asyncio.timeout(PATIENCE):
            while place.house.workspaces.list():
                await asyncio.sleep(0.01)


async def test_an_agent_that_never_ends_is_stopped_at_its_time_limit(tmp_path):
    async with town(tmp_path, {"sleeps": SLEEPS}, max_attempts=1) as place:
        task = await place.do("sleeps", timeout_minutes=0.01)
        assert task["status"] == "failed"
        assert task["agents"][0]["status"] == "timeout"
        assert marked(place.home) == []


async def test_a_running_agent_survives_the_engine_and_is_adopted(tmp_path):
    go = tmp_path / "go"
    slow = shell(f"echo one; {waiting_for(go)} echo x > new.txt; echo two", env={})
    async with town(tmp_path, {"slow": slow}) as place:
        task = await place.submit("slow", type="chore")
        while not marked(place.home):
            await asyncio.sleep(0.01)
        await place.restart()
        assert place.house.daemon.adopted == 1
        go.touch()
        done = await place.until(task["id"])
        assert (done["status"], done["attempt"]) == ("completed", 1)
        logs = await place.service.agent_logs(done["agents"][0]["id"])
        assert "".join(i["text"] for i in logs["items"]) == "one\ntwo\n"


async def test_a_place_that_is_away_now_and_then_over_days_is_no_fault_of_the_stage(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        durable, now, begun = place.house.daemon._durable, [0.0], []
        durable._pause, durable._clock = 0.01, lambda: now[0]
        real = durable._work[Stage.RUNNING]

        async def breaks_off(task):
            begun.append(task)
            if len(begun) > 5:
                return await real(task)
            now[0] += 3600.0
            raise Unreachable("the connection broke", hint="wait")

        durable.register(Stage.RUNNING, breaks_off)
        task = await place.do("good", type="chore")
        assert (task["status"], task["attempt"], len(begun)) == ("completed", 1, 6)


async def test_a_workspace_left_by_a_crash_gives_way_when_the_branch_has_moved(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        await place.house.daemon.stop()
        made = await place.submit("good", type="chore")
        store = place.house.store
        (task,) = await store.write(admission.admit, admission.Limits(1, {}, 1))
        new = NewAgent("coding-00000001", Role.CODING, "command", "process")
        await store.write(agents.start_agent, task, new)
        mirror = place.house.workspaces.mirror(task.project_id)
        base = mirror.fetch(place.repo / ".git", "main")
        place.house.workspaces.open("coding-00000001", task.project_id, base)
        moved = commit(place.repo, {"more.txt": "more"})
        await place.restart()
        done = await place.until(made["id"])
        assert (done["status"], done["base_commit"]) == ("completed", moved)
        assert done["attempt"] == 1


async def test_an_agent_killed_with_its_shim_is_tried_again_at_no_cost(tmp_path):
    slow = shell('[ "$MUSTER_ATTEMPT" = 2 ] || sleep 300; echo x > new.txt')
    async with town(tmp_path, {"slow": slow}, max_attempts=1) as place:
        task = await place.submit("slow", type="chore")
        agent = (await place.until(task["id"], "executing"))["agents"]
        while not marked(place.home):
            await asyncio.sleep(0.01)
        agent = (await place.service.get_task(task["id"]))["agents"][0]
        shims = [
            int(p) for p in os.listdir("/proc") if p.isdigit() and _holds(p, place, agent["id"])
        ]
        # The shims first: one that sees its program end would still write down how.
        for pid in (*shims, *marked(place.home)):
            with suppress(ProcessLookupError):  # what hung on one that was killed is gone
                os.kill(pid, signal.SIGKILL)
        done = await place.until(task["id"])
        assert (done["status"], done["tries"]) == ("completed", 1)
        assert done["agents"][-1]["outcome"] == "lost"


def _holds(pid: str, place, agent_id: str) -> bool:
    """Whether a process has the run directory's lock file open."""
    lock = str(place.run_dir(agent_id) / "lock")
    try:
        return (
            any(os.readlink(f"/proc/{pid}/fd/{fd}") == lock for fd in os.listdir(f"/proc/{pid}/fd"))
            and int(pid) != os.getpid()
        )
    except OSError:
        return False


async def test_a_dependant_starts_on_what_the_other_merged(tmp_path):
    second = shell("grep -q 'def sub' calc.py && echo yes > saw.txt")
    async with town(tmp_path, {"good": GOOD, "second": second}) as place:
        one = await place.submit("good", type="chore")
        two = await place.submit("second", type="chore", after=[one["label"]])
        assert two["status"] == "blocked"
        assert (await place.until(two["id"]))["status"] == "completed"
        assert (place.repo / "saw.txt").read_text() == "yes\n"


async def test_a_conflict_asks_a_person_and_shows_both_sides(tmp_path):
    go = tmp_path / "go"
    mine = shell(f"printf 'def add(a, b):\\n    return b + a\\n' > calc.py; {waiting_for(go)}")
    async with town(tmp_path, {"mine": mine}) as place:
        task = await place.submit("mine", type="refactor")
        await place.until(task["id"], "executing")
        while not marked(place.home):
            await asyncio.sleep(0.01)
        theirs = commit(place.repo, {"calc.py": "def add(a, b):\n    return sum((a, b))\n"})
        go.touch()
        done = await place.until(task["id"])
        assert (done["status"], done["attempt"]) == ("waiting", 1)
        assert done["breakpoint"]["kind"] == "conflict"
        (path,) = done["breakpoint"]["evidence"]["paths"]
        assert "b + a" in json.dumps(path)
        assert "sum((a, b))" in json.dumps(path)
        assert place.main() == theirs


async def test_work_that_somebody_else_has_merged_meanwhile_is_merged_with_nothing_new(tmp_path):
    go = tmp_path / "go"
    same = shell(f"{waiting_for(go)} printf 'def add(a, b):\\n    return b + a\\n' > calc.py")
    async with town(tmp_path, {"same": same}) as place:
        tasks = [await place.submit("same", type="refactor") for _ in range(2)]
        for task in tasks:
            await place.until(task["id"], "executing")
        while len(marked(place.home)) < 2:
            await asyncio.sleep(0.01)
        go.touch()
        done = [await place.until(task["id"]) for task in tasks]
        assert [(task["status"], task["attempt"]) for task in done] == [("completed", 1)] * 2, done
        assert (place.repo / "calc.py").read_text().endswith("b + a\n")


async def test_work_that_fails_only_together_with_the_branch_is_not_merged(tmp_path):
    renames = {
        "calc.py": "def plus(a, b):\n    return a + b\n",
        "test_calc.py": CALC["test_calc.py"].replace("calc.add", "calc.plus"),
    }
    go = tmp_path / "go"
    uses = shell(
        "printf 'import calc\\n\\n\\ndef twice(a):\\n    return calc.add(a, a)\\n' > more.py;"
        "printf 'import unittest\\nimport more\\n\\n\\nclass M(unittest.TestCase):\\n"
        "    def test_twice(self):\\n        self.assertEqual(more.twice(2), 4)\\n' > test_more.py;"
        f"{waiting_for(go)}"
    )
    async with town(tmp_path, {"uses": uses}, max_attempts=1) as place:
        task = await place.submit("uses", type="feature")
        await place.until(task["id"], "executing")
        while not marked(place.home):
            await asyncio.sleep(0.01)
        theirs = commit(place.repo, renames)
        go.touch()
        done = await place.until(task["id"])
        assert (done["status"], done["decisions"][0]["step"]) == ("failed", "accept")
        assert place.main() == theirs


async def test_what_cannot_be_told_of_the_merged_work_is_asked_under_full_too(tmp_path):
    go = tmp_path / "go"
    files = {"state": "good\n", **CALC}
    works = shell(f"echo '# So.' >> calc.py; {waiting_for(go)}")
    command = "grep -q good state"
    async with town(tmp_path, {"works": works}, files, test_command=command) as place:
        task = await place.submit("works", type="refactor")
        await place.until(task["id"], "executing")
        while not marked(place.home):
            await asyncio.sleep(0.01)
        theirs = commit(place.repo, {"state": "bad\n"})
        go.touch()
        asked = await place.until(task["id"])
        assert asked["decisions"][0]["step"] == "accept"
        assert asked["status"] == "waiting", (asked["status"], asked["reason"])
        assert asked["breakpoint"]["kind"] == "evidence"
        assert asked["verdicts"][-1]["findings"][0]["code"] == "tests.red_before"
        assert place.main() == theirs
        await place.service.resolve_breakpoint(asked["breakpoint"]["id"], "merge")
        assert (await place.until(task["id"], "completed"))["merged_commit"] == place.main()


async def test_a_dirty_checkout_is_never_touched(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        (place.repo / "calc.py").write_text("precious\n")
        before = place.main()
        task = await place.do("good", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "checkout")
        assert (place.repo / "calc.py").read_text() == "precious\n"
        assert place.main() == before
        git(place.repo, "checkout", "-q", "--", "calc.py")
        await place.service.merge_task(task["id"])
        await place.until(task["id"], "completed")
        assert "def sub" in (place.repo / "calc.py").read_text()


async def test_setup_runs_once_for_its_inputs_and_its_files_are_no_change(tmp_path):
    tally = tmp_path / "tally"
    needs = shell("cat lib/dep.txt && echo x > new.txt")
    async with town(
        tmp_path,
        {"needs": needs},
        setup_command=f"mkdir lib; echo dep > lib/dep.txt; echo run >> {tally}",
        test_command=f"test -f lib/dep.txt && {UNITTEST}",
    ) as place:
        for _ in range(2):
            task = await place.do("needs", type="chore")
        assert task["status"] in {"completed", "failed"}
        first = (await place.service.list_tasks())["items"][-1]
        assert first["status"] == "completed"
        diff = await place.service.task_diff(first["id"])
        assert [f["path"] for f in diff["files"]] == ["new.txt"]
        assert tally.read_text() == "run\n"


async def test_what_was_checked_as_work_is_known_when_it_is_the_base(tmp_path):
    tally = tmp_path / "tally"
    grows = shell('echo "$MUSTER_TASK" > "$MUSTER_TASK.txt"')
    async with town(
        tmp_path, {"grows": grows}, test_command=f"echo run >> {tally}; {UNITTEST}"
    ) as place:
        for runs in (2, 3):
            task = await place.do("grows", type="chore")
            assert task["status"] == "completed"
            assert tally.read_text() == "run\n" * runs
        (verdict,) = task["verdicts"]
        told = [r for f in verdict["findings"] for r in f["evidence"].get("runs", [])]
        assert {r["name"] for r in told} == {"base", "result"}


async def test_a_trusted_repository_brings_its_own_agents_with_their_limits(tmp_path):
    theirs = """
[agents.theirs]
driver = "command"
command = ["/bin/sh", "-c", "echo $0 > model.txt; sleep 300", "{model}"]
model = "small"
timeout_minutes = 0.1
"""
    files = {**CALC, ".muster/config.toml": theirs}
    async with town(tmp_path, {}, files, max_attempts=1) as place:
        with pytest.raises(Invalid, match="no agent 'theirs'"):
            await place.submit("theirs")
        await place.service.add_project({"path": str(place.repo), "trust": True})
        task = await place.do("theirs", type="chore")
        assert "time limit" in task["reason"]
        diff = await place.service.task_diff(task["id"])
        assert "+small" in diff["files"][0]["patch"]


async def test_a_failing_setup_asks_and_says_why(tmp_path):
    async with town(
        tmp_path, {"good": GOOD}, autonomy="confirm", setup_command="echo no such pump; exit 3"
    ) as place:
        task = await place.do("good")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "problem")
        assert "no such pump" in task["breakpoint"]["question"]


async def test_an_agent_that_cannot_start_says_so(tmp_path):
    async with town(
        tmp_path, {"gone": {"driver": "command", "command": ["/no/such/agent"]}}, max_attempts=1
    ) as place:
        task = await place.do("gone")
        assert task["status"] == "failed"
        assert "/no/such/agent" in json.dumps(task)


async def test_a_program_that_failed_and_is_too_old_says_so(tmp_path, monkeypatch):
    says = 'if [ "$1" = --version ]; then echo 1.0.3; else echo "unknown option $2" >&2; exit 1; fi'
    for name in ("claude", "gemini"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with town(tmp_path, {}, max_attempts=1) as place:
        task = await place.do("claude")
        assert (task["status"], task["agents"][0]["outcome"]) == ("failed", "crashed")
        reason = task["agents"][0]["reason"]
        assert "1.0.3 is older than 2.1.329, which muster was tested with" in reason
        assert "update it: npm install -g @anthropic-ai/claude-code" in reason
        task = await place.do("gemini")
        assert "older than" not in task["agents"][0]["reason"]


async def test_ports_are_leased_apart(tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    says = shell(
        f"echo $MUSTER_PORT_BASE > port-$MUSTER_TASK.txt; touch {begun}/$MUSTER_TASK;"
        f' while [ "$(ls {begun} | wc -l)" -lt 2 ]; do sleep 0.02; done'
    )
    async with town(tmp_path, {"says": says}, ports=5) as place:
        made = [await place.submit("says", type="chore") for _ in range(2)]
        for task in made:
            await place.until(task["id"])
        bases = [int(p.read_text()) for p in place.repo.glob("port-*.txt")]
        assert len(set(bases)) == 2
        assert min(bases) > 1024


async def test_a_check_killed_with_its_shim_is_run_again(tmp_path):
    once = tmp_path / "once"
    slow = f"test -e {once} || {{ touch {once}; sleep 300; }}; {UNITTEST}"
    async with town(tmp_path, {"good": GOOD}, test_command=slow) as place:
        task = await place.submit("good", type="chore")
        await place.until(task["id"], "monitoring")
        while not once.exists() or not marked(place.home):
            await asyncio.sleep(0.01)
        checks = place.run_dir((await place.service.get_task(task["id"]))["agents"][0]["id"])
        for run in (checks / "checks").iterdir():
            for pid in (p for p in os.listdir("/proc") if p.isdigit()):
                if _holds(pid, place, f"{checks.name}/checks/{run.name}"):
                    os.kill(int(pid), signal.SIGKILL)
        for pid in marked(place.home):
            os.kill(pid, signal.SIGKILL)
        assert (await place.until(task["id"]))["status"] == "completed"
