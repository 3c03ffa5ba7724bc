"""Models of any server that speaks OpenAI's chat completions: llama.cpp, vLLM, OpenAI itself.

Facts: `/v1/models` lists what a server has; llama.cpp has one model and takes any name. A form goes
in as `response_format` of type `json_schema`, which llama.cpp and vLLM hold the model to, and which
others ignore. Streams end with a `finish_reason` and the line `[DONE]`; usage comes at the end of a
stream only where `stream_options.include_usage` asks for it. A question beyond the context is a
status 400.
"""

from __future__ import annotations

import asyncio
from typing import Any

from muster.domain.plain import plain_line
from muster.llm.base import Health, bearer
from muster.llm.extra import Extra
from muster.llm.probe import Unanswered, look


class OpenAiCompatible(Extra):
    """A model behind an OpenAI-compatible address, which ends in `/v1` with most servers."""

    wire = "muster.llm.openai_wire"
    needs = "pydantic_ai"

    async def health(self) -> Health:
        """Whether the server is there and lists the model."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Health:
        url, model = self.named.url, self.named.model
        try:
            status, told = look(f"{url}/models", bearer(self.named))
        except Unanswered as error:
            said = f"nobody answers at {url}: {error}"
            return Health(False, said, "start the server there", reached=False)
        return listed(url, model, status, told) or self._ready(f"answers at {url}")

    def _ready(self, text: str) -> Health:
        missing = self.missing()
        return Health(not missing, f"{text}; {self.needs} is missing" if missing else text, missing)


def listed(url: str, model: str, status: int, told: Any) -> Health | None:
    """What is wrong with the answer to a question for the models, or None when nothing is."""
    if status in {401, 403}:
        return Health(False, f"{url} refuses the key", "give the right key: docs/models.md")
    found = told.get("data") if isinstance(told, dict) else None
    if status != 200 or not isinstance(found, list):
        return Health(False, f"{url} answers {status}, and lists no models", "correct its URL")
    names = [plain_line(str(one.get("id")), 80) for one in found if isinstance(one, dict)]
    if model in names or len(names) == 1:  # a server with one model takes any name
        return None
    shown = ", ".join(names[:8]) or "none"
    return Health(False, f"no model '{model}' there; it has {shown}", "name one of these")
