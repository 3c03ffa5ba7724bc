"""`muster up`: run the server, in the foreground or on its own."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command


@command("up")
@click.option("--host", metavar="ADDRESS", help="The address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="The port [3020].")
@click.option("--detach", is_flag=True, help="Come back as soon as the server answers.")
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="A host name to answer to."
)
def up(
    line: Line, host: str | None, port: int | None, detach: bool, allow_hosts: tuple[str, ...]
) -> int:
    """Run the server; it stays in the foreground unless --detach."""
    if not detach:
        ended: int = late("muster.cli.serving").serve(line.home, host, port, allow_hosts)
        return ended
    arguments = ["--host", host] if host else []
    arguments += ["--port", str(port)] if port is not None else []
    for name in allow_hosts:
        arguments += ["--allow-host", name]
    out.tell(line, "starting the server …")
    running = late("muster.cli.detach").start_detached(line.home, arguments)
    if line.json:
        out.document({"url": running.url, "pid": running.pid, "log": str(running.log)})
    else:
        out.say(line, f"muster runs at {running.url} (process {running.pid})")
        out.tell(line, f"Its log: {running.log}\nOpen it: muster open · stop it: muster down")
    return 0
