"""What tests in JavaScript, TypeScript, Go and Rust assert, as far as their text tells for certain.

A test is found by how its language names it; an assertion by its own name, with all that is called
on it. Of two tests of one name nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from muster.supervision.asserted import ELSEWHERE, Body, Tests
from muster.supervision.blocks import BLOCKS, Block
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

_OF_T = re.compile(
    "is|(?:not|deep|notDeep|strict|notStrict)?[eE]quals?|not|same|notSame|ok|notOk|true|false|truthy"
    "|falsy|(?:throws|notThrows|rejects|doesNotThrow|doesNotReject)(?:Async)?|match|notMatch|regex"
    "|notRegex|snapshot|like|fail"
)
_OF_GO_T = frozenset({"Error", "Errorf", "Fatal", "Fatalf", "Fail", "FailNow"})
_SAYS_HOW_MANY = frozenset({"assertions", "hasAssertions", "soft", "poll", "fail"})
_LITERAL = frozenset({"true", "false", "null", "undefined", "nil", "None", "Some", "Ok", "void"})
_FAILS = frozenset({"fail", "fails", "failnow", "unreachable", "assertions", "hasassertions"})


def read_tests(language: str, text: str) -> Tests | None:
    """The tests of a file, and what it asserts elsewhere; None where it cannot be told."""
    code = code_of(text, language)
    if code is None:
        return None
    found = list(BLOCKS[language](code))
    heads = partial(_asserts, language, code)
    bodies: dict[str, Body] = {}
    twice: set[str] = set()
    outside, at = Body(), 0
    for test in found:
        _read(code, heads, at, test.begin, outside)
        at = test.end
        if test.name in bodies:  # whichever it is, what it asserts is asserted somewhere
            twice.add(test.name)
            outside.asserts += bodies[test.name].asserts
        bodies[test.name] = Body(skipped=test.skipped)
        _read(code, heads, test.begin, test.end, bodies[test.name])
        if language == RUST:
            _should_panic(code, test, bodies[test.name])
    _read(code, heads, at, len(code.tokens), outside)
    for name in twice:
        outside.asserts += bodies.pop(name).asserts
    return {**bodies, ELSEWHERE: outside}


def _should_panic(code: Code, test: Block, body: Body) -> None:
    """Count the attribute that says that a test must fail: it asserts that."""
    at = test.begin
    while at > 0 and not (code.is_sign(at, ";") or code.is_sign(at, "}")):
        if code.word(at) == "should_panic":
            body.asserts["should_panic"] += 1
            return
        at -= 1


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
