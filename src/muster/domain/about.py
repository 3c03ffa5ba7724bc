"""What the code at hand is about, for whoever writes the log: a request, a task, an agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_ABOUT: ContextVar[Mapping[str, str | float]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**facts: str | float) -> Iterator[None]:
    """Within it, and in what is started there, the log names these facts as well."""
    before = _ABOUT.set({**_ABOUT.get(), **facts})
    try:
        yield
    finally:
        _ABOUT.reset(before)


def also_about(**facts: str | float) -> None:
    """Add facts to those of the `about` around this; they end with it."""
    _ABOUT.set({**_ABOUT.get(), **facts})


def facts_at_hand() -> Mapping[str, str | float]:
    """What is known here."""
    return _ABOUT.get()
