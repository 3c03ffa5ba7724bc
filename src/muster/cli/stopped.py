"""What stops the ordered list, in words, with the commands that let it go on."""

from __future__ import annotations

from muster.cli.look import Ink, ago, some
from muster.client.shapes import QueueSettings, Stopped

RESUME = "muster queue resume"
NO_PROCESSOR = "this server starts nothing: queue_processor is off"


def stopped_entry(ink: Ink, stop: Stopped) -> str:
    """Several lines, as the inbox shows what waits for a person."""
    label = some(stop["task_label"])
    head = f"{ink.paint('bold', 'The list is stopped')}  {ink.paint('dim', ago(stop['since']))}"
    lines = [head, f"  {ink.mark('fail')} {stopped_words(stop)}"]
    if stop["holds_back"]:
        lines.append(f"    holds back {stop['holds_back']} more")
    return "\n".join([*lines, f"    {RESUME}", f"    muster task retry {label}"])


def stopped_words(stop: Stopped) -> str:
    """Which task failed, and why, on one line."""
    why = f": {some(stop['why'])}" if stop["why"] else ""
    return f"{some(stop['task_label'])} failed{why}"


def held_words(settings: QueueSettings) -> list[str]:
    """What holds everything back, a few words each."""
    words = [] if settings["processor"] else [NO_PROCESSOR]
    return [*words, f"paused; go on with: {RESUME}"] if settings["paused"] else words
