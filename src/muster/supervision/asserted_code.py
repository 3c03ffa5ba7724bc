"""What tests in JavaScript, TypeScript, Go and Rust assert, as far as their text tells for certain.

A test is found by how its language names it; an assertion by its own name, with all that is called
on it. Of two tests of one name nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from muster.supervision.asserted import ELSEWHERE, Body, Tests
from muster.supervision.tokens import (
    GO,
    JAVASCRIPT,
    NUMBER,
    RUST,
    SIGN,
    TEXT,
    TYPESCRIPT,
    WORD,
    Code,
    code_of,
)

_TESTS = re.compile("[fx]?(?:it|test|specify)")
_GROUPS = re.compile("[fx]?(?:describe|context)|suite")
_MARKS = re.compile("only|skip|concurrent|sequential|serial|failing|fails|todo")
_WITH = frozenset({"each", "for", "skipIf", "runIf"})
_NOT_RUN = frozenset({"skip", "todo"})
_OF_T = re.compile(
    "is|(?:not|deep|notDeep|strict|notStrict)?[eE]quals?|not|same|notSame|ok|notOk|true|false|truthy"
    "|falsy|(?:throws|notThrows|rejects|doesNotThrow|doesNotReject)(?:Async)?|match|notMatch|regex"
    "|notRegex|snapshot|like|fail"
)
_OF_GO_T = frozenset({"Error", "Errorf", "Fatal", "Fatalf", "Fail", "FailNow"})
_GO_SKIPS = frozenset({"Skip", "Skipf", "SkipNow"})
_SAYS_HOW_MANY = frozenset({"assertions", "hasAssertions", "soft", "poll", "fail"})
_LITERAL = frozenset({"true", "false", "null", "undefined", "nil", "None", "Some", "Ok", "void"})
_LONGEST_HEAD = 400
_FAILS = frozenset({"fail", "fails", "failnow", "unreachable", "assertions", "hasassertions"})


@dataclass(frozen=True, slots=True)
class _Test:
    """A test in the tokens: its name, where it begins and ends, and whether it is not run."""

    name: str
    begin: int
    end: int
    skipped: bool


def read_tests(language: str, text: str) -> Tests | None:
    """The tests of a file, and what it asserts elsewhere; None where it cannot be told."""
    code = code_of(text, language)
    if code is None:
        return None
    finder = {GO: _in_go, RUST: _in_rust}.get(language, _in_javascript)
    found = list(finder(code))
    heads = partial(_asserts, language, code)
    bodies: dict[str, Body] = {}
    twice: set[str] = set()
    outside, at = Body(), 0
    for test in found:
        _read(code, heads, at, test.begin, outside)
        at = test.end
        twice |= {test.name} & bodies.keys()
        bodies[test.name] = Body(skipped=test.skipped)
        _read(code, heads, test.begin, test.end, bodies[test.name])
        if language == RUST:
            _should_panic(code, test, bodies[test.name])
    _read(code, heads, at, len(code.tokens), outside)
    for name in twice:  # whichever it is, what it asserts is asserted somewhere
        outside.asserts += bodies.pop(name).asserts
    return {**bodies, ELSEWHERE: outside}


# --- where the tests are --------------------------------------------------------------------------


def _in_javascript(code: Code) -> Iterator[_Test]:
    """Calls of `it`, `test` and their like; groups of them give their names before."""
    groups: list[tuple[int, str, bool]] = []
    own = _own_names(code)
    at = 0
    while at < len(code.tokens):
        while groups and groups[-1][0] <= at:
            groups.pop()
        word = code.word(at)
        named = _TESTS.fullmatch(word) or _GROUPS.fullmatch(word) or word in own
        called = _called(code, at) if named and not code.is_sign(at - 1, ".") else None
        if called is None:
            at += 1
            continue
        is_group, opens, off = called
        _, inside, is_off = groups[-1] if groups else (0, "", False)
        kind, title = code.tokens[opens + 1]
        end = code.ends[opens]
        if is_group:
            groups.append((end, f"{inside}{title.strip(_QUOTES)} > ", off or is_off))
            at = opens + 1
        elif kind == TEXT:
            yield _Test(f"{inside}{title.strip(_QUOTES)}", opens + 2, end, off or is_off)
            at = end
        else:
            at += 1


def _own_names(code: Code) -> frozenset[str]:
    """What a file calls tests that it gives more to: `const ours = test.extend(…)`."""
    return frozenset(
        code.word(at - 2)
        for at in range(2, len(code.tokens))
        if code.word(at + 2) == "extend"
        and code.is_sign(at + 1, ".")
        and code.is_sign(at - 1, "=")
        and _TESTS.fullmatch(code.word(at))
    )


_QUOTES = "'\"` \n"


def _called(code: Code, at: int) -> tuple[bool, int, bool] | None:
    """Of a name of a test or a group: which it is, where its arguments open, and if it is off."""
    word = code.word(at)
    is_group, off = _GROUPS.fullmatch(word) is not None, word.startswith("x")
    at += 1
    while code.is_sign(at, "."):
        mark = code.word(at + 1)
        at += 2
        off = off or mark in _NOT_RUN
        if mark == "describe":
            is_group = True
        elif mark in _WITH:
            if at < len(code.tokens) and code.tokens[at].kind == TEXT:
                at = _past_template(code, at)
            elif code.is_sign(at, "("):
                at = code.ends[at] + 1
            else:
                return None
        elif not _MARKS.fullmatch(mark):
            return None
    return (is_group, at, off) if code.is_sign(at, "(") else None


def _past_template(code: Code, at: int) -> int:
    at += 1
    while code.is_sign(at, "${"):
        at = code.ends[at] + 2
    return at


def _in_go(code: Code) -> Iterator[_Test]:
    """`func TestX(t *testing.T) {…}`, and fuzz targets."""
    at = 0
    while at < len(code.tokens):
        name = code.word(at + 1) if code.word(at) == "func" else ""
        if name.startswith(("Test", "Fuzz")) and code.is_sign(at + 2, "("):
            opens = code.ends[at + 2] + 1
            if code.is_sign(opens, "{"):
                end = code.ends[opens]
                yield _Test(name, opens + 1, end, _skips_go(code, opens, end))
                at = end
        at += 1


def _skips_go(code: Code, opens: int, end: int) -> bool:
    """Whether it skips in any case, and not only where something holds."""
    at = opens + 1
    while at < end:
        if code.is_sign(at, "{") or code.is_sign(at, "("):
            at = code.ends[at]
        elif code.word(at) in _GO_SKIPS and code.is_sign(at - 1, "."):
            return True
        at += 1
    return False


def _in_rust(code: Code) -> Iterator[_Test]:
    """Functions with an attribute for tests; modules give their names before."""
    modules: list[tuple[int, str]] = []
    marked, off, at = False, False, 0
    while at < len(code.tokens):
        while modules and modules[-1][0] <= at:
            modules.pop()
        if code.is_sign(at, "#") and code.is_sign(at + 1, "["):
            name = _attribute(code, at + 2)
            marked = marked or name in {"test", "rstest", "test_case"}
            off = off or name == "ignore"
            at = code.ends[at + 1]
        elif code.word(at) == "mod" and code.is_sign(at + 2, "{"):
            modules.append((code.ends[at + 2], code.word(at + 1)))
            marked, off = False, False
        elif code.word(at) == "fn":
            opens = _body_of(code, at)
            if marked and opens is not None:
                path = "::".join([*(name for _, name in modules), code.word(at + 1)])
                yield _Test(path, opens + 1, code.ends[opens], off)
                at = code.ends[opens]
            marked, off = False, False
        elif code.is_sign(at, ";") or code.is_sign(at, "}"):
            marked, off = False, False
        at += 1


def _attribute(code: Code, at: int) -> str:
    """The last name of an attribute's path: `test` of `tokio::test`."""
    while code.is_sign(at + 1, "::"):
        at += 2
    return code.word(at)


