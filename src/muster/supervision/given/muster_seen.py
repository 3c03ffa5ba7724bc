"""Measures which lines of some files the tests execute, and which test each.

`want.json` beside it says of which files which statements count, each by the line where it begins,
and `of.json`, where it lies there, by the beginnings of their ids, which tests alone. What was seen
goes into `seen.json`.
The files are compiled with a call before each statement that counts, and only those: tracing all
that runs would take half as long again as the tests. Needs nothing but Python 3.8.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import importlib.machinery
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GIVEN = Path(os.environ["MUSTER_GIVEN"])
TREE = Path(os.environ["MUSTER_TREE"]).resolve()
REPORT = GIVEN / "seen.json"
MOST_TESTS = 60
"""How many tests are told for each line."""
HIT = "__muster_hit__"
_BLOCKS = ("body", "orelse", "finalbody")


class Seen:
    """What one process saw."""

    def __init__(self) -> None:
        want = json.loads((GIVEN / "want.json").read_text("utf-8"))
        self.want: dict[str, frozenset[int]] = {p: frozenset(lines) for p, lines in want.items()}
        self.of = _ids()
        self.seconds: dict[str, float] = {}
        self.parts: list[dict[str, Any]] = []
        self._hit: set[int] = set()
        self._planted: list[tuple[str, int, dict[str, None]]] = []
        self._test = ""

    def start(self) -> None:
        """Begin to measure what is loaded from here on."""
        setattr(builtins, HIT, self._hit.add)
        sys.meta_path.insert(0, _Finder(self))

    def plant(self, path: str, line: int) -> int:
        """The number that says that the statement which begins there was executed."""
        self._planted.append((path, line, {}))
        return len(self._planted) - 1

    def now(self, test: str) -> None:
        """Say which test runs from here on; nothing for none."""
        hit = list(self._hit)
        self._hit.difference_update(hit)
        for number in hit if self._counts(self._test) else ():
            tests = self._planted[number][2]
            if len(tests) < MOST_TESTS:
                tests[self._test] = None
        self._test = test

    def _counts(self, test: str) -> bool:
        """Whether it is one of those that are asked about; what is loaded outside of tests is."""
        return not test or not self.of or f"{test}::".startswith(self.of)

    def told(self) -> dict[str, Any]:
        """What was seen."""
        self.now("")
        files: dict[str, dict[int, dict[str, None]]] = {path: {} for path in self.want}
        for path, line, tests in self._planted:
            if tests:
                files[path].setdefault(line, {}).update(tests)
        return {
            "files": {
                path: {str(n): [t for t in tests if t] for n, tests in sorted(lines.items())}
                for path, lines in files.items()
            },
            "elsewhere": self._elsewhere(),
            "unmeasured": self._unmeasured(),
            "seconds": self.seconds,
        }

    def _elsewhere(self) -> list[str]:
        """Files of which another copy was loaded under the same name, from outside of the tree."""
        foreign = set()
        for name, path, _ in _loaded():
            if TREE not in Path(path).resolve().parents:
                end = "/__init__.py" if path.endswith("__init__.py") else ".py"
                foreign.add(name.replace(".", "/") + end)
        inner = {path: path.partition("src/")[2] or path for path in self.want}
        return [path for path, end in inner.items() if end in foreign]

    def _unmeasured(self) -> list[str]:
        """Files that were loaded before this, or by somebody who loads in a way of his own."""
        wanted = {os.path.realpath(TREE / path): path for path in self.want}
        others = {
            os.path.realpath(path)
            for _, path, module in _loaded()
            if not isinstance(getattr(module, "__loader__", None), _Loader)
        }
        return [path for real, path in wanted.items() if real in others]

    def write(self, path: Path) -> None:
        """Leave what was seen, here and in other processes."""
        told = self.told()
        for part in self.parts:
            _join(told, part)
        path.write_text(json.dumps(told), "utf-8")


def _ids() -> tuple[str, ...]:
    path = GIVEN / "of.json"
    found = json.loads(path.read_text("utf-8")) if path.exists() else ()
    return tuple(f"{beginning}::" for beginning in found)


def _loaded() -> Iterator[tuple[str, str, Any]]:
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path:
            yield name, path, module


def _join(told: dict[str, Any], part: dict[str, Any]) -> None:
    for path, lines in part["files"].items():
        known = told["files"].setdefault(path, {})
        for line, tests in lines.items():
            known[line] = [*known.get(line, ()), *tests][:MOST_TESTS]
    for name in ("elsewhere", "unmeasured"):
        told[name] = [*told[name], *part[name]]
    told["seconds"].update(part["seconds"])


class _Finder:
    """Has the files that count loaded by a loader that plants calls; all others as ever."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._paths = {os.path.realpath(TREE / path): path for path in seen.want}
        self._names = {_module(path) for path in seen.want}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Where everybody else finds it, if that is one of the files."""
        if name.rpartition(".")[2] not in self._names:
            return None
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            spec = None if finder is self or look is None else look(name, path, target)
            if spec is not None:
                break
        else:
            return None
        origin = spec.origin
        own = self._paths.get(os.path.realpath(origin)) if isinstance(origin, str) else None
        if own is None:
            return None
        spec.loader = _Loader(name, origin, self._seen, own)
        return spec


def _module(path: str) -> str:
    own = Path(path)
    return own.parent.name if own.stem == "__init__" else own.stem


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a file anew each time; what is kept of others stays as it is."""

    def __init__(self, name: str, origin: str, seen: Seen, own: str) -> None:
        super().__init__(name, origin)
        self._seen = seen
        self._own = own

    def get_code(self, _name: str) -> Any:  # type: ignore[explicit-override]
        """The file's code with a call before each statement that counts."""
        tree = ast.parse(self.get_data(self.path), self.path)
        _plant(tree, self._seen, self._own)
        return compile(tree, self.path, "exec", dont_inherit=True)


