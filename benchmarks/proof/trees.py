"""The files of a project at one moment, what differs between two, and parts of a difference."""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from muster.domain.globs import matches
from muster.supervision.evidence import Changed, Changes

Tree = Mapping[str, bytes]
"""The contents of every file by its path."""


@dataclass(frozen=True)
class Hunk:
    """One run of differing lines of one file: `old` at `start` of the base becomes `new`."""

    path: str
    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]


def digest(tree: Tree) -> str:
    """The same for the same files."""
    whole = hashlib.sha256()
    for path in sorted(tree):
        whole.update(f"{path}\0{hashlib.sha256(tree[path]).hexdigest()}\n".encode())
    return whole.hexdigest()


def part(tree: Tree, patterns: Iterable[str]) -> dict[str, bytes]:
    """The files whose path matches."""
    known = tuple(patterns)
    return {path: data for path, data in tree.items() if matches(known, path)}


def without(tree: Tree, patterns: Iterable[str]) -> dict[str, bytes]:
    """The files whose path does not match."""
    known = tuple(patterns)
    return {path: data for path, data in tree.items() if not matches(known, path)}


def text(tree: Tree, path: str) -> str:
    """A file's text; empty where there is none."""
    return tree.get(path, b"").decode("utf-8", "replace")


def changes(base: Tree, result: Tree) -> Changes:
    """What differs, as evidence; a file that moved is one deleted and one added."""
    found = []
    for path in sorted({*base, *result}):
        if base.get(path) == result.get(path):
            continue
        status = "added" if path not in base else "deleted" if path not in result else "modified"
        hunks = hunks_of(base, result, path)
        found.append(
            Changed(
                path,
                status,
                added=sum(len(h.new) for h in hunks),
                removed=sum(len(h.old) for h in hunks),
                size=len(result.get(path, b"")),
            )
        )
    return tuple(found)


def hunks_of(base: Tree, result: Tree, path: str) -> list[Hunk]:
    """The runs of lines in which one file differs."""
    old, new = (text(tree, path) for tree in (base, result))
    one, other = old.splitlines(keepends=True), new.splitlines(keepends=True)
    return [
        Hunk(path, i1, tuple(one[i1:i2]), tuple(other[j1:j2]))
        for i1, i2, j1, j2 in _differing(old, new)
    ]


@cache
def _differing(old: str, new: str) -> tuple[tuple[int, int, int, int], ...]:
    """The runs of lines that differ: from where to where in each."""
    one, other = old.splitlines(keepends=True), new.splitlines(keepends=True)
    first = 0
    while first < min(len(one), len(other)) and one[first] == other[first]:
        first += 1
    last = 0
    while last < min(len(one), len(other)) - first and one[-1 - last] == other[-1 - last]:
        last += 1
    inner = (one[first : len(one) - last], other[first : len(other) - last])
    codes = difflib.SequenceMatcher(None, *inner).get_opcodes()
    return tuple(
        (i1 + first, i2 + first, j1 + first, j2 + first)
        for tag, i1, i2, j1, j2 in codes
        if tag != "equal"
    )


def telling_hunks(base: Tree, result: Tree) -> list[Hunk]:
    """The hunks of Python files without which the program is another one; in order."""
    found = []
    for path in sorted({*base, *result}):
        if path.endswith(".py") and base.get(path) != result.get(path):
            hunks = hunks_of(base, result, path)
            whole = shape(text(result, path))
            for hunk in hunks:
                rest = applied(text(base, path), [h for h in hunks if h is not hunk])
                if shape(rest) != whole:
                    found.append(hunk)
    return found


def place_of(tree: Tree, hunk: Hunk, at: int) -> str:
    """The definition on top of the file that a line belongs to; empty outside of all."""
    for node in ast.parse(text(tree, hunk.path)).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if first <= at <= (node.end_lineno or node.lineno) and hasattr(node, "name"):
            return f"{hunk.path}:{node.name}"
    return ""


def drop(base: Tree, result: Tree, hunks: Iterable[Hunk]) -> dict[str, bytes]:
    """The result with some of its hunks taken back."""
    left = dict(result)
    dropped = list(hunks)
    for path in {hunk.path for hunk in dropped}:
        kept = [h for h in hunks_of(base, result, path) if h not in dropped]
        if not kept and path not in base:
            del left[path]
        else:
            left[path] = applied(text(base, path), kept).encode()
    return left


def applied(old: str, hunks: Iterable[Hunk]) -> str:
    """A text with these hunks; those at the same place in their order."""
    lines, found, at = old.splitlines(keepends=True), [], 0
    for hunk in sorted(hunks, key=lambda h: h.start):
        found += [*lines[at : hunk.start], *hunk.new]
        at = hunk.start + len(hunk.old)
    return "".join([*found, *lines[at:]])


def added_lines(base: Tree, result: Tree, path: str) -> frozenset[int]:
    """The numbers of the lines of the result that the base does not have; from 1."""
    found = _differing(text(base, path), text(result, path))
    return frozenset(n + 1 for _, _, j1, j2 in found for n in range(j1, j2))


@cache
def shape(source: str) -> str:
    """What a Python program does, as text: without comments, documentation and labels."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return f"broken: {hashlib.sha256(source.encode()).hexdigest()}"
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _documents(body[0]):
            body[0] = ast.Expr(ast.Constant(None))
    module.body = [node for node in module.body if not labels(node)]
    return ast.dump(module)


def labels(node: ast.AST) -> bool:
    """Whether it only names a version, an author or what is public."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return bool(names) and all(name.startswith("__") and name.endswith("__") for name in names)


def _documents(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def parses(source: str) -> bool:
    """Whether it is Python at all."""
    return not shape(source).startswith("broken: ")
