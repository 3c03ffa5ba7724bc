"""Small faults in given lines of a Python program: one operator, value or statement each."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.proof.trees import labels

_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COUNTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """A program with one fault; `what` says which, at which line."""

    line: int
    what: str
    source: str


def mutations(source: str, lines: frozenset[int]) -> list[Mutation]:
    """Every fault that is known here on these lines, in the order of the lines."""
    module = ast.parse(source)
    found = []
    for node in _code(module):
        if getattr(node, "lineno", None) in lines:
            for what, new in _faults(node):
                changed = replace_node(source, node, new)
                if _still_python(changed):
                    found.append(Mutation(node.lineno, what, changed))
    return sorted(found, key=lambda m: (m.line, m.what))


def swallowed(source: str, lines: frozenset[int]) -> list[Mutation]:
    """Functions with one of these lines in them, whose errors are swallowed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef):
            continue
        inside = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if lines & inside and any(isinstance(n, ast.Raise | ast.Try) for n in ast.walk(node)):
            changed = replace_node(source, node, _silent(node))
            if _still_python(changed):
                found.append(Mutation(node.lineno, f"errors of {node.name} are swallowed", changed))
    return found


def replace_node(source: str, node: ast.AST, new: str) -> str:
    """The source with the text of a node replaced; lines of `new` are set in as the node is."""
    lines = source.encode().splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno - 1
    decorators = getattr(node, "decorator_list", [])
    if decorators:
        first = decorators[0].lineno - 1
    start = node.col_offset
    if decorators:
        head, indent = lines[first][:start], b" " * start
    else:
        head, indent = lines[first][:start], b" " * start
    tail = lines[last][node.end_col_offset :]
    body = new.encode().replace(b"\n", b"\n" + indent)
    return b"".join([*lines[:first], head + body + tail, *lines[last + 1 :]]).decode()


def _silent(node: ast.FunctionDef) -> str:
    changed = copy.deepcopy(node)
    documented = ast.get_docstring(node) is not None
    kept, body = (changed.body[:1], changed.body[1:]) if documented else ([], changed.body)
    handler = ast.ExceptHandler(ast.Name("Exception"), None, [ast.Return(ast.Constant(None))])
    changed.body = [*kept, ast.Try(body or [ast.Pass()], [handler], [], [])]
    return ast.unparse(ast.fix_missing_locations(changed))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, documentation and the words of errors."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list"}:
            continue
        if isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _words(child) and not labels(child):
                yield from _code(child)


def _words(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _faults(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What can go wrong at a node, and the text that stands there then."""
    yield from _of_operators(node)
    yield from _of_values(node)
    yield from _of_statements(node)


def _of_operators(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in _COMPARED:
            yield "another comparison", _set(ast.Compare(left, [_COMPARED[type(op)]()], [right]))
        case ast.BoolOp(op, values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and for or, or the other way round", _set(ast.BoolOp(other, values))
        case ast.UnaryOp(ast.Not(), operand):
            yield "a not is lost", _set(operand)
        case ast.BinOp(left, op, right) if type(op) in _COUNTED:
            yield "another operator", _set(ast.BinOp(left, _COUNTED[type(op)](), right))
        case ast.IfExp(test, body, orelse):
            yield "the other branch", _set(ast.IfExp(test, orelse, body))


def _of_values(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Constant(bool() as value):
            yield "the other truth value", str(not value)
        case ast.Constant(int() as value):
            yield "off by one", str(value + 1)
        case ast.Constant(str() as value) if value:
            yield "a text is lost", "''"


def _of_statements(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Return(value) if value is not None and not _is_none(value):
            yield "nothing is returned", "return None"
        case ast.Assign() | ast.AugAssign() | ast.Expr(ast.Call()) | ast.Raise():
            yield "a statement is lost", "pass"


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _set(node: ast.AST) -> str:
    return f"({ast.unparse(node)})"


def _still_python(source: str) -> bool:
    try:
        compile(source, "mutated", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
