"""Small faults put into added lines: what tests that look at those lines should notice.

A mutant is an exchange of bytes in one file. Which are made depends on the text and a seed alone.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muster.supervision.changed_lines import parsed

LONGEST = 2000
"""Bytes of a piece of code that is exchanged."""

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.BitXor: ast.BitAnd,
}  # fmt: skip
_LOGS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log", "print"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes from `start` to `end` of a file become `new`; `what` says it."""

    path: str
    line: int
    start: int
    end: int
    new: str
    what: str

    @property
    def id(self) -> str:
        """The same for the same fault."""
        return f"{self.path}:{self.start}:{self.end}:{self.new}"


def mutants_of(path: str, text: str, added: Iterable[int]) -> tuple[Mutant, ...]:
    """Every fault that can be put into the added lines of a Python file, in the file's order."""
    tree = parsed(text)
    if tree is None:
        return ()
    lines, wanted = _Bytes(text), frozenset(added)
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, new, what in _faults(tree):
        if getattr(node, "lineno", 0) not in wanted or node.end_lineno is None:
            continue
        start, end = lines.of(node)
        old = lines.data[start:end].decode("utf-8", "replace")
        if 0 < end - start <= LONGEST and new != old:
            shown = f"{what}: {' '.join(old.split())[:80]} → {new[:80]}"
            found.setdefault((start, end, new), Mutant(path, node.lineno, start, end, new, shown))
    return tuple(sorted(found.values(), key=lambda m: (m.start, m.end, m.new)))


def mutated(text: str, mutant: Mutant) -> str | None:
    """The file with the fault; None when it could not even be loaded, which any test notices."""
    data = text.encode("utf-8")
    try:
        whole = (data[: mutant.start] + mutant.new.encode() + data[mutant.end :]).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return whole if parsed(whole) is not None else None


def sampled(mutants: Iterable[Mutant], seed: str, most: int) -> tuple[Mutant, ...]:
    """Some of them, the same for the same seed; no line twice before each was taken once."""
    dice = random.Random(seed)  # noqa: S311 - a sample, no secret
    by_line: dict[tuple[str, int], list[Mutant]] = {}
    for mutant in mutants:
        by_line.setdefault((mutant.path, mutant.line), []).append(mutant)
    queues = [dice.sample(each, len(each)) for _, each in sorted(by_line.items())]
    dice.shuffle(queues)
    depth = max((len(queue) for queue in queues), default=0)
    rounds = (queue[n] for n in range(depth) for queue in queues if n < len(queue))
    return tuple(rounds)[:most]


class _Bytes:
    """A text by the bytes that places in its syntax count."""

    def __init__(self, text: str) -> None:
        self.data = text.encode("utf-8")
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        return start, end


Fault = tuple[ast.expr | ast.stmt, str, str]


def _faults(tree: ast.AST) -> Iterator[Fault]:
    """Each place with what stands there instead, and why; what changes nothing is left out."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.expr):
            yield from _in_expression(node)
        elif isinstance(node, ast.stmt):
            yield from _in_statement(node)
        stack += _worth(node)


def _worth(node: ast.AST) -> Iterator[ast.AST]:
    """The parts in which a fault can matter: no types, no words for people, no f-strings."""
    if isinstance(node, ast.JoinedStr) or _for_people(node) or _of_module(node):
        return
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield node.exc.func
        return
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        yield from node.orelse
        return
    unworthy = {"annotation", "returns", "decorator_list", "msg", "type_params", "bases"}
    for name, part in ast.iter_fields(node):
        if name not in unworthy:
            parts = part if isinstance(part, list) else [part]
            yield from (one for one in parts if isinstance(one, ast.AST))


def _for_people(node: ast.AST) -> bool:
    """A docstring, or something printed or logged."""
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) or _logs(node.value)


def _of_module(node: ast.AST) -> bool:
    """A name like `__all__`."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(name, ast.Name) and name.id.startswith("__") for name in targets)


def _logs(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in _LOGS


def _in_expression(node: ast.expr) -> Iterator[Fault]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        ops = [_COMPARED[type(node.ops[0])](), *node.ops[1:]]
        yield node, _with(node, ops=ops), "another comparison"
    elif isinstance(node, ast.BoolOp):
        op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, _with(node, op=op), "and for or"
    elif isinstance(node, ast.BinOp) and type(node.op) in _COUNTED and not _words(node):
        yield node, _with(node, op=_COUNTED[type(node.op)]()), "another operator"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node, f"({ast.unparse(node.operand)})", "without its sign"
    elif isinstance(node, ast.IfExp):
        yield node, _with(node, body=node.orelse, orelse=node.body), "the branches exchanged"
    elif isinstance(node, ast.Constant):
        yield from _in_constant(node)


def _in_constant(node: ast.Constant) -> Iterator[Fault]:
    if isinstance(node.value, bool):
        yield node, str(not node.value), "another constant"
    elif isinstance(node.value, (int, float)):
        yield node, repr(node.value + 1), "another constant"
    elif isinstance(node.value, str) and node.value:
        yield node, repr(f"{node.value}XX"), "another text"


def _words(node: ast.BinOp) -> bool:
    """Whether it puts texts together, of which another operator would just raise."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, (str, bytes)))
        for side in sides
    )


def _in_statement(node: ast.stmt) -> Iterator[Fault]:
    if isinstance(node, (ast.If, ast.While)) and not isinstance(node.test, ast.Constant):
        yield node.test, f"(not ({ast.unparse(node.test)}))", "a condition turned round"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield node, "return None", "nothing returned"
    elif isinstance(node, (ast.AugAssign, ast.Delete)) or _called(node):
        yield node, "pass", "left out"
    elif isinstance(node, (ast.Break, ast.Continue)):
        other = "continue" if isinstance(node, ast.Break) else "break"
        yield node, other, f"{other} instead"
    elif isinstance(node, ast.Raise):
        yield node, "pass", "nothing raised"
    elif isinstance(node, ast.Assign) and not _of_module(node) and _plain(node.value):
        yield node.value, "None", "nothing assigned"


def _plain(value: ast.expr) -> bool:
    """Whether it is no constant, of which another is taken anyway."""
    return not isinstance(value, (ast.Constant, ast.Lambda))


def _called(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _logs(node.value)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.expr, **parts: object) -> str:
    """The expression with some parts exchanged, in brackets."""
    changed = copy.copy(node)
    for name, part in parts.items():
        setattr(changed, name, part)
    return f"({ast.unparse(changed)})"
