"""Models of Anthropic, by the Messages API.

Facts: the key goes in `x-api-key`, or as a bearer token; `/v1/models/ID` tells whether a key opens
a model. A form goes in as the one tool that the model has to call. A limit is status 429 with
`retry-after`, overload is 529. There are no embeddings.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from muster.llm.base import Health
from muster.llm.extra import Extra
from muster.llm.probe import Unanswered, look

_VERSION = "2023-06-01"


class AnthropicProvider(Extra):
    """A model of Anthropic's, or of a gateway that speaks as Anthropic does."""

    wire = "muster.llm.anthropic_wire"
    needs = "pydantic_ai"

    async def health(self) -> Health:
        """Whether the service is there, and the key opens the model."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Health:
        url, model = self.named.url, self.named.model
        if not self.named.key:
            return Health(False, "there is no key for it", "export ANTHROPIC_API_KEY=…")
        headers = {"x-api-key": self.named.key, "anthropic-version": _VERSION}
        try:
            status, _ = look(f"{url}/v1/models/{quote(model, safe='')}", headers)
        except Unanswered as error:
            said = f"nobody answers at {url}: {error}"
            return Health(False, said, "see whether you are online", reached=False)
        if status in {401, 403}:
            return Health(False, f"{url} refuses the key", "give the right key: docs/models.md")
        if status == 404:
            return Health(False, f"no model '{model}' there", "correct its name")
        if status != 200:
            return Health(False, f"{url} answers {status}", "try again later")
        missing = self.missing()
        text = f"answers at {url}" + (f"; {self.needs} is missing" if missing else "")
        return Health(not missing, text, missing)
