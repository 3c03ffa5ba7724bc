"""`muster demo`: the main job on a sample repository made on the spot."""

from __future__ import annotations

import click

from muster.cli.late import late
from muster.cli.line import Line, command


@command("demo")
@click.option("--keep", is_flag=True, help="Leave the server and the sample there to look at.")
@click.option("--open", "open_page", is_flag=True, help="Open the web page on it.")
def demo(line: Line, keep: bool, open_page: bool) -> int:
    """See the main job done on a sample repository; needs no model, no key and no network."""
    ended: int = late("muster.cli.serving").demo(
        json_output=line.json, keep=keep, open_page=open_page
    )
    return ended
