"""The commands' way to the server itself: importing this loads the whole house."""

from __future__ import annotations

from muster.wiring.doctor import diagnose
from muster.wiring.server import serve

__all__ = ["diagnose", "serve"]
