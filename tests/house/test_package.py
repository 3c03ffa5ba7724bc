"""The package that people install holds everything it runs on, and says what it is."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest
from scripts.checks.tree import under

import muster
from house.trees import ROOT, copy_of_the_tree, run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the tree without the package index."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = copy_of_the_tree(folder / "tree")
    done = run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(folder), ".",
        cwd=tree,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    source = ROOT / "src"
    missing = [
        str(path.relative_to(source))
        for path in under(ROOT, "src")
        if str(path.relative_to(source)) not in names
    ]
    assert missing == []


@pytest.mark.parametrize(
    "pattern",
    [
        *("store/migrations/versions/*.py", "llm/*.toml", "knowledge/templates/*.j2"),
        *("web/templates/**/*.html", "web/static/**/*.css"),
    ],
)
def test_the_files_that_are_read_at_run_time_are_there(
    wheel: zipfile.ZipFile, pattern: str
) -> None:
    package = ROOT / "src" / "muster"
    expected = {f"muster/{path.relative_to(package)}" for path in package.glob(pattern)}
    assert expected
    assert expected <= set(wheel.namelist())


def test_the_wheel_carries_its_licence_version_and_command(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert f"\nVersion: {muster.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert "muster = muster.cli.entry:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_the_changelog_speaks_of_the_current_version() -> None:
    assert f"\n## {muster.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_that_is_built_or_cached_is_tracked() -> None:
    tracked = run("git", "ls-files").stdout.splitlines()
    refused: tuple[str, ...] = (".venv", "build", "dist", "__pycache__", "node_modules")
    assert [name for name in tracked if set(Path(name).parts) & set(refused)] == []


PLUGINS = [
    entry
    for entry in distribution("passmuster").entry_points
    if entry.group.startswith("muster.") or entry.group == "console_scripts"
]


@pytest.mark.parametrize("entry", PLUGINS, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_every_plugin_and_command_that_the_package_announces_can_be_loaded(
    entry: EntryPoint,
) -> None:
    assert callable(entry.load())
