"""One small project for each test runner: a test that passes, one that fails, one that is skipped,
and a file that cannot be loaded; how each is told, and how the real program is run on it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muster.supervision.beside import GIVEN, REPORT, Beside
from muster.supervision.runner import Ran

CASSETTES = Path(__file__).parents[1] / "cassettes" / "runners"
ROOT = "/w/tree"


@dataclass(frozen=True)
class Sample:
    """`told` is what a whole run says; `broken` the place that cannot be loaded."""

    program: str
    command: str
    files: Mapping[str, str]
    told: Mapping[str, str]
    broken: str
    passes: str
    fails: str
    code: int = 1
    env: Mapping[str, str] = field(default_factory=dict)


def finished(line: str, beside: Beside, sample: Sample, where: Path) -> tuple[int, Ran]:
    """Run a line as the engine does, on the sample; its status and what it left."""
    tree, given, report = where / "tree", where / "given", where / "a report"
    for folder, files in ((tree, sample.files), (given, beside.files)):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    report.unlink(missing_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **sample.env}
    for name, value in beside.env.items():
        env[name] = value.replace(GIVEN, str(given)).replace(REPORT, shlex.quote(str(report)))
    env |= {"MUSTER_GIVEN": str(given), "MUSTER_TREE": str(tree), "MUSTER_JUNIT": str(report)}
    with open(where / "out", "wb") as out:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=tree, env=env, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.PIPE, timeout=110, check=False,
        )  # fmt: skip
    said = (where / "out").read_text("utf-8", "replace")
    left = report.read_bytes() if report.exists() else None
    output = said + done.stderr.decode("utf-8", "replace")
    return done.returncode, Ran(left, output, lambda: said, str(tree))


def recorded(name: str) -> Ran:
    """What the real program left of its sample when it was recorded."""
    told = json.loads((CASSETTES / f"{name}.json").read_text())
    left = None if told["report"] is None else told["report"].encode()
    return Ran(left, told["output"], lambda: told["whole"], ROOT)


def missing(sample: Sample) -> bool:
    """Whether the real program is not on this machine."""
    return shutil.which(sample.program) is None


_JS_TESTS = """
describe('sum', () => {
  it('adds', () => { expect(sum(1, 2)).toBe(3) })
  it('fails > here (really) [1]', () => { expect(sum(1, 2)).toBe(4) })
  it.skip('rests', () => {})
})
"""
_JS_TOLD = {
    "src/sum.test.js::sum > adds": "passed",
    "src/sum.test.js::sum > fails > here (really) [1]": "failed",
    "src/sum.test.js::sum > rests": "skipped",
}
VITEST = Sample(
    program="vitest",
    command="vitest run",
    files={
        "package.json": '{"type": "module", "scripts": {"test": "vitest run"}}',
        "src/sum.js": "export const sum = (a, b) => a + b\n",
        "src/sum.test.js": "import { describe, expect, it } from 'vitest'\n"
        "import { sum } from './sum.js'\n" + _JS_TESTS,
        "src/broken.test.js": "import { it } from 'vitest'\nimport { no } from './no.js'\n"
        "it('never runs', no)\n",
    },
    # A package of this name cannot be found from a folder without node_modules.
    told={**_JS_TOLD, "src/broken.test.js::src/broken.test.js": "failed"},
    broken="src/broken.test.js::src/broken.test.js",
    passes="src/sum.test.js::sum > adds",
    fails="src/sum.test.js::sum > fails > here (really) [1]",
)
JEST = Sample(
    program="jest",
    command="jest",
    files={
        "package.json": '{"scripts": {"test": "jest"}}',
        "src/sum.js": "exports.sum = (a, b) => a + b\n",
        "src/sum.test.js": "const { sum } = require('./sum.js')\n" + _JS_TESTS,
        "src/broken.test.js": "const { no } = require('./no.js')\nit('never runs', no)\n",
    },
    told={**_JS_TOLD, "src/broken.test.js::": "error"},
    broken="src/broken.test.js::",
    passes=VITEST.passes,
    fails=VITEST.fails,
)
_GO_TESTS = """package demo

import (
	"fmt"
	"testing"
)

