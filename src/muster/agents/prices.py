"""What a run cost where its program reports tokens alone, by a table with a date."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_DATED = re.compile(r"-20\d\d-?\d\d-?\d\d$")
_MILLION = 1_000_000


@cache
def _table() -> Mapping[str, tuple[float, float, float]]:
    told = tomllib.loads(files("muster.agents").joinpath("prices.toml").read_text("utf-8"))
    return {name: (row[0], row[1], row[2]) for name, row in told["models"].items()}


def cost(model: str, read: int, written: int, cached: int = 0) -> float | None:
    """US dollars for tokens, of those read some from the cache; None for an unknown model.

    A provider's prefix (`openai/gpt-5`) and a snapshot's date at the end of the name are ignored.
    """
    name = model.rpartition("/")[2]
    row = _table().get(name) or _table().get(_DATED.sub("", name))
    if row is None:
        return None
    cached = min(cached, read)
    return ((read - cached) * row[0] + cached * row[1] + written * row[2]) / _MILLION
