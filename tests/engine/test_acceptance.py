"""Acceptance tests: written first, by somebody else, kept from the coder, and judging its work."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from engine.houses import Town, commit, git, shell, town
from engine.one_by_one import RUNNER
from muster.domain.errors import Conflict, Invalid
from muster.workspace.git import Place

RUNS = f"'{sys.executable}' -S -E -B run_all.py"
PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 '{sys.executable}' -B -m pytest -q"
BASKET = {
    "basket.py": (
        "def total(prices):\n    return sum(prices)\n\n\n"
        "def count(prices):\n    return len(prices)\n"
    ),
    "tests/test_basket.py": (
        "import basket\n\n\ndef test_total():\n    assert basket.total([1, 2]) == 3\n"
    ),
    "conftest.py": "",
    "run_all.py": RUNNER,
}
WISH = "basket.net(prices, percent) takes so many percent off the sum, rounded down"

TEN = (
    "import basket\n\n\ndef test_tenth():\n    # MARKED-ten\n"
    "    assert basket.net([100, 100], 10) == 180\n"
)
ODD = (
    "from basket import net\n\n\ndef test_half():\n    # MARKED-odd\n    assert net([7], 50) == 3\n"
)
"""Two files of tests, of which a lot shows one; the second cannot be loaded before the work."""
SAYS = {"test_ten": "(100, 100), 10): 180", "test_odd": "(7,), 50): 3"}
DONE = "\n\ndef net(prices, percent):\n    return total(prices) * (100 - percent) // 100\n"


def files(**texts: str) -> str:
    """Shell words that write files; `a__b` stands for `a/b.py`."""
    parts = []
    for name, text in texts.items():
        path = f"{name.replace('__', '/')}.py"
        parts.append(f"mkdir -p \"$(dirname {path})\" && cat > {path} <<'END'\n{text}END\n")
    return "".join(parts)


OWN = files(
    tests__test_own="import basket\n\n\ndef test_own():\n    assert basket.net([0], 5) == 0\n"
)
DOES = f"cat >> basket.py <<'END'\n{DONE}END\n{OWN}"
WRITES = files(tests__test_ten=TEN, tests__test_odd=ODD)


def works(root: Any, coder: str = DOES, writer: str = WRITES, files=BASKET, **project: Any) -> Any:
    """A town whose coder is judged by what its writer writes, unless it is said otherwise."""
    agents = {"writer": shell(writer), "coder": shell(coder)}
    more = {"acceptance_tests": "on", "test_command": RUNS, **project}
    return town(root, agents, files, **more)


def codes(task: dict[str, Any], attempt: int = -1) -> list[str]:
    """What the verdict on an attempt found, for and against."""
    return [f["code"] for f in task["verdicts"][attempt]["findings"]]


def finding(task: dict[str, Any], code: str, attempt: int = -1) -> dict[str, Any]:
    return next(f for f in task["verdicts"][attempt]["findings"] if f["code"] == code)


async def author(place: Town, task: dict[str, Any]) -> dict[str, Any]:
    """The task that writes a task's tests."""
    shown = await place.service.get_task(task["id"])
    return await place.service.get_task(shown["acceptance"]["task_id"])


def prompt(place: Town, task: dict[str, Any], attempt: int) -> str:
    (agent,) = [a for a in task["agents"] if a["attempt"] == attempt]
    return (place.run_dir(agent["id"]) / "agent" / "prompt.md").read_text()


