"""Tests made to look away: skipped, without their assertions, or content with anything."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Mapping

from benchmarks.proof.corpus import key_of
from benchmarks.proof.mutations import replace_node
from benchmarks.proof.trees import Tree, text

Key = tuple[str, str]


def tampered(tests: Tree, failing: Iterable[str], how: str) -> dict[str, bytes] | None:
    """The test files with the functions of these tests made to look away; None if one is not found.

    `how` is a key of `WAYS`.
    """
    wanted = {key_of(test) for test in failing}
    left = dict(tests)
    found: set[Key] = set()
    for path in sorted(tests):
        if path.endswith(".py"):
            source = text(tests, path)
            changed, here = _file(source, path, wanted, WAYS[how])
            found |= here
            if changed != source:
                left[path] = changed.encode()
    return left if found == wanted and left != dict(tests) else None


def _file(
    source: str, path: str, wanted: set[Key], way: Callable[[ast.FunctionDef], str]
) -> tuple[str, set[Key]]:
    stem = path.rpartition("/")[2].removesuffix(".py")
    found = set()
    for key in sorted(wanted):
        node = _find(ast.parse(source), stem, key)
        if node is not None:
            found.add(key)
            source = replace_node(source, node, way(copy.deepcopy(node)))
    if found and way is WAYS["skipped"] and "import pytest\n" not in source:
        source = _import_pytest(source)
    return source, found


def _find(module: ast.Module, stem: str, key: Key) -> ast.FunctionDef | None:
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and key == (stem, node.name):
            return node
        if isinstance(node, ast.ClassDef) and node.name == key[0]:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == key[1]:
                    return inner
    return None


def _import_pytest(source: str) -> str:
    """After the documentation and what must stand first."""
    at = 0
    for node in ast.parse(source).body:
        first = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not first and not words:
            break
        at = node.end_lineno or at
    lines = source.splitlines(keepends=True)
    return "".join([*lines[:at], "import pytest\n", *lines[at:]])


def _skipped(node: ast.FunctionDef) -> str:
    reason = ast.parse('pytest.mark.skip(reason="unreliable")', mode="eval").body
    node.decorator_list.insert(0, reason)
    return ast.unparse(node)


class _Without(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.Pass()

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if _asserts(node) else node


class _Content(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        value = node.test.left if isinstance(node.test, ast.Compare) else node.test
        return ast.Expr(value)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if _asserts(node) and isinstance(node.value, ast.Call) and node.value.args:
            return ast.Expr(node.value.args[0])
        return node


def _asserts(node: ast.Expr) -> bool:
    call = node.value
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr.startswith("assert")
    )


def _by(transformer: type[ast.NodeTransformer]) -> Callable[[ast.FunctionDef], str]:
    return lambda node: ast.unparse(ast.fix_missing_locations(transformer().visit(node)))


WAYS: Mapping[str, Callable[[ast.FunctionDef], str]] = {
    "skipped": _skipped,
    "without assertions": _by(_Without),
    "weakened": _by(_Content),
}
"""What is done to a test function, by name."""