def _body_of(code: Code, at: int) -> int | None:
    """Where the body of a function opens, if that is not far away."""
    last = min(at + _LONGEST_HEAD, len(code.tokens))
    while at < last and not code.is_sign(at, ";"):
        if code.is_sign(at, "{"):
            return at
        at = code.ends.get(at, at) + 1
    return None


def _should_panic(code: Code, test: _Test, body: Body) -> None:
    """Count the attribute that says that a test must fail: it asserts that."""
    at = test.begin
    while at > 0 and not (code.is_sign(at, ";") or code.is_sign(at, "}")):
        if code.word(at) == "should_panic":
            body.asserts["should_panic"] += 1
            return
        at -= 1


# --- what they assert -----------------------------------------------------------------------------

_Heads = Callable[[int], int | None]


def _read(code: Code, heads: _Heads, begin: int, end: int, body: Body) -> None:
    """Count what is asserted between two places, and all words and values besides."""
    at = begin
    while at < end:
        stop = heads(at)
        if stop is not None and stop <= end:
            if not _is_constant(code, at, stop):
                body.asserts[_said(code, at, stop)] += 1
                body.parts |= {t.text for t in code.tokens[at:stop] if t.kind != SIGN}
            at = stop
            continue
        kind, text = code.tokens[at]
        if text == "_":
            body.blanks += 1
        elif kind in {WORD, NUMBER, TEXT}:
            body.does[text] += 1
        at += 1


