"""What a contained program is shown of the machine's files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from muster.domain.errors import Invalid
from muster.runtimes.base import RunSpec
from muster.runtimes.visible import Show, given


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person."""
    home = tmp_path / "people" / "ann"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


def program(path: Path) -> Path:
    """A file that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def shown(
    tmp_path: Path, path: Path | str = "", found: Path | None = None, **more: object
) -> dict[Path, Show]:
    """The mounts of a run, with this search path and this program."""
    spec = RunSpec("r", ("x",), str(tmp_path / "none"), {"PATH": f"/usr/bin:{path}"}, **more)  # type: ignore[arg-type]
    mounts = given(spec, tmp_path / "runs" / "r", str(found) if found else None)
    return {Path(mount.path): mount.show for mount in mounts}


@pytest.mark.parametrize(
    ("folder", "whole"),
    [
        (".pyenv/shims", ".pyenv"), (".nvm/versions/node/v22/bin", ".nvm/versions/node/v22"),
        (".local/bin", ".local/bin"), (".cargo/bin", ".cargo/bin"), ("bin", "bin"),
        (".docker/bin", ".docker/bin"), ("go/bin", "go"), ("tools", "tools"),
        ("app/node_modules/.bin", "app/node_modules"), (".config/x/bin", ".config/x/bin"),
    ],
)  # fmt: skip
def test_of_a_persons_home_only_programs_are_shown(
    tmp_path: Path, person: Path, folder: str, whole: str
) -> None:
    program(person / folder / "tool")
    assert shown(tmp_path, person / folder) == {person / whole: Show.READ}


def test_an_installation_deep_in_a_hidden_folder_is_shown_whole(
    tmp_path: Path, person: Path
) -> None:
    whole = person / ".local/share/uv/python/cpython-3.12"
    (whole / "lib").mkdir(parents=True)
    program(whole / "bin" / "python")
    assert shown(tmp_path, whole / "bin") == {whole: Show.READ}


def test_a_virtual_environment_brings_the_python_it_stands_on(tmp_path: Path, person: Path) -> None:
    base = program(tmp_path / "opt" / "python" / "bin" / "python3")
    environment = person / ".venv"
    program(environment / "bin" / "tool")
    (environment / "pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.12\n")
    assert shown(tmp_path, environment / "bin") == {
        environment: Show.READ,
        base.parents[1]: Show.READ,
    }


def test_a_program_is_shown_with_all_that_its_links_lead_to(tmp_path: Path, person: Path) -> None:
    real = program(person / ".local/share/claude/versions/2.1")
    first = person / ".local/bin/claude"
    first.parent.mkdir(parents=True)
    first.symlink_to(real)
    assert shown(tmp_path, first.parent, first) == {
        first.parent: Show.READ,
        first: Show.READ,
        real: Show.READ,
    }


def test_a_program_among_packages_is_shown_with_its_neighbours(
    tmp_path: Path, person: Path
) -> None:
    real = program(person / "x/node_modules/@a/agent/node_modules/b/cli.js")
    link = person / "x/node_modules/.bin/agent"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(real, link.parent))
    assert shown(tmp_path, "", link) == {person / "x/node_modules": Show.READ}


def test_of_an_installation_that_holds_the_runs_its_programs_are_shown_alone(
    tmp_path: Path, person: Path
) -> None:
    program(tmp_path / "bin" / "tool")
    assert shown(tmp_path, tmp_path / "bin") == {tmp_path / "bin": Show.READ}
    program(tmp_path / "runs" / "tool")
    assert shown(tmp_path, tmp_path / "runs") == {}


def test_a_script_is_shown_with_who_interprets_it(tmp_path: Path, person: Path) -> None:
    real = program(tmp_path / "opt" / "node" / "bin" / "node22")
    script = program(person / "x/node_modules/agent/cli.js")
    script.write_text("#!/usr/bin/env node22\n")
    links = person / ".local/bin"
    links.mkdir(parents=True)
    (links / "node22").symlink_to(real)
    assert shown(tmp_path, links, script) == {
        links: Show.READ,
        links / "node22": Show.READ,
        person / "x/node_modules": Show.READ,
        real.parents[1]: Show.READ,
    }


def test_deeper_paths_come_later_and_the_run_is_hidden(tmp_path: Path, person: Path) -> None:
    for name in ("runs/r/agent", "tree/inner"):
        (tmp_path / name).mkdir(parents=True)
    mounts = shown(
        tmp_path,
        writable=(str(tmp_path / "runs/r/agent"), str(tmp_path / "runs"), str(tmp_path / "tree")),
        readable=(str(tmp_path / "tree/inner"), str(tmp_path / "tree/absent"), "relative"),
    )
    assert list(mounts.items()) == [
        (tmp_path / "runs", Show.WRITE),
        (tmp_path / "tree", Show.WRITE),
        (tmp_path / "tree/inner", Show.READ),
        (tmp_path / "runs/r", Show.EMPTY),
        (tmp_path / "runs/r/agent", Show.WRITE),
    ]


def test_the_root_folder_as_the_place_to_work_in_is_the_sandboxs_own(tmp_path: Path) -> None:
    mounts = given(RunSpec("run", ("true",), "/", {"PATH": ""}), tmp_path / "run", None)
    assert [mount.path for mount in mounts] == []


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/ssl", "/proc/self", "/dev", "/tmp/../etc", "/usr/local"]
)
def test_what_is_the_machines_own_is_given_to_nobody_to_write_to(path: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be given"):
        given(RunSpec("run", ("true",), "/", writable=(path,)), tmp_path / "run", None)


def test_a_link_to_what_is_the_machines_own_is_given_to_nobody_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to("/")
    for path in ("root", "root/etc"):
        with pytest.raises(Invalid, match="cannot be given"):
            given(RunSpec("run", ("true",), str(tmp_path / path)), tmp_path / "run", None)
