"""The documents are true: links lead somewhere, and every name the code knows is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import cast

import click
import pytest
from scripts.checks.tree import files, text_of

import muster
from house.trees import ROOT
from muster.api.app import make_app
from muster.cli.main import root
from muster.domain.event import KINDS
from muster.domain.project import ProjectSettings
from muster.mcp import agent_tools, manager_tools, person_tools
from muster.service.counter import Service
from muster.settings import Settings

PAGES = [page for page in files(ROOT) if page.suffix == ".md"]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)
NOT_SETTINGS = {"home", "agents", "notify", "project_defaults", "project_environment", "environ"}
"""Fields of the server's settings that are no settings: the place, and what was read there."""


def _prose(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def _anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in HEADING.findall(_prose(page)))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in plain}


def _broken(page: Path) -> list[str]:
    broken = []
    for match in LINK.finditer(_prose(page)):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_image_leads_somewhere(page: Path) -> None:
    assert _broken(page) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('# A `b` c\n[x](gone.md) ![y](gone.png) [z](#a-b-c) [w](#no) <img src="q.png">')
    assert _broken(page) == ["gone.md", "gone.png", "#no", "q.png"]


def _rows(page: str) -> dict[str, str]:
    """The first cells of a page's tables that are one name in code, with the row's rest."""
    rows = re.findall(r"^\| `([^`|]+)` \|(.*)\|$", text_of(ROOT / "docs" / page), re.MULTILINE)
    return dict(rows)


def test_every_event_kind_is_documented_and_no_other() -> None:
    rows = _rows("events.md")
    kinds = {name for name in rows if "." in name}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_kind_says_when_it_happens_and_what_it_carries(kind: str) -> None:
    when, _, carries = _rows("events.md")[kind].partition(" | ")
    assert len(when.split()) >= 3
    assert carries is not None


SERVER = sorted({item.name for item in fields(Settings)} - NOT_SETTINGS)
PROJECT = sorted(item.name for item in fields(ProjectSettings))


def test_every_setting_is_documented_and_no_other() -> None:
    assert sorted(_rows("settings.md")) == sorted(SERVER + PROJECT)


@pytest.mark.parametrize("name", SERVER + PROJECT)
def test_a_setting_is_documented_with_its_variable(name: str) -> None:
    assert f"`MUSTER_{name.upper()}`" in _rows("settings.md")[name]


@pytest.mark.parametrize("item", fields(ProjectSettings), ids=lambda item: item.name)
def test_the_documented_default_is_the_real_one(item: object) -> None:
    name, default = item.name, item.default  # type: ignore[attr-defined]
    cell = _rows("settings.md")[name].split("|")[1]
    if default is None:
        assert "`" not in cell
    elif isinstance(default, tuple):
        assert cell.replace("`", "").split(",") == [f" {part}" for part in default[:-1]] + [
            f" {default[-1]} "
        ]
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        assert cell.replace("`", "").strip() == shown


def _commands(group: click.Group, ctx: click.Context, path: str) -> Iterator[tuple[str, list[str]]]:
    """Every command below a group as it is typed, with the long options it shows."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, parent=ctx, info_name=name)
        here = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, inner, here)
            continue
        options = [
            max(option.opts, key=len)
            for option in command.get_params(inner)
            if isinstance(option, click.Option) and not option.hidden
        ]
        yield here, [name for name in options if name != "--help"]


def _sections(page: str) -> dict[str, str]:
    """The commands of a page's headings, `### muster do`, with the text below each."""
    parts = re.split(
        r"^#{2,4} `(muster[^`\n]*)`.*$", text_of(ROOT / "docs" / page), flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_is_documented_with_its_options_and_no_other() -> None:
    real = dict(_commands(root, click.Context(root, info_name="muster"), "muster"))
    documented = _sections("cli.md")
    assert sorted(documented) == sorted(real)
    missing = {
        name: left
        for name, options in real.items()
        if (left := [option for option in options if f"`{option}" not in documented[name]])
    }
    assert missing == {}


def _routes_of_the_app() -> set[str]:
    # The routes only keep the counter until they are called; none is called here.
    document = make_app(cast(Service, object()), muster.__version__).openapi()
    return {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }


def test_every_route_is_documented_and_no_other() -> None:
    assert set(_rows("api.md")) == _routes_of_the_app()


def test_the_example_of_a_plugin_is_the_one_that_is_tested() -> None:
    blocks = re.findall(
        r"^```\w+\n(.*?)^```", text_of(ROOT / "docs/plugins.md"), re.MULTILINE | re.DOTALL
    )
    packages = ROOT / "tests" / "third_party"
    tested = (
        packages / "muster-jsonl" / "pyproject.toml",
        packages / "muster-jsonl" / "muster_jsonl.py",
        packages / "muster-plain" / "muster_plain.py",
        packages / "muster-docs" / "muster_docs.py",
        packages / "muster-folders" / "muster_folders.py",
        packages / "muster-journal" / "muster_journal.py",
        packages / "muster-nodetest" / "muster_nodetest.py",
        ROOT / "tests" / "agents" / "test_jsonl.py",
    )
    for path in tested:
        assert text_of(path) in blocks, path


def test_every_tool_of_the_mcp_door_is_documented_and_no_other() -> None:
    real = {tool.name for tool in (*agent_tools.TOOLS, *manager_tools.TOOLS, *person_tools.TOOLS)}
    assert set(_rows("mcp.md")) == real