def _plant(tree: ast.AST, seen: Seen, path: str) -> None:
    for node in list(ast.walk(tree)):
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list):
                block[:] = _with_calls(node, name, block, seen, path)


def _with_calls(
    node: ast.AST, name: str, block: list[ast.stmt], seen: Seen, path: str
) -> Iterator[ast.stmt]:
    """The statements of a block, each that counts after a call; those of a copy."""
    statements = list(block)
    # What cannot have a call before it has one after it: it is there once that is reached.
    early = {node.lineno} if isinstance(node, ast.ExceptHandler) and name == "body" else set()
    for statement in statements:
        early.add(_begins(statement))
        if not _must_be_first(statement):
            yield from _calls(seen, path, early, statement)
            early = set()
        yield statement
    if early and statements:
        yield from _calls(seen, path, early, statements[-1])


def _calls(seen: Seen, path: str, lines: set[int], at: ast.stmt) -> Iterator[ast.stmt]:
    for line in sorted(lines & seen.want[path]):
        call = ast.Call(ast.Name(HIT, ast.Load()), [ast.Constant(seen.plant(path, line))], [])
        yield ast.fix_missing_locations(ast.copy_location(ast.Expr(call), at))


def _begins(node: ast.stmt) -> int:
    """The line where a statement begins, with what decorates it."""
    lines: list[int] = [d.lineno for d in getattr(node, "decorator_list", ())]
    return min([node.lineno, *lines])


def _must_be_first(node: ast.stmt) -> bool:
    """What no call may stand before: a docstring, and what is said to the compiler."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def of_unittest(result: Any) -> None:
    """Measure a run of unittest, which goes on from here and tells its results to that class."""
    seen = Seen()
    began, ended = result.startTest, result.stopTest

    def start(self: Any, test: Any) -> None:
        seen.now(str(test.id()))
        began(self, test)

    def stop(self: Any, test: Any) -> None:
        ended(self, test)
        seen.now("")

    result.startTest, result.stopTest = start, stop
    seen.start()
    atexit.register(seen.write, REPORT)
