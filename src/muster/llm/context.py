"""How long the context of a model is, as Ollama tells it in the answer of `/api/show`."""

from __future__ import annotations

from typing import Any


def context_of(shown: Any) -> int | None:
    """The longest context that the model was made for, in tokens; None where it is not told."""
    info = shown.get("model_info") if isinstance(shown, dict) else None
    for key, value in info.items() if isinstance(info, dict) else ():
        if str(key).endswith(".context_length") and isinstance(value, int) and value > 0:
            return value
    return None
