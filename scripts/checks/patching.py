"""No test replaces parts of the program behind its back; a fake that passes the contract does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import parsed, under

MOCKS = ("unittest.mock", "mock", "pytest_mock")
REPLACES = {"setattr", "delattr"}


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
        case _:
            return []


def _patches(node: ast.AST) -> str:
    """What a node does that it should not, or nothing."""
    if any(name in MOCKS for name in _imported(node)):
        return "imports a mock; write a small fake that passes the contract suite"
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="monkeypatch"), attr=attr)):
            if attr in REPLACES:
                return f"monkeypatch.{attr} replaces code; pass the part in instead"
        case ast.arg(arg="mocker"):
            return "takes the mocker fixture; write a small fake instead"
    return ""


def problems(root: Path) -> Iterator[str]:
    """One line for each test file and line that mocks or patches."""
    for path in [*under(root, "tests", ".py"), *under(root, "src", ".py")]:
        for node in ast.walk(parsed(path)):
            if wrong := _patches(node):
                yield f"{path.relative_to(root)}:{getattr(node, 'lineno', 1)}: {wrong}"
