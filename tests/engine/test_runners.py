"""Repositories go through a whole muster with the test runner that they have."""

from __future__ import annotations

import pytest

from engine.houses import CALC, UNITTEST, shell, town

FILES = {
    "package.json": '{"type": "module", "scripts": {"test": "vitest run"}}',
    "calc.js": "export const add = (a, b) => a + b\n",
    "calc.test.js": "import { expect, it } from 'vitest'\nimport { add } from './calc.js'\n"
    "it('adds', () => { expect(add(1, 2)).toBe(3) })\n",
}
GOOD = shell(
    "echo 'export const sub = (a, b) => a - b' >> calc.js;"
    """printf "import { expect, it } from 'vitest'\\nimport { sub } from './calc.js'\\n"""
    """it('takes away', () => { expect(sub(3, 2)).toBe(1) })\\n" > sub.test.js"""
)
SKIPS = shell(
    "echo 'export const mul = (a, b) => a * b' >> calc.js; sed -i 's/it(/it.skip(/' calc.test.js;"
    """printf "import { expect, it } from 'vitest'\\nimport { mul } from './calc.js'\\n"""
    """it('times', () => { expect(mul(3, 2)).toBe(6) })\\n" > mul.test.js"""
)


@pytest.mark.needs_vitest
async def test_a_javascript_repository_is_judged_test_by_test(tmp_path):
    agents = {"good": GOOD, "skips": SKIPS}
    async with town(tmp_path, agents, FILES, test_command="npm test", max_attempts=1) as place:
        task = await place.do("good", type="feature")
        found = {f["code"]: f for f in task["verdicts"][0]["findings"]}
        assert task["status"] == "completed", found
        assert found["tests.proven"]["severity"] == "ok"
        runs = {run["name"]: run for run in found["tests.green"]["evidence"]["runs"]}
        assert {n: (r["passed"], r["failed"]) for n, r in runs.items()} == {
            "base": (1, 0),
            "result": (2, 0),
            "result+base tests": (1, 0),
            "base+result tests": (1, 1),
        }
        task = await place.do("skips", type="feature")
        found = {f["code"]: f for f in task["verdicts"][0]["findings"]}
        assert task["status"] == "failed"
        assert found["tests.skipped"]["evidence"]["skipped"] == ["calc.test.js::adds"]


async def test_what_unittest_takes_for_tests_cannot_be_bent_to_wrong_work(tmp_path):
    files = {name.replace("test_", "test"): text for name, text in CALC.items()}
    bends = shell("sed -i 's/a + b/a - b/' calc.py; sed -i 's/, 3)/, -1)/' testcalc.py")
    async with town(
        tmp_path, {"bends": bends}, files, test_command=UNITTEST, max_attempts=1
    ) as place:
        task = await place.do("bends", type="refactor")
        found = {f["code"] for f in task["verdicts"][0]["findings"]}
        assert (task["status"], found) == ("failed", {"tests.only_by_changed_tests"})
