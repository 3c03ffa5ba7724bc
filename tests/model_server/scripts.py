"""Scripts: which step a request is answered with, and how a step becomes the program's own tools.

A script is a list of steps, chosen by the newest marker `[[script:NAME]]` in what the user said.
The step's number is the count of assistant turns after that marker, so that no state is kept here:
a retry gets the same answer, and parallel or resumed conversations do not disturb each other.
A script whose name has a space needs no marker: it answers where the name itself is said, the last
such script where several are.

A step may hold:
    text         what the model says
    tools        calls: {tool: write, path, content} | {tool: edit, path, old, new} |
                 {tool: bash, command} | {tool: read, path} |
                 {tool: call, name, input}: the offered tool whose name ends so |
                 {tool: search, query}: for tools that are only offered once they are sought
    status       an HTTP error instead of an answer (401, 429, 529, …), `message` its text
    headers      more response headers, for example the rate limit ones
    delay        seconds before anything is sent
    until        a path: nothing is sent before a file is there; PATH.asked tells that one waits
    cut          true: the connection ends in the middle of the answer
    stop_reason  for example "refusal"
    usage        {input_tokens, output_tokens}; else derived from the sizes
    heard        {WORD: pattern}: what the pattern's group found in what was said stands for WORD
    error        more fields of the error's object, beside `status`
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
FOLDER = re.compile(r"[Ww]orking (?:in the )?directory(?: is)?:\s*(\S[^\n<]*)")

Step = Mapping[str, Any]
Scripts = Mapping[str, Sequence[Step]]
OVER: Step = {"text": "Done."}
WORDS = ("description", "instruction", "explanation", "reason")
SAID = "A step of the script"


def texts(content: Any) -> str:
    """All text in a message's content, whichever of its forms it has; results of tools left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p.get("text", "") for p in parts if isinstance(p, dict) and "text" in p)


def choose(scripts: Scripts, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Step]:
    """The script that the newest marker names, and its step for this point of the conversation."""
    for back, message in enumerate(reversed(messages)):
        said = texts(message.get("content")) if message["role"] == "user" else ""
        found = MARKER.findall(said) or [name for name in scripts if " " in name and name in said]
        if found:
            name = found[-1]
            after = messages[len(messages) - back :]
            number = sum(1 for m in after if m["role"] == "assistant")
            steps = scripts.get(name, [{"text": f"There is no script {name}."}])
            return name, _filled_in(steps[number], said) if number < len(steps) else OVER
    return "", {"text": "Nothing is scripted."}


def _filled_in(step: Step, said: str) -> Step:
    """A step with what it wants to have heard."""
    text = json.dumps(step)
    for word, pattern in step.get("heard", {}).items():
        found = re.search(pattern, said)
        text = text.replace(word, json.dumps(found.group(1))[1:-1]) if found else text
    filled: Step = json.loads(text)
    return filled


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

    A tool fits when it has all properties that the call needs and requires no others, but for
    words about the call and switches. Where there is only a shell, it writes the files.
    """
    if call["tool"] == "call":
        named = (tool["name"] for tool in tools if tool["name"].endswith(call["name"]))
        return next(((name, dict(call["input"])) for name in named), None)
    for tool in (tool for tool in tools if "image" not in tool["name"]):
        schema = tool.get("input_schema", {})
        properties = schema.get("properties", {})
        chosen = [(_named(properties, names), key) for names, key in _fields(call)]
        needed = {name for name, _ in chosen}
        more = {name: _filled(name, properties) for name in schema.get("required", [])}
        more = {name: value for name, value in more.items() if name not in needed}
        if None in needed or any(value is None for value in more.values()):
            continue
        values = {str(name): call[key] for name, key in chosen} | more
        for name in set(values) & set(PATHS):
            if folder and not values[name].startswith("/"):
                values[name] = f"{folder}/{values[name]}"
        for name in {"command"} & set(values):
            if properties[name].get("type") == "array":
                values[name] = ["bash", "-c", values[name]]
        if "description" in properties:
            values["description"] = SAID
        return tool["name"], values
    by_shell = as_command(call)
    return as_offered({"tool": "bash", "command": by_shell}, tools, folder) if by_shell else None


def _filled(name: str, properties: Mapping[str, Any]) -> Any:
    """A value for a property that a script does not speak of, or None where none will do."""
    kind = str(properties.get(name, {}).get("type")).lower()
    if kind == "boolean":
        return False
    return SAID if kind == "string" and name in WORDS else None


def as_command(call: Mapping[str, Any]) -> str:
    """A call on a file as a shell's command; nothing for a call that is one already."""
    match call["tool"]:
        case "write":
            return f"cat > '{call['path']}' <<'END_OF_FILE'\n{call['content']}END_OF_FILE"
        case "edit":
            # Only for texts without a single quote.
            return (
                f"python3 -c 'import sys, pathlib; p = pathlib.Path(sys.argv[1]); "
                f"p.write_text(p.read_text().replace(sys.argv[2], sys.argv[3], 1))' "
                f"'{call['path']}' '{call['old']}' '{call['new']}'"
            )
        case "read":
            return f"cat '{call['path']}'"
        case _:
            return ""


def load(text: str) -> Scripts:
    """Scripts from a JSON document `{NAME: [step, …]}`."""
    return json.loads(text)
