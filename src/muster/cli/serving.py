"""The commands' way to the server itself: importing this loads the whole house."""

from __future__ import annotations

from pathlib import Path

from muster import wiring


def serve(home: Path, host: str | None, port: int | None, allow_hosts: tuple[str, ...]) -> int:
    """Run the server until it is stopped; the exit status."""
    return wiring.serve(home, host, port, allow_hosts)


def diagnose(home: Path) -> list[dict[str, str]]:
    """What is there and what is missing: `name`, `state` (ok, warn, fail), `text`, `fix`."""
    return wiring.diagnose(home)


def demo(*, json_output: bool, keep: bool, open_page: bool) -> int:
    """Show the main job on a sample repository; the exit status."""
    return wiring.demo(json_output=json_output, keep=keep, open_page=open_page)
