"""Where the platform keeps a user's data; asked only when no home was named."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def user_home() -> Path:
    """The state folder of a user who named none."""
    return platformdirs.user_data_path("muster", appauthor=False)
