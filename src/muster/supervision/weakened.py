"""Tests that assert less than they did, seen in their text: Python's, as others are only run.

A test that passes as it was with the new code says nothing against taking assertions out of it, and
it is weaker for all that comes later. What was moved, replaced or put into a function is no loss.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from muster.domain.plain import few, plain_line
from muster.domain.task import OWES_PROOF, TaskType
from muster.domain.verdict import Finding, Severity

Texts = Mapping[str, tuple[str | None, str | None]]
"""Per test file its text at the base and in the result; None where it is absent."""

READ = ".py"
"""How the name of a file ends whose assertions are known."""
_LARGEST = 1_000_000
_MOST_NAMED, _MOST_LISTED = 5, 50
_CONTEXTS = frozenset({"raises", "warns", "deprecated_call", "subTest"})
_Test = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Loss:
    """A test of a file, how many of its assertions are gone, and how many it has now."""

    path: str
    test: str
    gone: int
    left: int


@dataclass(slots=True)
class _Body:
    """What a test asserts, and what it does besides, each as often as it is there."""

    asserts: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)
    does: Counter[str] = field(default_factory=Counter)


def judge_weakened(task_type: TaskType, texts: Texts) -> tuple[Finding, ...]:
    """At most one finding: tests of which assertions were taken out with nothing in their place.

    A test that asserts nothing any more is a refusal where the task gives no reason for it.
    """
    found = [
        loss
        for path, (before, after) in sorted(texts.items())
        if before is not None and after is not None
        for loss in losses(path, before, after)
    ]
    if not found:
        return ()
    where = [f"{plain_line(x.test, 120)} in {plain_line(x.path, 120)}" for x in found]
    tests = "1 test asserts" if len(found) == 1 else f"{len(found)} tests assert"
    text = f"{tests} less than before, with nothing in its place: {few(where, _MOST_NAMED, 300)}."
    empty = task_type in OWES_PROOF and any(loss.left == 0 for loss in found)
    severity = Severity.VETO if empty else Severity.ASK
    listed = [
        {"path": plain_line(x.path), "test": plain_line(x.test), "gone": x.gone, "left": x.left}
        for x in found[:_MOST_LISTED]
    ]
    return (Finding("tests.weakened", severity, text, {"weakened": listed}),)


def losses(path: str, before: str, after: str) -> list[Loss]:
    """The tests that are in both texts and assert less in the second; none where one is no Python.

    An assertion that another test of the file has now is not lost. Of a test that does something
    new besides, nothing is said: that may be where it asserts now.
    """
    old, new = _tests(before), _tests(after)
    if old is None or new is None:
        return []
    left = _all(old) - _all(new)
    found = []
    for name in [name for name in old if name in new]:
        was, now = old[name], new[name]
        lost = was.asserts - now.asserts
        if not lost or now.asserts - was.asserts:
            continue
        if any(one not in was.parts for one in now.does - was.does):
            continue
        gone = lost & left
        left -= gone
        if gone:
            found.append(Loss(path, name, gone.total(), now.asserts.total()))
    return found


def _tests(text: str) -> dict[str, _Body] | None:
    if len(text) > _LARGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    try:
        return {name: _body(test) for name, test in _named(module.body, "")}
    except RecursionError:
        return None


def _named(body: list[ast.stmt], inside: str) -> Iterator[tuple[str, _Test]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _named(node.body, f"{inside}{node.name}.")
        elif isinstance(node, _Test) and node.name.startswith("test"):
            yield f"{inside}{node.name}", node


def _all(tests: Mapping[str, _Body]) -> Counter[str]:
    found: Counter[str] = Counter()
    for body in tests.values():
        found += body.asserts
    return found


def _body(test: _Test) -> _Body:
    body = _Body()
    for node in ast.walk(test):
        match node:
            case ast.Assert():
                if not isinstance(node.test, ast.Constant):  # it always holds, or never
                    _asserts(body, node, node.test)
            case ast.Expr():
                _said(body, node, node.value)
            case ast.withitem():
                _said(body, node.context_expr, node.context_expr)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                body.does[ast.dump(node.value) if node.value else ""] += 1
            case _:
                pass
    return body


def _said(body: _Body, node: ast.AST, value: ast.expr) -> None:
    """A statement of a call, or the head of a `with`."""
    if _is_assertion(value):
        _asserts(body, node, value)
    elif any(isinstance(part, ast.Call) for part in ast.walk(value)):
        body.does[ast.dump(value)] += 1


def _asserts(body: _Body, node: ast.AST, said: ast.AST) -> None:
    body.asserts[ast.dump(node)] += 1
    body.parts |= {ast.dump(part) for part in ast.walk(said) if isinstance(part, ast.expr)}


def _is_assertion(value: ast.expr) -> bool:
    """A call of something named for it: `self.assertEqual`, `mock.assert_called`, `raises`."""
    if not isinstance(value, ast.Call):
        return False
    name = value.func.attr if isinstance(value.func, ast.Attribute) else ""
    name = value.func.id if isinstance(value.func, ast.Name) else name
    return name.lower().startswith(("assert", "expect")) or name in _CONTEXTS
