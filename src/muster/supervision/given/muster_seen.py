"""Measures which lines of some files the tests execute, and which test each; by `coverage`.

`want.json` beside it says of which files which lines count. What was seen goes into `seen.json`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

GIVEN = Path(os.environ["MUSTER_GIVEN"])
TREE = Path(os.environ["MUSTER_TREE"]).resolve()
REPORT = GIVEN / "seen.json"
MOST_TESTS = 60
"""How many tests are told for each line."""
_QUIET = (
    *("module-not-imported", "no-data-collected", "module-not-measured", "couldnt-parse"),
    *("already-imported", "include-ignored", "trace-changed", "dynamic-conflict", "no-ctracer"),
)


class Seen:
    """What one process saw."""

    def __init__(self) -> None:
        want = json.loads((GIVEN / "want.json").read_text("utf-8"))
        self.want: dict[str, set[int]] = {path: set(lines) for path, lines in want.items()}
        self.seconds: dict[str, float] = {}
        self.parts: list[Any] = []
        self.coverage: Any = None

    def start(self, **more: Any) -> None:
        """Begin to measure; where the project has no `coverage`, nothing is."""
        # The only one that can tell tests apart, with every Python.
        os.environ["COVERAGE_CORE"] = "ctrace"
        try:
            library = importlib.import_module("coverage")
        except ImportError:
            return
        files = [str(TREE / path) for path in self.want]
        self.coverage = library.Coverage(
            data_file=None, config_file=False, include=files, messages=False
        )
        self.coverage.set_option("run:disable_warnings", list(_QUIET))
        for name, value in more.items():
            self.coverage.set_option(f"run:{name}", value)
        self.coverage.start()

    def now(self, test: str) -> None:
        """Say which test runs from here on; nothing for none."""
        if self.coverage is not None:
            self.coverage.switch_context(test)

    def told(self) -> dict[str, Any]:
        """What was seen."""
        if self.coverage is None:
            return {"missing": "coverage"}
        self.coverage.stop()
        data = self.coverage.get_data()
        files: dict[str, dict[str, list[str]]] = {}
        for path, wanted in self.want.items():
            seen = data.contexts_by_lineno(str(TREE / path))
            files[path] = {str(n): seen[n][:MOST_TESTS] for n in sorted(wanted) if n in seen}
        return {"files": files, "elsewhere": self._elsewhere(), "seconds": self.seconds}

    def _elsewhere(self) -> list[str]:
        """Files of which another copy was loaded under the same name, from outside of the tree."""
        foreign = set()
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if path and TREE not in Path(path).resolve().parents:
                end = "/__init__.py" if path.endswith("__init__.py") else ".py"
                foreign.add(name.replace(".", "/") + end)
        inner = {path: path.partition("src/")[2] or path for path in self.want}
        return [path for path, end in inner.items() if end in foreign]

    def write(self, path: Path) -> None:
        """Leave what was seen, here and in other processes."""
        told = self.told()
        for part in self.parts:
            _join(told, part)
        path.write_text(json.dumps(told), "utf-8")


def _join(told: dict[str, Any], part: dict[str, Any]) -> None:
    told.pop("missing", None)
    for path, lines in part.get("files", {}).items():
        known = told.setdefault("files", {}).setdefault(path, {})
        for line, tests in lines.items():
            known[line] = [*known.get(line, ()), *tests][:MOST_TESTS]
    told["elsewhere"] = [*told.get("elsewhere", ()), *part.get("elsewhere", ())]
    told.setdefault("seconds", {}).update(part.get("seconds", {}))


def of_unittest() -> None:
    """Measure a run of unittest, which goes on from here."""
    seen = Seen()
    seen.start(dynamic_context="test_function")
    atexit.register(seen.write, REPORT)
