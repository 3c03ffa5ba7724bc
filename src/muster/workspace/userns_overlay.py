"""Workspaces as kernel overlays of an ordinary user: seen in the server's own namespace only.

The server enters that namespace before it starts (`namespace`), and all that it starts is in there
with it. rename(2) of a folder that came with the commit fails with EXDEV, also by `git mv`; mv and
most tools copy it then.
"""

from __future__ import annotations

from muster.workspace.layered import LayeredBackend


class UsernsOverlayBackend(LayeredBackend):
    """A mount in this process's view, with the kernel's notes in attributes of users."""

    name = "userns-overlay"
    notes = "user"