async def test_somebody_else_writes_them_first_and_the_work_is_judged_by_them(tmp_path):
    async with works(tmp_path) as place:
        made = await place.submit("coder", WISH)
        assert made["status"] == "blocked"
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        wrote = await author(place, task)
    assert task["acceptance"]["judges"] == [task["label"]]
    assert (wrote["status"], wrote["agents"][0]["driver"], wrote["merged_commit"]) == (
        "completed", "command", None,
    )  # fmt: skip
    assert wrote["finished_at"] <= task["started_at"]
    passed = finding(task, "acceptance.passed")
    assert passed["evidence"]["tests"] == 2
    assert (passed["evidence"]["visible"], passed["evidence"]["hidden"]) == (1, 1)
    assert passed["evidence"]["author"] == wrote["agents"][0]["id"]
    # Neither on the branch nor shown by one: who comes after does not see them either.
    assert git(place.repo, "ls-tree", "-r", "--name-only", "main").splitlines() == [
        "basket.py", "conftest.py", "run_all.py", "tests/test_basket.py", "tests/test_own.py",
    ]  # fmt: skip
    assert wrote["branch"] not in git(place.repo, "branch", "--list", "--all")


async def test_it_is_told_how_much_of_the_added_code_they_execute(tmp_path):
    coder = f"{DOES}printf '\\n\\ndef spare():\\n    return 1\\n' >> basket.py\n"
    coder += files(
        tests__test_spare="import basket\n\n\ndef test_it():\n    assert basket.spare()\n"
    )
    async with works(tmp_path, coder, test_command=PYTEST, evidence=None) as place:
        task = await place.do("coder", WISH)
    assert task["status"] == "completed", task["reason"]
    own = finding(task, "coverage.changed")["evidence"]
    by_others = finding(task, "acceptance.passed")["evidence"]
    assert (own["covered"], own["lines"]) == (4, 4)
    assert (by_others["covered"], by_others["lines"], by_others["share"]) == (3, 4, 0.75)


GUESSES = """
case "$(cat)" in *test_tenth*) known='SHOWN_TEN';; *) known='SHOWN_ODD';; esac
if [ "$MUSTER_ATTEMPT" = 1 ]; then
printf '\\n\\ndef net(prices, percent):\\n    known = {((0,), 5): 0, (%s}\\n' "$known" >> basket.py
printf '    return known[tuple(prices), percent]\\n' >> basket.py
else git checkout -q basket.py
DOESIT
fi
"""


async def test_a_coder_who_hard_codes_what_it_is_shown_is_refused_by_what_it_is_not(tmp_path):
    coder = GUESSES.replace("SHOWN_TEN", SAYS["test_ten"]).replace("SHOWN_ODD", SAYS["test_odd"])
    coder = OWN + coder.replace("DOESIT", DOES)
    async with works(tmp_path, coder) as place:
        task = await place.do("coder", WISH)
        assert (task["status"], task["attempt"]) == ("completed", 2), task["reason"]
        first = finding(task, "acceptance.failed", 0)
        hidden, shown = ("test_odd", "test_ten")
        if task["acceptance"]["visible"] == ["tests/test_odd.py"]:
            hidden, shown = shown, hidden
        one, two = (prompt(place, task, n) for n in (1, 2))
        inner = {"test_ten": ("test_tenth", "180"), "test_odd": ("test_half", "[7]")}
    assert "tests.proven" in codes(task, 0)  # all that a project's own tests can say
    assert first["severity"] == "veto"
    assert (first["evidence"]["failed"], first["evidence"]["hidden_failed"]) == ([], 1)
    assert "acceptance.passed" in codes(task, 1)
    for told in (one, two):
        assert f"tests/{shown}.py" in told
        assert all(word in told for word in inner[shown])
        assert not any(word in told for word in (hidden, *inner[hidden]))
    assert "1 of 2 acceptance tests fails: 1 hidden." in two


