"""What tests in Python assert."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from muster.supervision.asserted import Body, Tests
from muster.supervision.changed_lines import parsed

_CONTEXTS = frozenset({"raises", "warns", "deprecated_call", "subTest"})
_Test = ast.FunctionDef | ast.AsyncFunctionDef


def tests_in_python(text: str) -> Tests | None:
    """The tests of a file; None where it is no Python, or too large."""
    module = parsed(text)
    if module is None:
        return None
    try:
        return {name: _body(test, off) for name, test, off in _named(module.body, "")}
    except RecursionError:
        return None


def _named(
    body: list[ast.stmt], inside: str, off: bool = False
) -> Iterator[tuple[str, _Test, bool]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _named(node.body, f"{inside}{node.name}.", off or _is_off(node))
        elif isinstance(node, _Test) and node.name.startswith("test"):
            yield f"{inside}{node.name}", node, off or _is_off(node)


def _is_off(node: ast.ClassDef | _Test) -> bool:
    """Whether a mark says that it is not run, whatever holds."""
    for mark in node.decorator_list:
        called = mark.func if isinstance(mark, ast.Call) else mark
        if isinstance(called, ast.Attribute) and called.attr == "skip":
            return True
    return False


def _body(test: _Test, off: bool) -> Body:
    body = Body(skipped=off)
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


def _said(body: Body, node: ast.AST, value: ast.expr) -> None:
    """A statement of a call, or the head of a `with`."""
    if _is_assertion(value):
        _asserts(body, node, value)
    elif any(isinstance(part, ast.Call) for part in ast.walk(value)):
        body.does[ast.dump(value)] += 1


def _asserts(body: Body, node: ast.AST, said: ast.AST) -> None:
    body.asserts[ast.dump(node)] += 1
    body.parts |= {ast.dump(part) for part in ast.walk(said) if isinstance(part, ast.expr)}


def _is_assertion(value: ast.expr) -> bool:
    """A call of something named for it: `self.assertEqual`, `mock.assert_called`, `raises`."""
    if not isinstance(value, ast.Call):
        return False
    name = value.func.attr if isinstance(value.func, ast.Attribute) else ""
    name = value.func.id if isinstance(value.func, ast.Name) else name
    return name.lower().startswith(("assert", "expect")) or name in _CONTEXTS
