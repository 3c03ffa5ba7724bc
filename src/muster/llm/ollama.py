"""Models of Ollama, by its own API: only there the length of the context can be set.

Facts: `/api/chat` and `/api/embed` take `options.num_ctx`; a question that is longer is cut in
silence, its front first, by every version that does not know `truncate: false` (2025-10). A model
is loaded anew when `num_ctx` changes. `prompt_eval_count` tells how many tokens were read. The
OpenAI-compatible `/v1` of the same server has no way to set the context.
"""

from __future__ import annotations

import asyncio
from typing import Any

from muster.domain.plain import plain_line
from muster.llm.base import Health, bearer
from muster.llm.context import context_of
from muster.llm.extra import Extra
from muster.llm.probe import Unanswered, look


class OllamaProvider(Extra):
    """A model that an Ollama server has."""

    wire = "muster.llm.ollama_wire"
    needs = "httpx2"

    async def health(self) -> Health:
        """Whether the server is there and has the model."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Health:
        url, model, given = self.named.url, self.named.model, bearer(self.named)
        try:
            status, told = look(f"{url}/api/tags", given)
            have = _names(told) if status == 200 else None
            shown = look(f"{url}/api/show", given, {"model": model}) if have is not None else None
        except Unanswered as error:
            said = f"nobody answers at {url}: {error}"
            return Health(False, said, "start it: ollama serve", reached=False)
        if have is None or shown is None:
            return Health(False, f"{url} answers {status}, not as Ollama does", "correct its URL")
        if shown[0] != 200:
            there = f"it has {', '.join(have[:8])}" if have else "it has none"
            return Health(False, f"no model '{model}' there; {there}", f"ollama pull {model}")
        size = context_of(shown[1])
        text = f"answers at {url}" + (f"; context up to {size} tokens" if size else "")
        missing = self.missing()
        return Health(not missing, f"{text}; {self.needs} is missing" if missing else text, missing)


def _names(told: Any) -> list[str] | None:
    """The models of `/api/tags`, or None where it is none."""
    models = told.get("models") if isinstance(told, dict) else None
    if not isinstance(models, list):
        return None
    return [plain_line(str(one.get("name")), 80) for one in models if isinstance(one, dict)]
