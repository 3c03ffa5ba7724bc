"""How sure muster is of finished work, what becomes of the work, and what muster learns from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.houses import CALC, Town, commit, git, shell, town
from muster.domain.aftermath import Aftermath, Shown, Sign
from muster.domain.errors import Conflict, Invalid
from muster.domain.ids import new_id
from muster.domain.person import Person
from muster.domain.task import Stage, TaskType
from muster.domain.verdict import Decision, Finding, Severity, Step, Verdict
from muster.engine.aftermath import EVERY, LookBack
from muster.store import judgements, outcomes, projects, tasks
from muster.store.base import Tx
from muster.store.tasks import NewTask
from muster.supervision.aftermath import STAYED_DAYS
from muster.supervision.confidence import confidence_of, recomputed

GOOD = shell('printf "%s\\n" "$MUSTER_TASK" > "$MUSTER_TASK.txt"; echo done')
EDITS = shell("printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done")
GREEN = Finding("tests.green", Severity.OK, "The tests pass.")


async def past(place: Town, right: int, wrong: int) -> None:
    """Outcomes of earlier work, as if so much of it had turned out right and wrong."""

    def write(tx: Tx) -> None:
        project = projects.get_project(tx, "repo").id
        sure = confidence_of([GREEN], TaskType.CHORE)
        for n in range(right + wrong):
            new = NewTask(project, f"t{n}", f"t{n}", TaskType.CHORE, 5, Stage.PROPOSED)
            task = tasks.create_task(tx, new)
            verdict = Verdict(
                *(new_id("vdt"), task.id, 1, f"agt-{n}", (GREEN,)),
                *(Decision(Step.ACCEPT, ()), sure.value, 0),
                sure=sure,
            )
            judgements.add_verdict(tx, task, verdict)
            judged = outcomes.judged(tx, task.id)
            assert judged is not None
            outcomes.record(tx, task, judged, Sign(n < right, Shown.SAID, "as it was"))

    await place.house.store.write(write)


async def verdicts(place: Town, ref: str) -> list[Verdict]:
    return await place.house.store.read(judgements.verdicts_of, ref)


async def became(place: Town, task: dict) -> list[tuple[str, bool]]:
    detail = await place.service.get_task(task["id"])
    return [(item["shown"], item["right"]) for item in detail["outcomes"]]


# --- confidence in verdicts -----------------------------------------------------------------------


async def test_plain_tests_still_merge_under_full_and_muster_says_that_it_cannot_say(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        task = await place.do("good", type="chore")
        assert task["status"] == "completed"
        (verdict,) = task["verdicts"]
        assert verdict["confidence"] is None
        assert "existing tests alone" in verdict["sure"]["abstains"]
        assert [r["text"] for r in verdict["sure"]["for"]] == ["The existing tests pass."]
        (stored,) = await verdicts(place, task["id"])
        assert recomputed(stored, TaskType.CHORE).as_json() == verdict["sure"]


async def test_with_a_bar_work_that_does_not_reach_it_is_put_to_a_person(tmp_path):
    async with town(tmp_path, {"good": GOOD}, accept_at=0.9) as place:
        before = place.main()
        task = await place.do("good", type="chore")
        asked = task["breakpoint"]
        assert (task["status"], asked["kind"]) == ("waiting", "merge")
        assert "does not say how sure it is" in asked["question"]
        assert place.main() == before
        await place.service.resolve_breakpoint(asked["id"], "retry", "not like this", Person("ann"))
        assert await became(place, task) == [("refused", False)]
        (kept,) = (await place.service.get_task(task["id"]))["outcomes"]
        assert (kept["why"], kept["by"]) == ("not like this", "ann")


async def test_low_confidence_learned_from_the_project_s_outcomes_pauses_what_would_be_merged(
    tmp_path,
):
    async with town(tmp_path, {"good": GOOD}) as place:
        await past(place, right=8, wrong=40)
        task = await place.do("good", type="chore")
        (verdict,) = task["verdicts"]
        assert verdict["confidence"] < 0.5
        assert verdict["sure"]["calibration"]["outcomes"] == 48
        asked = task["breakpoint"]
        assert (task["status"], asked["kind"]) == ("waiting", "rule")
        (rule,) = asked["evidence"]["rules"]
        assert rule["rule"] == "low-confidence"
        assert rule["conditions"][0]["saw"] == {"confidence": round(verdict["confidence"], 3)}
        (stored,) = await verdicts(place, task["id"])
        assert recomputed(stored, TaskType.CHORE).as_json() == verdict["sure"]
        await past(place, right=0, wrong=20)  # what is learned later changes nothing of it
        assert recomputed(stored, TaskType.CHORE).as_json() == verdict["sure"]


@pytest.mark.long
async def test_good_outcomes_lift_work_over_the_bar_without_acceptance_tests(tmp_path):
    async with town(tmp_path, {"good": GOOD}, accept_at=0.8) as place:
        await past(place, right=120, wrong=6)
        task = await place.do("good", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert task["verdicts"][0]["confidence"] > 0.8


# --- what became of it ----------------------------------------------------------------------------


async def test_what_became_of_merged_work_is_found_in_the_branch_and_kept(tmp_path):
    files = {**CALC, "other.py": "x = 1\n"}
    async with town(tmp_path, {"good": GOOD, "edits": EDITS}, files) as place:
        reverted = await place.do("good", "first", type="chore")
        undone = await place.do("edits", "second", type="chore")
        blamed = await place.do("good", "third", type="chore")
        stays = await place.do("good", "fourth", type="chore")
        back = LookBack(place.house.tools)
        project = reverted["project_id"]
        assert await back.look(project) == 0
        git(place.repo, "reset", "-q", "--hard")
        git(place.repo, "revert", "--no-edit", "-m", "1", reverted["merged_commit"])
        commit(place.repo, {"calc.py": CALC["calc.py"]}, "put the file back by hand")
        commit(place.repo, {"other.py": "x = 2\n"}, f"x\n\nFixes: {blamed['merged_commit'][:12]}")
        assert await back.look(project) == 3
        assert await became(place, reverted) == [("reverted", False)]
        assert await became(place, undone) == [("reverted", False)]
        assert await became(place, blamed) == [("fixed", False)]
        assert await became(place, stays) == []
        assert await back.look(project) == 0

        place.pass_time(STAYED_DAYS * 86_400 + 60)
        assert await back.look(project) == 1
        assert await became(place, stays) == [("stayed", True)]
        git(place.repo, "revert", "--no-edit", "-m", "1", stays["merged_commit"])
        assert await back.look(project) == 1
        assert await became(place, stays) == [("reverted", False)]
        kinds = await place.service.list_events(type="outcome.recorded")
        assert len(kinds["items"]) == 5


async def test_a_person_s_word_beats_what_was_found_and_nothing_found_beats_it(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        task = await place.do("good", type="chore")
        waiting = await place.submit("good", type="chore", autonomy="manual")
        seen = place.service.current_rev()
        said = await place.service.tell_outcome(task["label"], "right", "in use for a year", "ann")
        news = await place.service.changed_since(seen)
        assert [t["label"] for t in news["tasks"]] == [task["label"]]  # pages show it at once
        assert (said["right"], said["shown"], said["by"]) == (True, "said", "ann")
        git(place.repo, "reset", "-q", "--hard")
        git(place.repo, "revert", "--no-edit", "-m", "1", task["merged_commit"])
        assert await LookBack(place.house.tools).look(task["project_id"]) == 0
        assert await became(place, task) == [("said", True)]
        await place.service.tell_outcome(task["label"], "wrong")
        assert await became(place, task) == [("said", False)]
        for outcome, error in (("perhaps", Invalid), ("right", Conflict)):
            with pytest.raises(error):
                await place.service.tell_outcome(waiting["label"], outcome)
        shown = (await place.service.get_task(task["id"]))["trail"]
        assert "Was wrong: a person says it was wrong" in [line["text"] for line in shown]

        figures = await place.service.reliability("repo")
        assert (figures["outcomes"], figures["wrong"], figures["abstained"]) == (1, 1, 1)
        assert figures["calibration"] is figures["threshold"] is None
        with pytest.raises(Invalid, match="no share"):
            await place.service.reliability("repo", float("nan"))


async def test_the_engine_looks_back_after_a_merge_and_every_hour_and_not_between(tmp_path):
    async with town(tmp_path, {"good": GOOD}) as place:
        looked: list[str] = []

        class Counting(LookBack):
            async def look(self, project_id: str) -> int:
                looked.append(project_id)
                return await super().look(project_id)

        back = Counting(place.house.tools)
        await back.now_and_then()  # the first only begins to count
        await back.now_and_then()
        assert len(looked) == 1
        await back.now_and_then()
        assert len(looked) == 1
        back.merged(looked[0])
        await back.now_and_then()
        assert len(looked) == 2
        place.pass_time(EVERY + 1)
        await back.now_and_then()
        assert len(looked) == 3
        task = await place.do("good", type="chore")
        assert place.house.daemon._back._merged == {task["project_id"]}


async def test_a_repository_that_is_gone_keeps_nobody_from_work(tmp_path, caplog):
    async with town(tmp_path, {"good": GOOD}) as place:
        task = await place.do("good", type="chore")
        place.repo.rename(tmp_path / "away")
        assert await LookBack(place.house.tools).look(task["project_id"]) == 0
        assert "could not be looked at" in caplog.text
        (tmp_path / "away").rename(place.repo)


def test_a_stronger_outcome_takes_the_place_of_a_weaker_one():
    kept = Aftermath("v", "t", "p", 1, True, Shown.STAYED, "", None, None, 0)
    assert kept.gives_way(Shown.REVERTED)
    assert not replace(kept, shown=Shown.REVERTED).gives_way(Shown.STAYED)
    assert not replace(kept, shown=Shown.SAID).gives_way(Shown.REVERTED)
    assert replace(kept, shown=Shown.SAID).gives_way(Shown.SAID)
