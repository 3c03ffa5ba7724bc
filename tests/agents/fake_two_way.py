"""A stand-in for a two-way program: plays a recorded conversation, and insists on its own part.

A recording holds a JSON object per line: {"in": text} is waited for, {"out": text} is said,
{"write": path, "text": text} is done in the workspace, {"exit": status} ends it. Of what comes in
only who is spoken to about what must be as recorded, not the words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

SCRIPT = """#!{python} -I
import json, sys
from pathlib import Path

def about(text):
    message = json.loads(text)
    response = message.get("response") or {{}}
    names = ("id", "method", "type", "request_id", "uuid")
    return [message.get(name) for name in names] + [response.get("request_id")]

if sys.argv[1:] == ["--version"]:
    print({version!r})
    sys.exit(0)
for line in Path({recording!r}).read_text().splitlines():
    entry = json.loads(line)
    if "in" in entry:
        heard = sys.stdin.readline()
        if not heard or about(heard) != about(entry["in"]):
            sys.exit("expected " + entry["in"] + " and heard " + heard)
    elif "out" in entry:
        sys.stdout.write(entry["out"] + "\\n")
        sys.stdout.flush()
    elif "write" in entry:
        Path(entry["write"]).write_text(entry["text"])
    else:
        if sys.stdin.read():
            sys.exit("heard more than was expected")
        sys.exit(entry["exit"])
"""


def install(folder: Path, name: str, recording: Path, version: str) -> Path:
    """Put it into a folder under a program's name, to play one recording."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    text = SCRIPT.format(python=sys.executable, recording=str(recording), version=version)
    program.write_text(text)
    program.chmod(0o755)
    return program


def entries(recording: Path) -> list[dict]:
    """A recording, entry by entry."""
    return [json.loads(line) for line in recording.read_text().splitlines()]


def output(recording: Path) -> bytes:
    """All that the program says in a recording, up to its last word about its work."""
    return said(entries(recording))


def said(some: Iterable[dict]) -> bytes:
    """What the program says in some entries."""
    return b"".join(entry["out"].encode() + b"\n" for entry in some if "out" in entry)


def told(some: Iterable[dict]) -> bytes:
    """What the program is told in some entries."""
    return b"".join(entry["in"].encode() + b"\n" for entry in some if "in" in entry)
