"""Which model is meant: what the settings say, and for the rest the one file of defaults."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.model_name import split_model
from muster.llm.base import Named

DATA = Path(__file__).with_name("models.toml")


@cache
def defaults() -> dict[str, dict[str, Any]]:
    """For each kind its address, its default models, and the context that it may be given."""
    return tomllib.loads(DATA.read_text())


def named(text: str, *, embedding: bool = False) -> Named:
    """The model that a setting names, still without its key.

    Raises:
        Invalid: it names none, or leaves out what its kind has no default for.
    """
    kind, model, url = split_model(text)
    known = defaults().get(kind, {})
    model = model or str(known.get("embedding" if embedding else "model", ""))
    if not model:
        what = "model for embeddings" if embedding else "default model"
        raise Invalid(f"'{kind}' has no {what}", hint=f"name one: {kind}:NAME")
    return Named(kind, model, url or own_address(kind))


def own_address(kind: str) -> str:
    """Where the kind's own service is; empty where it has none."""
    return str(defaults().get(kind, {}).get("url", ""))
