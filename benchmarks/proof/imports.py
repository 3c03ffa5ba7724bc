"""Imports that a part of a release brings along for the other parts, and that it can do without."""

from __future__ import annotations

import ast
import symtable


def without_idle_imports(before: str, now: str) -> str:
    """The source less the names that it imports at its top, did not `before`, and uses nowhere."""
    module = ast.parse(now)
    idle = _imported(module) - _imported(ast.parse(before)) - _used(module, now)
    lines = now.splitlines(keepends=True)
    for node in reversed(module.body):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        left = [alias for alias in node.names if _bound(alias) not in idle]
        if len(left) < len(node.names):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            node.names = left
            lines[first:last] = [f"{ast.unparse(node)}\n"] if left else []
    return "".join(lines)


def _imported(module: ast.Module) -> set[str]:
    found = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {_bound(alias) for node in found for alias in node.names} - {"*"}


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _used(module: ast.Module, source: str) -> set[str]:
    """Names that any code means the module's own by, and what is named in a string (`__all__`)."""
    strings = {n.value for n in ast.walk(module) if isinstance(n, ast.Constant)}
    return {s for s in strings if isinstance(s, str)} | _meant(
        symtable.symtable(source, "a part", "exec")
    )


def _meant(scope: symtable.SymbolTable) -> set[str]:
    own = scope.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in scope.get_symbols()
        if symbol.is_referenced() and (own or symbol.is_global())
    }
    return found.union(*map(_meant, scope.get_children()))
