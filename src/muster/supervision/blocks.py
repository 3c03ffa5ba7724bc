"""Where the tests are in JavaScript, TypeScript, Go and Rust, by how they are named and marked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from muster.supervision.tokens import GO, JAVASCRIPT, RUST, TEXT, TYPESCRIPT, Code

_TESTS = re.compile("[fx]?(?:it|test|specify)")
_GROUPS = re.compile("[fx]?(?:describe|context)|suite")
_MARKS = re.compile("only|skip|concurrent|sequential|serial|failing|fails|todo")
_WITH = frozenset({"each", "for", "skipIf", "runIf"})
_NOT_RUN = frozenset({"skip", "todo"})
_GO_SKIPS = frozenset({"Skip", "Skipf", "SkipNow"})
_LONGEST_HEAD = 400


@dataclass(frozen=True, slots=True)
class Block:
    """A test in the tokens: its name, where it begins and ends, and whether it is not run."""

    name: str
    begin: int
    end: int
    skipped: bool


def _in_javascript(code: Code) -> Iterator[Block]:
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
            yield Block(f"{inside}{title.strip(_QUOTES)}", opens + 2, end, off or is_off)
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


def _in_go(code: Code) -> Iterator[Block]:
    """`func TestX(t *testing.T) {…}`, and fuzz targets."""
    at = 0
    while at < len(code.tokens):
        name = code.word(at + 1) if code.word(at) == "func" else ""
        if name.startswith(("Test", "Fuzz")) and code.is_sign(at + 2, "("):
            opens = code.ends[at + 2] + 1
            if code.is_sign(opens, "{"):
                end = code.ends[opens]
                yield Block(name, opens + 1, end, _skips_go(code, opens, end))
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


def _in_rust(code: Code) -> Iterator[Block]:
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
                yield Block(path, opens + 1, code.ends[opens], off)
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


BLOCKS: Mapping[str, Callable[[Code], Iterator[Block]]] = {
    JAVASCRIPT: _in_javascript,
    TYPESCRIPT: _in_javascript,
    GO: _in_go,
    RUST: _in_rust,
}
"""How the tests of each language are found, in their order; none lies in another."""
