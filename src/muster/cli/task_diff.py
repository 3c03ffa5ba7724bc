"""A task's changes as people read them, or as an exact patch."""

from __future__ import annotations

import sys

from muster.cli import out
from muster.cli.line import Line
from muster.cli.look import Ink, some, table
from muster.client.shapes import Diff, FileChange
from muster.domain.errors import Invalid, Unavailable
from muster.domain.plain import pictured

_HEAD = ("diff ", "index ", "+++ ", "--- ")
_STYLES = {"+": "green", "-": "red", "@": "blue"}


def show_diff(line: Line, name: str, diff: Diff, *, stat: bool, patch: bool) -> None:
    """Print the changes in the form asked for."""
    if patch:
        out.say_part(exact_patch(name, diff))
        return
    ink = Ink(line.colour)
    if not diff["files"]:
        out.tell(line, f"{name} has changed nothing yet.")
        return
    out.say(line, _summary(ink, diff))
    if not stat:
        for change in diff["files"]:
            out.say(line, "\n" + _file(ink, change))
    if diff["files_left_out"]:
        more = f"{diff['files_left_out']} more files are not here"
        out.tell(line, f"{more}; in the repository: {_by_git(diff)}")


def exact_patch(name: str, diff: Diff) -> str:
    """The patches as they are, byte for byte.

    Raises:
        Invalid: standard output is a terminal, which would obey what is in them.
        Unavailable: the server left out part of a patch, or whole files.
    """
    if sys.stdout.isatty():
        raise Invalid(
            "an exact patch goes into a file or a program, not on a terminal",
            hint=f"muster task diff {name} --patch > change.patch",
        )
    hint = f"in the repository: {_by_git(diff)} > change.patch"
    for change in diff["files"]:
        if lacks := _lacks(change):
            raise Unavailable(f"the patch of {change['path']} {lacks}", hint=hint)
    if diff["files_left_out"]:
        raise Unavailable(f"{diff['files_left_out']} more files were not sent", hint=hint)
    return "".join(_ended(change["patch"]) for change in diff["files"])


def _lacks(change: FileChange) -> str:
    """Why what was sent of a file's patch is not all of it, byte for byte; empty if it is."""
    if change["binary"]:
        return "is binary"
    if change["truncated"]:
        return "is too large to be sent whole"
    return "is not all UTF-8" if "\ufffd" in change["patch"] else ""


def _by_git(diff: Diff) -> str:
    """What tells the whole change where the work's branch is."""
    return f"git diff --binary {some(diff['base'])} {some(diff['head'])}"


def _ended(patch: str) -> str:
    return patch if not patch or patch.endswith("\n") else patch + "\n"


def _summary(ink: Ink, diff: Diff) -> str:
    rows = []
    for change in diff["files"]:
        old = f" (was {some(change['old_path'])})" if change["old_path"] else ""
        size = "binary" if change["binary"] else f"+{change['added']} -{change['removed']}"
        rows.append([some(change["status"]), size, some(change["path"]) + old])
    return table(ink, ["CHANGE", f"+{diff['added']} -{diff['removed']}", "FILE"], rows)


def _file(ink: Ink, change: FileChange) -> str:
    patch = pictured(change["patch"])
    lines = [] if patch.startswith("diff ") else [ink.paint("bold", some(change["path"]))]
    for text in patch.splitlines():
        style = "bold" if text.startswith(_HEAD) else _STYLES.get(text[:1], "")
        lines.append(ink.paint(style, text) if style else text)
    if change["binary"]:
        lines.append("(binary)")
    if change["truncated"]:
        lines.append("(more was left out)")
    return "\n".join(lines)
