"""Assertions gone and skips added in JavaScript, TypeScript, Go and Rust are seen in the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.task import TaskType
from muster.domain.verdict import Severity
from muster.supervision.asserted_code import LANGUAGES, read_tests
from muster.supervision.tokens import LARGEST
from muster.supervision.weakened import judge_weakened, losses, newly_skipped, read_both

JS = """
import { add, div } from './calc'
const near = (a, b) => { expect(Math.abs(a - b) / 2 < /[/"]/.lastIndex).toBe(false) }
describe('calc', () => {
  it('adds', async () => {
    const sum = add(1, 2) // it's "one" of `many`
    expect(sum)
      .toBe(3)
    expect(`${sum} is ${`in ${add(1, 2)}`} {`).toContain('3')
  })
  it.each([[1, 1], [2, 2]])('divides %s', (a, b) => {
    assert.throws(() => div(a, 0), /by "zero/)
    expect(div(a, b)).toEqual(1,)
  })
  test('taps', t => { t.is(add(0, 0), 0) })
})
const ours = test.extend({ one: 1 })
ours('has more', ({ one }) => { expect(add(one, 1)).toBe(2) })
"""
GO = """
package calc
import "testing"
func sum(t *testing.T, err error) int { return len(err.Error()) }
func TestAdd(t *testing.T) {
	got, err := Add(1, 2) // don't
	if err != nil {
		t.Fatal(err)
	}
	if got != '3' {
		t.Errorf("got %d { `", got)
	}
	t.Run("zero", func(t *testing.T) { assert.Equal(t, 0, Must(Add(0, 0))) })
	if testing.Short() { t.Skip("long") }
}
func TestRaw(t *testing.T) {
	require.NoError(t, Parse(`it's "raw" { `))
}
"""
RUST = """
fn longest<'a, 'b>(x: &'a str, y: &'b str) -> &'a str { x }
#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn adds() {
        let sum = add(1, 2); /* don't /* nest */ } */
        assert_eq!(sum, 3);
        assert!(matches!(letter('"'), 'a' | '\\'' | '{'), r#"a "raw" } one"#);
    }
    #[tokio::test]
    #[should_panic(expected = "zero")]
    async fn divides() { div(1, 0); }
    fn shared(x: i32) { assert!(x > 0); }
}
"""
TEXTS = {"a.test.js": JS, "a.test.ts": JS, "a_test.go": GO, "a.rs": RUST}
WEAKER = {
    "js: a chain is gone": ("a.test.js", "expect(sum)\n      .toBe(3)\n", "", "calc > adds", 1),
    "ts: it is only said": ("a.test.ts", "expect(sum)\n      .toBe(3)", "sum", "calc > adds", 1),
    "js: nothing is called on it": ("a.test.js", ".toBe(3)\n", "\n", "calc > adds", 1),
    "js: it always holds": (
        "a.test.js", "expect(sum)\n      .toBe(3)", "expect(3).toBe(3)", "calc > adds", 1,
    ),
    "js: a comment of it": (
        "a.test.js", "assert.throws", "// assert.throws", "calc > divides %s", 1,
    ),
    "js: by its context": ("a.test.js", "t.is(add(0, 0), 0)", "add(0, 0)", "calc > taps", 1),
    "js: by a name of its own": ("a.test.js", "expect(add(one, 1)).toBe(2)", "", "has more", 1),
    "go: a branch is gone": (
        "a_test.go", 'if got != \'3\' {\n\t\tt.Errorf("got %d { `", got)\n\t}', "", "TestAdd", 1,
    ),
    "go: a subtest's": (
        "a_test.go", "assert.Equal(t, 0, Must(Add(0, 0)))", "Must(Add(0, 0))", "TestAdd", 1,
    ),
    "go: an error thrown away": (
        "a_test.go", "got, err := Add(1, 2) // don't\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}",
        "got, _ := Add(1, 2)", "TestAdd", 1,
    ),
    "rust: a macro is gone": ("a.rs", "assert_eq!(sum, 3);", "", "tests::adds", 1),
    "rust: it always holds": ("a.rs", "assert_eq!(sum, 3)", "assert!(true)", "tests::adds", 1),
    "rust: it need not panic": (
        "a.rs", '#[should_panic(expected = "zero")]', "", "tests::divides", 1,
    ),
}  # fmt: skip
NO_WEAKER = {
    "js: another value": ("a.test.js", ".toBe(3)", ".toBe(4)"),
    "js: another layout": (
        "a.test.js", "expect(div(a, b)).toEqual(1,)", "expect(\ndiv(a, b)\n).toEqual(1)",
    ),
    "js: into a function": ("a.test.js", "expect(sum)\n      .toBe(3)", "near(sum, 3)"),
    "js: what tests share": (
        "a.test.js", "expect(sum)\n      .toBe(3)\n",
        "})\n  afterEach(() => { expect(sum).toBe(3) })\n  it('more', () => {",
    ),
    "js: another name": ("a.test.js", "it('adds'", "it('sums'"),
    "js: a bracket too many": ("a.test.js", "expect(sum)\n      .toBe(3)", ")"),
    "js: two of one name": (
        "a.test.js", "})\nconst ours", "it('adds', () => { expect(sum) })\n})\nconst ours",
    ),
    "js: markup": ("a.test.js", "expect(sum)\n      .toBe(3)", "render(<p>don't</p>)"),
    "go: it returns no error": (
        "a_test.go", "got, err := Add(1, 2) // don't\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}",
        "got := Add(1, 2)",
    ),
    "go: into a function": ("a_test.go", 't.Errorf("got %d { `", got)', "differs(t, got)"),
    "rust: to another test": (
        "a.rs", "assert_eq!(sum, 3);", "}\n    #[test]\n    fn sums() { assert_eq!(sum, 3);",
    ),
    "rust: no test any more": ("a.rs", "    #[test]\n", ""),
}  # fmt: skip
SKIPPED = {
    "js: skip": ("a.test.js", "it('adds'", "it.skip('adds'", "calc > adds"),
    "ts: by its name": ("a.test.ts", "it('adds'", "xit('adds'", "calc > adds"),
    "js: todo": (
        "a.test.js", "test('taps', t => { t.is(add(0, 0), 0) })", "test.todo('taps')",
        "calc > taps",
    ),
    "js: each": ("a.test.js", "it.each(", "it.skip.each(", "calc > divides %s"),
    "go: skip": ("a_test.go", "require.NoError(", 't.Skip("later"); require.NoError(', "TestRaw"),
    "rust: ignore": ("a.rs", "#[test]", '#[test]\n#[ignore = "later"]', "tests::adds"),
    "python: skip": (
        "test_a.py", "def test_a", "@pytest.mark.skip(reason='x')\ndef test_a", "test_a",
    ),
}  # fmt: skip


def both(path: str, old: str, new: str):
    before = TEXTS.get(path, "def test_a():\n    assert a()\n")
    assert before.count(old) == 1
    return read_both({path: (before, before.replace(old, new))})


@pytest.mark.parametrize("name", WEAKER)
def test_a_test_that_lost_an_assertion_is_named(name: str):
    path, old, new, test, gone = WEAKER[name]
    (file,) = both(path, old, new)
    assert [(loss.test, loss.gone) for loss in losses(file)] == [(test, gone)]


@pytest.mark.parametrize("name", NO_WEAKER)
def test_what_was_moved_replaced_renamed_or_is_unclear_is_no_loss(name: str):
    assert [loss for file in both(*NO_WEAKER[name]) for loss in losses(file)] == []


@pytest.mark.parametrize("name", SKIPPED)
def test_a_test_that_is_marked_as_not_run_is_named(name: str):
    path, old, new, test = SKIPPED[name]
    assert newly_skipped(both(path, old, new)) == (f"{test} in {path}",)


def test_a_group_that_is_off_is_off_with_all_its_tests_and_a_condition_is_not():
    found = newly_skipped(both("a.test.js", "describe('calc'", "describe.skip('calc'"))
    assert len(found) == 3
    assert newly_skipped(both("a.test.js", "it('adds'", "it.skipIf(CI)('adds'")) == ()
    quick = 'if testing.Short() { t.Skip("x") }; require.NoError('
    assert newly_skipped(both("a_test.go", "require.NoError(", quick)) == ()


def test_one_that_asserts_nothing_any_more_is_refused():
    read = both(
        "a_test.go", 'require.NoError(t, Parse(`it\'s "raw" { `))', 'Parse(`it\'s "raw" { `)'
    )
    (finding,) = judge_weakened(TaskType.BUG, read)
    assert (finding.code, finding.severity) == ("tests.weakened", Severity.VETO)
    assert "TestRaw in a_test.go" in finding.text


PIECES = (
    "'", '"', "`", "${", "/", "//", "/*", "*/", "\\", "(", ")", "{", "}", "[", "]", "#[test]",
    "fn a", "it('a',", ".each", "expect(", "assert!(", "t.Error(", "func TestA(t)", "r#\"", "<a",
    "\n", " ",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_pieces_of_code_make_it_fall(pieces: list[str]):
    for language in set(LANGUAGES.values()):
        read_tests(language, "".join(pieces))


@pytest.mark.parametrize("size", [4_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_a_long_file_is_read_in_as_many_steps_as_it_is_long(size: int):
    """One look back for each of its characters would not come to its end in the time of a test."""
    for language in set(LANGUAGES.values()):
        for piece in PIECES:
            read_tests(language, piece * (size // len(piece)))
    assert read_tests("go", " " * (LARGEST + 1)) is None
