"""The wire to OpenAI-compatible servers."""

from __future__ import annotations

from collections.abc import Sequence

from openai import AsyncOpenAI
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from typing_extensions import override

from muster.llm.base import Asked, Form, Named, Usage, Vectors
from muster.llm.hosted import Hosted
from muster.llm.names import own_address
from muster.llm.wire import client

_NO_KEY = "none"
"""The library wants some key; without this it would take OpenAI's own out of the environment."""


class Wire(Hosted):
    """One model of one server."""

    def __init__(self, named: Named) -> None:
        http = client(named)
        self._own = named.url == own_address(named.kind)
        library = AsyncOpenAI(
            api_key=named.key or _NO_KEY, base_url=named.url, http_client=http, max_retries=0
        )
        provider = OpenAIProvider(openai_client=library)
        profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
        if not self._own:
            profile["supports_json_schema_output"] = True
            profile["openai_supports_strict_tool_definition"] = False
            profile["openai_chat_supports_max_completion_tokens"] = False
        super().__init__(
            named, OpenAIChatModel(named.model, provider=provider, profile=profile), http
        )
        self._vectors = OpenAIEmbeddingModel(named.model, provider=provider)

    @override
    def parameters(self, form: Form) -> ModelRequestParameters:
        """The schema as `response_format`, by which these servers constrain the model."""
        wanted = OutputObjectDefinition(dict(form.schema), form.name)
        return ModelRequestParameters(output_mode="native", output_object=wanted)

    @override
    def settings(self, asked: Asked) -> ModelSettings:
        """As little chance as can be in a form; OpenAI's newest models take no temperature."""
        given = super().settings(asked)
        if asked.form and not self._own:
            given["temperature"] = 0.0
        return given

    @override
    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text."""
        with self.faults():
            found = await self._vectors.embed(texts, input_type="document")
        return Vectors(found.embeddings, Usage(found.usage.input_tokens or None))
