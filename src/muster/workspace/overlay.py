"""Workspaces as kernel overlays that the whole machine sees: Linux, root, a real file system."""

from __future__ import annotations

from muster.workspace.layered import LayeredBackend


class OverlayBackend(LayeredBackend):
    """A mount in the machine's own view; folders of the commit can be renamed."""

    name = "overlay"
    notes = "trusted"
