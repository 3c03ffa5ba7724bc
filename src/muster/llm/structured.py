"""A structured answer: what a model said, read as strictly as any stranger's input."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from muster.domain.plain import plain, plain_line
from muster.llm.base import Asked, Form, Reply

Shape = TypeVar("Shape", bound=BaseModel)

LARGEST = 200_000
"""Characters of an answer; a longer one is not read."""
_QUOTED = 2000
_FAULTS = 8
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


class Unusable(Exception):
    """An answer that cannot be taken; the text says why, to the model too."""


def form_of(shape: type[BaseModel]) -> Form:
    """The JSON schema of a pydantic model, with its name."""
    return Form(shape.__name__, shape.model_json_schema())


def with_form(asked: Asked, form: Form) -> Asked:
    """The question with its form, also in words: not every server holds a model to a schema."""
    told = (
        "Answer with one JSON object and nothing else. It must keep this JSON schema:\n"
        f"{json.dumps(form.schema)}"
    )
    return replace(asked, system=f"{asked.system}\n\n{told}".strip(), form=form)


def read_answer(reply: Reply, shape: type[Shape]) -> Shape:
    """What the model said, as the shape that was asked for; control characters are taken out.

    Raises:
        Unusable: it was cut off, is too long, is no JSON, or does not keep the shape.
    """
    if not reply.whole:
        raise Unusable("it was cut off, because it was too long; answer more briefly")
    if len(reply.text) > LARGEST:
        raise Unusable(f"it is longer than {LARGEST} characters")
    try:
        said = json.dumps(_clean(json.loads(_json_in(reply.text))), allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"it is not valid JSON: {plain_line(str(error))}") from error
    try:
        return shape.model_validate_json(said)
    except ValidationError as error:
        raise Unusable(_told(error)) from error


def corrected(asked: Asked, said: str, fault: Unusable) -> Asked:
    """The same question with the answer that was refused, and why.

    All in one message, so that a server that drops old messages cannot drop the question.
    """
    refused = (
        f"\n\nYou have answered this before:\n{plain(said[:_QUOTED])}\n"
        f"That was refused: {fault}.\nAnswer again, with the JSON object alone."
    )
    return replace(asked, prompt=asked.prompt + refused)


def _json_in(text: str) -> str:
    """The JSON in an answer: all of it, what stands in its only fence, or its outermost braces."""
    text = _THOUGHT.sub("", text).strip()
    fenced: Sequence[str] = _FENCED.findall(text)
    if len(fenced) == 1:
        return fenced[0]
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _clean(value: Any) -> Any:
    """The same with every text made harmless to show."""
    match value:
        case str():
            return plain(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {plain(key): _clean(item) for key, item in value.items()}
        case _:
            return value


def _told(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    shown = [f"{'.'.join(map(str, f['loc'])) or 'it'}: {f['msg']}" for f in faults[:_FAULTS]]
    more = f" and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
    return plain_line("; ".join(shown) + more, 1000)
