"""Scripts: which step a request is answered with, and how a step becomes the program's own tools.

A script is a list of steps, chosen by the newest marker `[[script:NAME]]` in what the user said.
The step's number is the count of assistant turns after that marker, so that no state is kept here:
a retry gets the same answer, and parallel or resumed conversations do not disturb each other.

A step may hold:
    text         what the model says
    tools        calls: {tool: write, path, content} | {tool: edit, path, old, new} |
                 {tool: bash, command} | {tool: read, path}
    status       an HTTP error instead of an answer (401, 429, 529, …), `message` its text
    headers      more response headers, for example the rate limit ones
    delay        seconds before anything is sent
    cut          true: the connection ends in the middle of the answer
    stop_reason  for example "refusal"
    usage        {input_tokens, output_tokens}; else derived from the sizes
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

MARKER = re.compile(r"\[\[script:([\w.-]+)\]\]")
PATHS = ("file_path", "filePath", "absolute_path", "path", "filename")
CONTENTS = ("content", "contents", "file_text", "text")
OLDS = ("old_string", "oldString", "old_str")
NEWS = ("new_string", "newString", "new_str")
COMMANDS = ("command", "cmd")
FOLDER = re.compile(r"[Ww]orking directory(?: is)?:\s*(\S[^\n<]*)")

Step = Mapping[str, Any]
Scripts = Mapping[str, Sequence[Step]]
OVER: Step = {"text": "Done."}


def texts(content: Any) -> str:
    """All text in a message's content, whichever of its forms it has; results of tools left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p.get("text", "") for p in parts if isinstance(p, dict) and "text" in p)


def choose(scripts: Scripts, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Step]:
    """The script that the newest marker names, and its step for this point of the conversation."""
    for back, message in enumerate(reversed(messages)):
        found = MARKER.findall(texts(message.get("content"))) if message["role"] == "user" else []
        if found:
            name = found[-1]
            after = messages[len(messages) - back :]
            number = sum(1 for m in after if m["role"] == "assistant")
            steps = scripts.get(name, [{"text": f"There is no script {name}."}])
            return name, steps[number] if number < len(steps) else OVER
    return "", {"text": "Nothing is scripted."}


def folder_of(body: Mapping[str, Any]) -> str:
    """The folder the program says it works in, or nothing."""
    said = [texts(body.get("system"))]
    said += [texts(m.get("content")) for m in body.get("messages", [])]
    found = FOLDER.search("\n".join(said))
    return found.group(1).strip() if found else ""


def _named(properties: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in properties), None)


def _fields(call: Mapping[str, Any]) -> list[tuple[Sequence[str], str]]:
    """For a scripted call: which property names may carry which of its values."""
    return {
        "write": [(PATHS, "path"), (CONTENTS, "content")],
        "edit": [(PATHS, "path"), (OLDS, "old"), (NEWS, "new")],
        "bash": [(COMMANDS, "command")],
        "read": [(PATHS, "path")],
    }[call["tool"]]


def as_offered(
    call: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], folder: str
) -> tuple[str, dict[str, Any]] | None:
    """The name and input of the offered tool that does a scripted call, or None.

    A tool fits when it has all properties that the call needs and requires no others.
    """
    for tool in tools:
        schema = tool.get("input_schema", {})
        properties = schema.get("properties", {})
        chosen = [(_named(properties, names), key) for names, key in _fields(call)]
        needed = {name for name, _ in chosen}
        if None in needed or not set(schema.get("required", [])) <= needed | {"description"}:
            continue
        values = {str(name): call[key] for name, key in chosen}
        for name in set(values) & set(PATHS):
            if folder and not values[name].startswith("/"):
                values[name] = f"{folder}/{values[name]}"
        if "description" in properties:
            values["description"] = "A step of the script"
        return tool["name"], values
    return None


def load(text: str) -> Scripts:
    """Scripts from a JSON document `{NAME: [step, …]}`."""
    return json.loads(text)
