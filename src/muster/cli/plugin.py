"""`muster plugin`: the drivers, runtimes, models and stores that this installation has."""

from __future__ import annotations

from typing import Any

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, some, table


@group("plugin")
def plugin() -> None:
    """List drivers, runtimes, workspace backends, models and stores.

    They are those of this installation; a server that runs knows a new one when it is started
    again.
    """


@command("list")
def list_(line: Line) -> None:
    """List plugins with where they come from, whether they load, and what they can do."""
    found: list[dict[str, Any]] = late("muster.wiring.plugins").listed(line.home)
    if line.json:
        out.document({"items": found, "next": None})
        return
    ink = Ink(line.colour)
    head = ["STATE", "KIND", "NAME", "FROM", "CAN"]
    out.say(line, table(ink, head, [_row(ink, one) for one in found]))
    broken = [one for one in found if not one["loads"]]
    if broken:
        names = ", ".join(sorted({some(one["distribution"]) for one in broken}))
        out.tell(line, f"What does not load is left out; mend or remove {names}.")


def _row(ink: Ink, one: dict[str, Any]) -> list[str]:
    state = ink.state("ok" if one["loads"] else "fail")
    source = some(f"{one['distribution']} {one['version']}")
    can = some(one["error"]) or ", ".join(one["capabilities"]).replace("_", " ")
    return [state, one["kind"], some(one["name"]), source, can]


plugin.add_command(list_)
