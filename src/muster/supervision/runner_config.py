"""Configuration that decides what a test command runs, and whether a change touches it."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from muster.domain.globs import matches
from muster.supervision.evidence import Changes

_PYTHON = (
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    "pytest.toml",
    ".pytest.toml",
    ".pytest.ini",
    "pytest.ini",
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
    "pytest.py",
    "*.pth",
    ".coveragerc",
)
_NODE = (
    "package.json",
    "jest.config.*",
    "vitest.config.*",
    "vitest.workspace.*",
    "vite.config.*",
    "babel.config.*",
    ".mocharc*",
    "karma.conf.*",
    "playwright.config.*",
    # What runs before the tests, by the names that it usually has, and what stands in for modules.
    *("jest.setup.*", "jest-setup.*", "setup-jest.*", "setupJest.*"),
    *("vitest.setup.*", "vitest-setup.*", "setupTests.*", "setup-tests.*", "test-setup.*"),
    "__mocks__/",
)
_MAKE = ("Makefile", "makefile", "GNUmakefile", "*.mk")
_READ_BY: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\b(?:py\.?test|unittest|python[\d.]*|tox|nox|uv|hatch|poetry)\b"), _PYTHON),
    (re.compile(r"\bnox\b"), ("noxfile.py",)),
    (re.compile(r"\b(?:npm|npx|yarn|pnpm|bun|node|jest|vitest|mocha)\b"), _NODE),
    (re.compile(r"\bg?make\b"), (*_MAKE, *_PYTHON, *_NODE)),
    (re.compile(r"\bjust\b"), ("justfile", "Justfile", ".justfile")),
    (re.compile(r"\bcargo\b"), ("Cargo.toml", ".cargo/", "build.rs")),
    (re.compile(r"\b(?:gradle|gradlew)\b"), ("*.gradle", "*.gradle.kts", "gradle.properties")),
    (re.compile(r"\b(?:mvn|mvnw)\b"), ("pom.xml", ".mvn/")),
    (re.compile(r"\b(?:rake|rspec|bundle)\b"), ("Rakefile", ".rspec")),
)
_PATH_IN_COMMAND = re.compile(r"[A-Za-z0-9_./-]+")

Contents = Mapping[str, tuple[str | None, str | None]]
"""Per path the text at the base and in the result; None where the file is absent."""


def changed_configs(
    test_command: str,
    changed: Changes,
    test_paths: tuple[str, ...],
    more: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """The changed paths that `test_command` takes its settings from, or runs itself.

    Files under `test_paths` are left out: the mixed runs put those back to the base's version.
    `more` are the patterns that its runner knows besides.
    """
    patterns = [*more]
    patterns += [p for command, paths in _READ_BY if command.search(test_command) for p in paths]
    named = {word.removeprefix("./") for word in _PATH_IN_COMMAND.findall(test_command)}
    found = {
        path
        for change in changed
        for path in change.paths
        if (path in named or matches(patterns, path)) and not matches(test_paths, path)
    }
    return tuple(sorted(found))


def really_changed(paths: tuple[str, ...], contents: Contents) -> tuple[str, ...]:
    """Those of `paths` whose part about tests differs, as far as `contents` can tell.

    A file that is not in `contents`, cannot be parsed, or has no known format, counts as changed.
    """
    return tuple(path for path in paths if path not in contents or _differs(path, *contents[path]))


def _differs(path: str, base: str | None, result: str | None) -> bool:
    if base == result:
        return False
    read = _SECTIONS.get(PurePosixPath(path).name)
    if read is None:
        return True
    try:
        return bool(read(base or "") != read(result or ""))
    except (ValueError, configparser.Error, AttributeError, RecursionError):
        return True


def _pyproject(text: str) -> Any:
    whole = tomllib.loads(text)
    tool = whole.get("tool", {})
    return {
        **{name: tool.get(name) for name in ("pytest", "coverage", "tox", "nox", "hatch", "pdm")},
        "plugins": whole.get("project", {}).get("entry-points", {}).get("pytest11"),
    }


def _ini(text: str) -> Any:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return {
        name: dict(parser.items(name))
        for name in parser.sections()
        if name in {"tool:pytest", "pytest", "options.entry_points"}
        or name.startswith(("tox", "testenv", "coverage"))
    }


def _package_json(text: str) -> Any:
    whole = json.loads(text or "{}")
    return {name: whole.get(name) for name in ("scripts", "jest", "vitest", "mocha", "ava", "type")}


_SECTIONS: Mapping[str, Callable[[str], Any]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _ini,
    "tox.ini": _ini,
    "package.json": _package_json,
}