func TestAdds(t *testing.T) {
	fmt.Println("{}")
	if Sum(1, 2) != 3 {
		t.Fatal("no")
	}
}
func TestFails(t *testing.T) { t.Errorf("got %d", Sum(1, 2)) }
func TestRests(t *testing.T) { t.Skip("not now") }
func TestTable(t *testing.T) {
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprint("n ", n), func(t *testing.T) {})
	}
}
"""
GO = Sample(
    program="go",
    command="go test ./...",
    files={
        "go.mod": "module example.org/demo\n\ngo 1.19\n",
        "sum.go": "package demo\n\nfunc Sum(a, b int) int { return a + b }\n",
        "sum_test.go": _GO_TESTS,
        "bad/bad.go": "package bad\n",
        "bad/bad_test.go": 'package bad\n\nimport "testing"\n\n'
        "func TestNever(t *testing.T) { absent() }\n",
        "ends/ends_test.go": 'package ends\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
        "func TestFirst(t *testing.T) {}\nfunc TestQuits(t *testing.T) { os.Exit(3) }\n",
    },
    told={
        "example.org/demo::TestAdds": "passed",
        "example.org/demo::TestFails": "failed",
        "example.org/demo::TestRests": "skipped",
        "example.org/demo::TestTable": "passed",
        "example.org/demo::TestTable/n_1": "passed",
        "example.org/demo::TestTable/n_2": "passed",
        "example.org/demo/bad::": "error",
        "example.org/demo/ends::TestFirst": "passed",
        "example.org/demo/ends::TestQuits": "error",
    },
    broken="example.org/demo/bad::",
    passes="example.org/demo::TestAdds",
    fails="example.org/demo::TestFails",
    code=2,
    env={"GOPROXY": "off", "GOFLAGS": "-mod=mod"},
)
CARGO = Sample(
    program="cargo",
    command="cargo test --offline",
    files={
        "Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n',
        "src/lib.rs": "/// Adds.\n/// ```\n/// assert_eq!(demo::sum(1, 2), 3);\n/// ```\n"
        "pub fn sum(a: i32, b: i32) -> i32 {\n    a + b\n}\n\n#[cfg(test)]\nmod tests {\n"
        "    use super::*;\n    #[test]\n    fn adds() {\n"
        "        assert_eq!(sum(1, 2), 3);\n    }\n"
        "    #[test]\n    fn fails() {\n        assert_eq!(sum(1, 2), 4);\n    }\n"
        '    #[test]\n    #[ignore = "not now"]\n    fn rests() {}\n'
        '    #[test]\n    #[should_panic]\n    fn panics() {\n        panic!("as it should")\n'
        "    }\n}\n",
        "tests/whole.rs": "#[test]\nfn whole() {\n    assert_eq!(demo::sum(2, 2), 4);\n}\n",
        "tests/aborts.rs": "#[test]\nfn aborts() {\n    std::process::abort();\n}\n",
    },
    told={
        "src/lib.rs (demo)::tests::adds": "passed",
        "src/lib.rs (demo)::tests::fails": "failed",
        "src/lib.rs (demo)::tests::rests": "skipped",
        "src/lib.rs (demo)::tests::panics": "passed",
        "tests/aborts.rs::": "error",
        "tests/whole.rs::whole": "passed",
        "doc demo::src/lib.rs - sum": "passed",
    },
    broken="tests/aborts.rs::",
    passes="tests/whole.rs::whole",
    fails="src/lib.rs (demo)::tests::fails",
    code=101,
)
NODE = Sample(
    program="node",
    command="node --test",
    files={
        "sum.test.mjs": "import assert from 'node:assert'\nimport { it } from 'node:test'\n"
        "it('adds', () => assert.equal(1 + 2, 3))\nit('fails', () => assert.equal(1 + 2, 4))\n"
        "it('rests', { skip: true }, () => {})\n",
        "broken.test.mjs": "import './no.mjs'\n",
    },
    told={
        "test::adds": "passed",
        "test::fails": "failed",
        "test::rests": "skipped",
        "test::broken.test.mjs": "failed",
    },
    broken="test::broken.test.mjs",
    passes="test::adds",
    fails="test::fails",
)
UNITTEST = Sample(
    program=sys.executable,
    command=f"{shlex.quote(sys.executable)} -B -m unittest -q",
    files={
        "test_sum.py": "import unittest\n\n\nclass Sum(unittest.TestCase):\n"
        "    def test_adds(self):\n        self.assertEqual(1 + 2, 3)\n\n"
        "    def test_fails(self):\n        for n in (3, 4):\n            with self.subTest(n=n):\n"
        "                self.assertEqual(1 + 2, n)\n\n"
        '    @unittest.skip("not now")\n    def test_rests(self):\n        pass\n\n'
        "    @unittest.expectedFailure\n    def test_known(self):\n        self.fail()\n",
        "test_broken.py": "import no_such_module\n",
    },
    told={
        "test_sum.Sum::test_adds": "passed",
        "test_sum.Sum::test_fails": "failed",
        "test_sum.Sum::test_rests": "skipped",
        "test_sum.Sum::test_known": "passed",
        "::test_broken": "error",
    },
    broken="::test_broken",
    passes="test_sum.Sum::test_adds",
    fails="test_sum.Sum::test_fails",
)
PYTEST = Sample(
    program=sys.executable,
    command=f"{shlex.quote(sys.executable)} -B -m pytest -q -p no:cacheprovider",
    files={
        "test_sum.py": "import pytest\n\n\ndef test_adds():\n    assert 1 + 2 == 3\n\n\n"
        "@pytest.mark.parametrize('n', [4])\ndef test_fails(n):\n    assert 1 + 2 == n\n\n\n"
        "@pytest.mark.skip\ndef test_rests():\n    pass\n",
        "test_broken.py": "import no_such_module\n",
        "pytest.ini": "[pytest]\naddopts = --continue-on-collection-errors\n",
    },
    told={
        "test_sum::test_adds": "passed",
        "test_sum::test_fails[4]": "failed",
        "test_sum::test_rests": "skipped",
        "::test_broken": "error",
    },
    broken="::test_broken",
    passes="test_sum::test_adds",
    fails="test_sum::test_fails[4]",
    env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
)
