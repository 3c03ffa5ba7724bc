"""The wire to Anthropic."""

from __future__ import annotations

from anthropic import AsyncAnthropic
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.tools import ToolDefinition
from typing_extensions import override

from muster.domain.errors import NoAnswer, Silence
from muster.llm.base import Form, Named
from muster.llm.hosted import Hosted
from muster.llm.wire import client


class Wire(Hosted):
    """One model of the service."""

    def __init__(self, named: Named) -> None:
        if not named.key:
            raise NoAnswer(
                f"there is no key for {named}",
                why=Silence.REFUSED,
                hint="export ANTHROPIC_API_KEY=… and start the server again",
            )
        http = client(named)
        library = AsyncAnthropic(
            api_key=named.key, base_url=named.url, http_client=http, max_retries=0
        )
        provider = AnthropicProvider(anthropic_client=library)
        super().__init__(named, AnthropicModel(named.model, provider=provider), http)

    @override
    def parameters(self, form: Form) -> ModelRequestParameters:
        """The form as the only tool, which the model has to call."""
        tool = ToolDefinition(
            name=form.name, parameters_json_schema=dict(form.schema), kind="output"
        )
        return ModelRequestParameters(
            output_mode="tool", output_tools=[tool], allow_text_output=False
        )
