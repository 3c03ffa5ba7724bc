"""The conditions that this checkout registers, without a server."""

from __future__ import annotations

import tomllib
from importlib import import_module

from house.trees import ROOT
from muster.supervision.condition import Condition


def registered() -> dict[str, Condition]:
    """Each kind with its condition, as `pyproject.toml` names it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {}
    for kind, where in project["entry-points"]["muster.conditions"].items():
        module, _, name = where.partition(":")
        found[kind] = getattr(import_module(module), name)()
    return found
