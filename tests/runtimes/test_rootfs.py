"""What a root file system takes of this machine: a program with the installation it stands on."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from muster.runtimes.rootfs import Rootfs


def program(path: Path, first_line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first_line}\n")
    path.chmod(0o755)
    return path


def taken(tmp_path: Path, path: Path, name: str) -> dict[str, str]:
    """The paths that are taken, below the machine's root; for a link where it leads."""
    archive = tmp_path / "root.tar"
    with archive.open("wb") as target:
        root = Rootfs(target)
        root.installed(path, name)
        root.close()
    with tarfile.open(archive) as tar:
        return {f"/{entry.name}": entry.linkname for entry in tar}


def test_a_program_of_npm_comes_with_its_packages_and_who_interprets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    modules = tmp_path / "npm" / "node_modules"
    real = program(modules / "@maker" / "tool" / "cli.js", "#!/usr/bin/env mynode")
    (modules / "neighbour" / "tests").mkdir(parents=True)
    (modules / "neighbour" / "tests" / "needed.js").write_text("")
    (modules / ".bin").mkdir()
    (modules / ".bin" / "tool").symlink_to("../@maker/tool/cli.js")
    program(tmp_path / "bin" / "mynode", "#!/bin/sh")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    found = taken(tmp_path, modules / ".bin" / "tool", "tool")
    assert found["/usr/bin/tool"] == str(real)
    assert found[f"{modules}/.bin/tool"]
    assert str(real) in found
    assert f"{modules}/neighbour/tests/needed.js" in found
    assert "/usr/bin/mynode" in found


def test_a_program_of_a_venv_comes_with_it_and_with_the_python_below(tmp_path: Path):
    python, venv = tmp_path / "python", tmp_path / "venv"
    program(python / "bin" / "python3", "#!/bin/sh")
    (python / "lib").mkdir()
    (python / "lib" / "os.py").write_text("")
    tool = program(venv / "bin" / "tool", f"#!{venv}/bin/python3")
    (venv / "bin" / "python3").symlink_to(python / "bin" / "python3")
    (venv / "pyvenv.cfg").write_text(f"home = {python}/bin\n")
    package = venv / "lib" / "site-packages" / "tool.py"
    package.parent.mkdir(parents=True)
    package.write_text("")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "tool").symlink_to("../venv/bin/tool")
    found = taken(tmp_path, tmp_path / "path" / "tool", "tool")
    assert found["/usr/bin/tool"] == found[f"{tmp_path}/path/tool"] == str(tool)
    for path in (tool, package, python / "bin" / "python3", python / "lib" / "os.py"):
        assert str(path) in found


def test_a_program_of_the_system_comes_alone(tmp_path: Path):
    found = taken(tmp_path, Path("/bin/ls"), "ls")
    assert "/usr/bin/ls" in found
    assert not any("node_modules" in path for path in found)