@pytest.mark.long
async def test_a_coder_is_told_which_shown_test_fails_and_how(tmp_path):
    wrong = DOES.replace("(100 - percent)", "(100 + percent)")
    coder = f'if [ "$MUSTER_ATTEMPT" = 1 ]; then\n{wrong}\nelse git checkout -q .\n{DOES}\nfi'
    async with works(tmp_path, coder) as place:
        task = await place.do("coder", WISH)
        assert (task["status"], task["attempt"]) == ("completed", 2), task["reason"]
        told = prompt(place, task, 2)
    failed = finding(task, "acceptance.failed", 0)["evidence"]
    (path,) = task["acceptance"]["visible"]
    shown = "test_tenth" if "ten" in path else "test_half"
    assert (failed["failed"], failed["hidden_failed"]) == ([f"tests.{path[6:-3]}::{shown}"], 1)
    assert "The end of the output of the run 'visible acceptance'" in told
    assert "AssertionError" in told
    assert ("test_half" if shown == "test_tenth" else "test_tenth") not in told


BACK = files(basket=BASKET["basket.py"], tests__test_own="import nowhere_at_all\n")
UNFIT = f'if [ "$MUSTER_ATTEMPT" = 1 ]; then\n{WRITES}{DOES}\nelse\n{BACK}\nfi'


async def test_unfit_tests_are_refused_and_without_any_a_person_decides(tmp_path):
    async with works(tmp_path, writer=UNFIT, max_attempts=2) as place:
        task = await place.do("coder", WISH)
        wrote = await author(place, task)
        told = prompt(place, wrote, 2)
        assert wrote["status"] == "failed"
    first, second = (finding(wrote, "acceptance.unfit", n)["text"] for n in (0, 1))
    assert "files are changed that were there before: basket.py" in first
    assert first in told
    assert "need a package 'nowhere_at_all'" in second
    # Green as far as the project's own tests say, and full autonomy: it waits all the same.
    assert "tests.proven" in codes(task)
    assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "evidence")
    none = finding(task, "acceptance.none")
    assert none["severity"] == "abstain"
    assert wrote["label"] in none["text"]
    assert task["needs"] == []


@pytest.mark.long
async def test_tests_that_cannot_fail_are_left_out_and_a_lone_file_is_hidden(tmp_path):
    lone = f"{TEN}\n\ndef test_idle():\n    assert True\n"
    needs = files(tests__prices="LISTED = [100, 100]\n")
    async with works(tmp_path, writer=files(tests__test_ten=lone) + needs) as place:
        task = await place.do("coder", WISH)
        assert task["status"] == "completed", task["reason"]
        wrote = await author(place, task)
        told = prompt(place, task, 1)
    written = finding(wrote, "acceptance.written")["evidence"]
    assert (written["visible"], written["hidden"]) == ([], ["tests/test_ten.py"])
    assert (written["dropped"], written["shared"]) == (
        ["tests.test_ten::test_idle"],
        ["tests/prices.py"],
    )
    assert finding(task, "acceptance.passed")["evidence"]["tests"] == 1
    assert "LISTED = [100, 100]" in told
    assert "test_tenth" not in told


SKEWS = files(
    tests__test_ten="def test_tenth():\n    pass\n",
    tests__test_odd="def test_half():\n    pass\n",
)
NOTHING = "cat >> basket.py <<'END'\n\n\ndef net(prices, percent):\n    return 0\nEND\n"


async def test_a_coder_who_writes_files_in_their_place_changes_nothing(tmp_path):
    async with works(tmp_path, NOTHING + OWN + SKEWS, max_attempts=1) as place:
        task = await place.do("coder", WISH)
    assert "tests.proven" in codes(task)
    failed = finding(task, "acceptance.failed")["evidence"]
    assert (len(failed["failed"]), failed["hidden_failed"]) == (1, 1)
    assert task["status"] == "failed"


