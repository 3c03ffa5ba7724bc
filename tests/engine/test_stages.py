"""Stages of evidence in a whole muster: which are asked, what they may say, and after a restart."""

from __future__ import annotations

import asyncio
import sys

import pytest

from engine.houses import shell, town
from house.patience import PATIENCE
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import RESULT
from muster.supervision.stage import Run, Told
from supervision.test_flaky import CALC, CONF, TEST

PYTEST = f"'{sys.executable}' -B -m pytest -q -p no:cacheprovider"
GOOD = shell("printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py; echo done")
BREAKS = shell("sed -i 's/a + b/a - b/' calc.py")


def found(task, attempt: int = 0) -> dict[str, dict]:
    return {f["code"]: f for f in task["verdicts"][attempt]["findings"]}


class Asks:
    """A stage that wants one run at the result, and says how that ended."""

    settles = False

    def __init__(self, command: str = "true", fault: Exception | None = None) -> None:
        self.command, self.fault, self.asked = command, fault, 0

    def steps(self, case):
        self.asked += 1
        if self.fault:
            raise self.fault
        (run,) = yield [Run("own", self.command, RESULT)]
        severity = Severity.OK if run.exit_code == 0 else Severity.VETO
        return Told((Finding("own.run", severity, f"It ended with {run.exit_code}."),))


async def test_a_stage_is_asked_of_work_whose_tests_pass_and_of_no_other(tmp_path):
    agents = {"good": GOOD, "breaks": BREAKS}
    async with town(tmp_path, agents, evidence=["own"], max_attempts=1) as place:
        own = place.house.tools.stages["own"] = Asks()
        task = await place.do("breaks", type="chore")
        assert (task["status"], own.asked) == ("failed", 0)
        task = await place.do("good", type="chore")
        assert (task["status"], own.asked) == ("completed", 1)
        assert found(task)["own.run"]["severity"] == "ok"


async def test_the_first_veto_ends_the_asking(tmp_path):
    async with town(tmp_path, {"good": GOOD}, evidence=["own", "next"], max_attempts=1) as place:
        place.house.tools.stages["own"] = Asks("false")
        after = place.house.tools.stages["next"] = Asks()
        task = await place.do("good", type="chore")
        assert (task["status"], after.asked) == ("failed", 0)
        assert found(task)["own.run"]["severity"] == "veto"


async def test_a_stage_that_fails_or_is_not_there_is_told_and_asked_about(tmp_path):
    async with town(tmp_path, {"good": GOOD}, evidence=["own", "gone"]) as place:
        place.house.tools.stages["own"] = Asks(fault=ZeroDivisionError("of mine"))
        task = await place.do("good", type="chore")
        assert (task["status"], task["breakpoint"]["kind"]) == ("waiting", "evidence")
        assert "ZeroDivisionError: of mine" in found(task)["evidence.failed"]["text"]
        missing = found(task)["evidence.missing"]
        assert "'gone'" in missing["text"]
        assert "flaky" in missing["text"]
        assert missing["evidence"]["hint"].startswith("muster project set evidence")


async def test_a_rerun_that_outlives_its_server_is_taken_up_and_not_started_again(tmp_path):
    tally, go = tmp_path / "tally", tmp_path / "go"
    # It passes on the base and, for the first two times, not in the result; then it passes.
    text = (
        "import pathlib, time\n\n\ndef test_coin():\n"
        "    which = 'result' if 'sub' in pathlib.Path('calc.py').read_text() else 'base'\n"
        f"    seen = pathlib.Path({str(tally)!r} + which)\n"
        "    n = int(seen.read_text()) if seen.exists() else 0\n"
        "    seen.write_text(str(n + 1))\n"
        f"    while n and not pathlib.Path({str(go)!r}).exists():\n        time.sleep(0.05)\n"
        "    assert which == 'base' or n > 1\n"
    )
    files = {"calc.py": CALC, "test_calc.py": TEST, "tests/test_coin.py": text, **CONF}
    evidence = ["flaky"]
    async with town(
        tmp_path, {"good": GOOD}, files, test_command=PYTEST, evidence=evidence, autonomy="confirm"
    ) as place:
        task = await place.submit("good", type="chore")
        async with asyncio.timeout(PATIENCE):
            while len(list(place.settings.runs.glob("*/checks/flaky-*/started"))) < 2:
                await asyncio.sleep(0.05)
        begun = set(place.settings.runs.glob("*/checks/flaky-*/started"))
        await place.restart()
        go.touch()
        task = await place.until(task["id"])
        assert found(task)["tests.unsteady"]["severity"] == "ask"
        assert task["breakpoint"]["kind"] == "evidence"
        assert task["attempt"] == 1
        again = set(place.settings.runs.glob("*/checks/flaky-*/started"))
        assert begun <= again
        # Each was run once in all: planned, five times more on the base, three in the result.
        runs = {which: (tmp_path / f"tally{which}").read_text() for which in ("base", "result")}
        assert runs == {"base": "6", "result": "4"}


async def test_the_results_own_run_tells_how_much_of_the_change_its_tests_reach(tmp_path):
    tells = shell(
        "printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py;"
        "printf 'from calc import sub\\n\\n\\ndef test_sub():\\n    assert sub(2, 1) == 1\\n'"
        " > test_sub.py; printf 'A = 1\\nB = 2\\n' > never.py"
    )
    files = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    agents = {"tells": tells, "good": GOOD}
    async with town(tmp_path, agents, files, test_command=PYTEST, evidence=None) as place:
        task = await place.do("tells", type="feature")
        assert task["status"] == "completed"
        told = found(task)["coverage.changed"]["evidence"]
        assert (told["covered"], told["lines"], told["by"]) == (2, 4, "calls")
        runs = {r["name"] for f in found(task).values() for r in f["evidence"].get("runs", ())}
        assert runs == {"base", "result", "result+base tests", "base+result tests"}
        # What was merged is the next base, and its run is known.
        task = await place.do("good", type="chore")
        (base,) = {
            r["run_id"]
            for f in found(task).values()
            for r in f["evidence"].get("runs", ())
            if r["name"] == "base"
        }
        assert "-result-" in base


@pytest.mark.long
@pytest.mark.needs_bubblewrap
async def test_faults_are_tried_in_the_containment_and_told(tmp_path):
    tells = shell(
        "printf 'def sub(a, b):\\n    return a - b\\n' >> calc.py;"
        "printf 'from calc import sub\\n\\n\\ndef test_sub():\\n    assert sub(2, 0) == 2\\n'"
        " > test_sub.py"
    )
    files = {"calc.py": CALC, "test_calc.py": TEST, **CONF}
    evidence = ["coverage", "mutants"]
    async with town(
        tmp_path, {"tells": tells}, files, test_command=PYTEST, evidence=evidence, runtime="sandbox"
    ) as place:
        task = await place.do("tells", type="feature")
        assert task["status"] == "completed", task["reason"]
        told = found(task)["mutants.changed"]["evidence"]
        lived = [(s["path"], s["line"], s["what"]) for s in told["survivors"]]
        assert lived == [("calc.py", 4, "another operator: a - b → (a + b)")]
        assert (told["killed"], told["untested"], told["enough"]) == (1, 0, False)
        assert "add" in (place.repo / "calc.py").read_text()