def _said(code: Code, begin: int, end: int) -> str:
    """An assertion without its layout: no commas before brackets that close."""
    texts = []
    for at in range(begin, end):
        follows = code.tokens[at + 1].text if at + 1 < end else ""
        if not (code.is_sign(at, ",") and follows in {")", "]", "}"}):
            texts.append(code.tokens[at].text)
    return " ".join(texts)


def _asserts(language: str, code: Code, at: int) -> int | None:
    """Where an assertion ends that begins here; None where none does."""
    word = code.word(at)
    if not word or code.word(at - 1) in {"func", "fn", "function"}:
        return None
    head = {GO: _go_head, RUST: _rust_head}.get(language, _javascript_head)(code, at, word)
    if not head:
        return None
    stop = _chain(code, at, language)
    return None if stop == at + 1 else stop


def _javascript_head(code: Code, at: int, word: str) -> bool:
    after = code.is_sign(at + 1, "(") or code.is_sign(at + 1, ".")
    if not after:
        return False
    called = code.word(at + 2)
    if word == "expect":
        if code.is_sign(at + 1, "("):
            return code.is_sign(code.ends[at + 1] + 1, ".")
        return called in _SAYS_HOW_MANY
    if word == "t" and code.is_sign(at + 1, "."):
        return _OF_T.fullmatch(called) is not None and not code.is_sign(at - 1, ".")
    return word.lower().startswith(("assert", "expect")) or (
        word == "should" and code.is_sign(at - 1, ".")
    )


def _go_head(code: Code, at: int, word: str) -> bool:
    if word in {"t", "tb", "f"} and code.is_sign(at + 1, ".") and not code.is_sign(at - 1, "."):
        return code.word(at + 2) in _OF_GO_T
    if word in {"assert", "require"}:
        return code.is_sign(at + 1, ".") or code.is_sign(at + 1, "(")
    named = word.lower().startswith(("assert", "expect", "require"))
    return named and code.is_sign(at + 1, "(")


def _rust_head(code: Code, at: int, word: str) -> bool:
    named = word.startswith(("assert", "debug_assert", "prop_assert"))
    return named and (code.is_sign(at + 1, "!") or code.is_sign(at + 1, "("))


def _chain(code: Code, at: int, language: str) -> int:
    """The end of a name with all that is called on it and looked up in it."""
    at += 1
    while at < len(code.tokens):
        if code.is_sign(at, ".") and code.word(at + 1):
            at += 2
        elif code.is_sign(at, "(") or code.is_sign(at, "["):
            at = code.ends[at] + 1
        elif language == RUST and code.is_sign(at, "!") and at + 1 in code.ends:
            at = code.ends[at + 1] + 1
        else:
            break
    return at


def _is_constant(code: Code, begin: int, end: int) -> bool:
    """Whether it always holds, or never: nothing is named in what it is given."""
    if any(code.word(at).lower() in _FAILS for at in range(begin, end)):
        return False
    if code.word(begin + 2) in _OF_GO_T:
        return False
    given, at = False, begin
    while at < end:
        if code.is_sign(at, "(") or code.is_sign(at, "{"):
            inner = [code.word(n) for n in range(at + 1, code.ends[at])]
            if any(word and word not in _LITERAL and word != "t" for word in inner):
                return False
            given = given or code.ends[at] > at + 1
            at = code.ends[at]
        at += 1
    return given


LANGUAGES = {
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".tsx"), JAVASCRIPT),
    **dict.fromkeys((".ts", ".mts", ".cts"), TYPESCRIPT),
    ".go": GO,
    ".rs": RUST,
}
"""Which language a file's name says it is; the first of them may hold markup."""
