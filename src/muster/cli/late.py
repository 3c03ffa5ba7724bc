"""Modules that are too heavy to be there before a command really needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def late(module: str) -> Any:
    """Import a module of this package now; `muster.cli.serving` brings the whole server."""
    return import_module(module)
