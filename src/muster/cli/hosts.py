"""The command line's way to SSH: importing this loads what speaks it."""

from __future__ import annotations

from muster.wiring.hosts import forget, known, look, trust

__all__ = ["forget", "known", "look", "trust"]
