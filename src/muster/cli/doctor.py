"""`muster doctor`: what is found here, what is missing, and how to get it."""

from __future__ import annotations

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command
from muster.cli.look import Ink, some, table


@command("doctor")
def doctor(line: Line) -> int:
    """Find what is missing and how to get it; exits with 1 when something must be mended."""
    found: list[dict[str, str]] = late("muster.cli.serving").diagnose(line.home)
    failed = any(check["state"] == "fail" for check in found)
    if line.json:
        out.document({"ok": not failed, "checks": found})
        return int(failed)
    ink = Ink(line.colour)
    rows = [[ink.state(check["state"]), some(check["name"]), _words(check)] for check in found]
    out.say(line, table(ink, ["STATE", "CHECK", "FOUND"], rows))
    return int(failed)


def _words(check: dict[str, str]) -> str:
    fix = some(check.get("fix"))
    return some(check["text"]) + (f"; to mend: {fix}" if fix else "")