async def test_they_are_written_for_what_must_be_proven_and_where_they_are_asked_for(tmp_path):
    async with works(tmp_path, acceptance_tests="off") as place:
        with pytest.raises(Invalid, match="cannot be written for a task of type chore"):
            await place.submit("coder", WISH, type="chore", acceptance=True)
        with pytest.raises(Invalid, match="neither true nor false"):
            await place.submit("coder", WISH, acceptance="yes")
        made = await place.submit("coder", WISH, acceptance=True)
        shown = await place.service.get_task(made["id"])
        assert shown["acceptance"]["label"] in shown["needs_labels"]
        await place.service.cancel_task(made["id"])
        # Nobody is left to write for.
        assert (await place.until(shown["acceptance"]["task_id"]))["status"] == "cancelled"
        await place.service.retry_task(made["id"])
        task = await place.until(made["id"])
        assert "acceptance.passed" in codes(task), task["reason"]
        await place.service.change_project("repo", {"settings": {"acceptance_tests": "on"}})
        for body in ({"type": "chore"}, {"acceptance": False}):
            made = await place.submit("coder", WISH, **body)
            task = await place.until(made["id"])
            assert task["acceptance"] is None
            assert not [c for c in codes(task) if c.startswith("acceptance.")]


async def test_one_go_starts_both_and_the_writer_waits_for_what_the_coder_waits_for(tmp_path):
    async with works(tmp_path, autonomy="manual") as place:
        first = await place.submit("coder", "first", acceptance=False)
        made = await place.submit("coder", WISH, after=[first["label"]])
        (await place.service.list_breakpoints())["items"]
        wrote = await author(place, made)
        assert (made["status"], wrote["status"], wrote["breakpoint"]) == ("proposed",) * 2 + (None,)
        assert wrote["needs_labels"] == [first["label"]]
        await place.service.approve_task(made["id"])
        assert (await author(place, made))["status"] == "blocked"
        await place.service.cancel_task(first["id"])
        assert (await place.until(made["id"]))["status"] == "failed"
        assert (await author(place, made))["status"] in {"failed", "cancelled"}


async def test_it_merges_no_tests_whatever_a_person_answers_and_nobody_forks_them(tmp_path):
    rules = "rules:\n- name: mine\n  when: {files: tests/test_ten.py}\n  do: approve\n"
    with_rules = {**BASKET, ".muster/breakpoints.yaml": rules}
    async with works(tmp_path, files=with_rules) as place:
        made = await place.submit("coder", WISH)
        wrote = await author(place, made)
        asked = await place.until(wrote["id"], "waiting", "completed")
        if asked["status"] == "waiting":
            await place.service.resolve_breakpoint(asked["breakpoint"]["id"], "merge")
        ended = await place.until(wrote["id"], "completed")
        assert ended["merged_commit"] is None
        assert (await place.service.task_diff(wrote["id"]))["added"] > 0
        with pytest.raises(Conflict, match="writes acceptance tests"):
            await place.service.fork_task(wrote["id"], 2, {})
        task = await place.until(made["id"])
        assert "acceptance.passed" in codes(task)
        forked, _ = await place.service.fork_task(task["id"], 2, {})
        judged = await place.service.get_task(forked["id"])
        assert judged["acceptance"]["judges"] == [task["label"], forked["label"]]
        mirror = place.house.workspaces.mirror(f"{task['project_id']}.hidden")
        kept = mirror.git.run(
            Place(mirror.path), "rev-parse", f"refs/muster/acceptance/{wrote['id']}"
        )
        assert kept.decode().strip() == ended["result_commit"]


@pytest.mark.long
async def test_work_that_is_merged_later_passes_them_as_it_is_merged(tmp_path):
    """The branch moves on while the work waits: the merged result is judged again."""
    async with works(tmp_path, autonomy="confirm") as place:
        made = await place.submit("coder", WISH)
        task = await place.until(made["id"])
        assert task["breakpoint"]["kind"] == "merge", task["reason"]
        changed = BASKET["basket.py"].replace("sum(prices)", "sum(prices) + 50 * (sum(prices) > 5)")
        commit(place.repo, {"basket.py": changed})
        await place.service.resolve_breakpoint(task["breakpoint"]["id"], "merge")
        task = await place.until(made["id"])
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "conflict")
        assert "acceptance.failed" in codes(task), task["reason"]
