"""The sandbox runtime as it is where no user namespace can be made."""

from __future__ import annotations

from muster.runtimes.caged import LANDLOCK
from muster.runtimes.sandbox import SandboxRuntime


class LandlockedRuntime(SandboxRuntime):
    """Takes Landlock though bubblewrap may work."""

    _kind = (LANDLOCK, "so that it is tried")  # type: ignore[assignment]
