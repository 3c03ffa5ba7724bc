"""What is wrong with a report, in words that an agent can mend it by, and the schema it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from muster.domain.plain import plain_line

_MOST_FAULTS = 10
_QUOTED = 60
_NEVER_NEEDED = ("title", "default", "description", "additionalProperties")
_KINDS = {"boolean": "true or false"}


def small_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model for who reads it: without references, titles and defaults."""
    whole = shape.model_json_schema()
    small: dict[str, Any] = _plain(whole, whole.get("$defs", {}))
    return small


def faults_in(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Each field that is wrong, by its path: what it is and what is wanted."""
    faults = error.errors(include_url=False)
    shown = [_told(fault, schema) for fault in faults[:_MOST_FAULTS]]
    more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return plain_line("; ".join([*shown, *more]), 2_000)


def _plain(node: Any, defs: Mapping[str, Any]) -> Any:
    """A schema with its references filled in; `properties` are names, whatever they are called."""
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        node = defs[str(node["$ref"]).rsplit("/", 1)[-1]] | {
            name: value for name, value in node.items() if name != "$ref"
        }
    # A description of a whole object says what its name says.
    left = _NEVER_NEEDED if "properties" in node else ("title", "default")
    small: dict[str, Any] = {}
    for name, value in node.items():
        if name == "properties":
            small[name] = {key: _plain(inner, defs) for key, inner in value.items()}
        elif name == "anyOf":
            small[name] = [_plain(inner, defs) for inner in value]
        elif name not in left and name != "$defs":
            small[name] = _plain(value, defs)
    return small


def _told(fault: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    where = _path(fault["loc"])
    if fault["type"] == "value_error":
        said = str(fault["ctx"]["error"])
        return f"'{where}': {said}" if where else said
    name = f"'{where}'" if where else "it"
    return f"{name} {_is(fault)}; wanted: {_wanted(_at(schema, fault['loc']))}"


def _path(loc: Sequence[str | int]) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc
    ).removeprefix(".")


def _is(fault: Mapping[str, Any]) -> str:
    kind, given = fault["type"], fault["input"]
    if kind == "missing":
        return "is missing"
    match given:
        case bool():
            told = str(given).lower()
        case str() if "too_long" in kind:
            return f"has {len(given)} characters"
        case str():
            told = f"'{plain_line(given, _QUOTED)}'" if given.strip() else "empty"
        case int() | float():
            told = f"the number {str(given)[:20]}"
        case Mapping():
            told = "an object"
        case list() | tuple():
            told = f"a list of {len(given)}"
        case _:
            told = "nothing that JSON has"
    return f"is {told}"


def _at(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    """The schema of a field, by its path."""
    for part in loc:
        fields = schema.get("properties", {})
        schema = (schema.get("items") if isinstance(part, int) else fields.get(part)) or {}
    return schema


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a schema asks for, in words."""
    if "anyOf" in schema:
        return " or ".join(_wanted(each) for each in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = str(schema.get("type"))
    least, most = _bounds(schema)
    match kind:
        case "object":
            told = f"an object with {', '.join(schema.get('required', ()))}"
        case "array":
            told = f"a list of {least or 0} to {most}"
        case "string" if "pattern" in schema:
            told = f"a text ({schema.get('description', schema['pattern'])})"
        case "string":
            told = f"a text of {least or 0} to {most} characters"
        case "integer":
            told = f"a whole number from {least} to {most}"
        case _:
            told = _KINDS.get(kind, kind)
    return told


def _bounds(schema: Mapping[str, Any]) -> tuple[Any, Any]:
    def first(*names: str) -> Any:
        return next((schema[name] for name in names if name in schema), None)

    return (
        first("minItems", "minLength", "minimum"),
        first("maxItems", "maxLength", "maximum"),
    )
