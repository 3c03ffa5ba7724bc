"""`muster down`, `open` and `status`: the server of this home, from outside."""

from __future__ import annotations

import os
import select
import signal
import time
import webbrowser
from html import escape
from pathlib import Path

import click

from muster.cli import out
from muster.cli.analytics import waits_words, work_words
from muster.cli.line import Line, command
from muster.cli.look import Ink, ago, facts, some
from muster.cli.reach import reach
from muster.cli.stopped import RESUME, held_words, stopped_words
from muster.client import Muster, Patience
from muster.client.home import Running, find_server, is_alive, read_token, running_server
from muster.client.shapes import Health
from muster.domain.errors import Conflict, Unreachable

_LATELY = "7d"
_SOON = Patience(seconds=5.0, tries=3)


@command()
@click.option("--timeout", type=click.FloatRange(min=0), default=30.0, metavar="SECONDS")
def down(line: Line, timeout: float) -> None:
    """Stop this home's server. Running agents go on; the next server takes them over."""
    running = running_server(line.home)
    if running is None:
        _tell_down(line, None, "no server runs for this home")
        return
    _refuse_stranger(running)
    os.kill(running.pid, signal.SIGTERM)
    if not _ended(running.pid, timeout):
        raise TimeoutError(f"the server (process {running.pid}) still runs after {timeout:g} s")
    _tell_down(line, running.pid, f"the server (process {running.pid}) has stopped")


def _tell_down(line: Line, pid: int | None, words: str) -> None:
    if line.json:
        out.document({"stopped": pid is not None, "pid": pid})
    else:
        out.say(line, words)


def _refuse_stranger(running: Running) -> None:
    """Make sure that the process in `server.json` is the server and not a later namesake.

    Raises:
        Conflict: something else answers there, or nothing does.
    """
    try:
        with Muster(running.url, patience=_SOON) as muster:
            answered = dict(muster.health()).get("pid", running.pid)
    except Unreachable:
        answered = None
    if answered != running.pid:
        raise Conflict(
            f"process {running.pid} does not answer at {running.url}, so it is not stopped",
            hint=f"if it is the server, stop it yourself: kill {running.pid}",
        )


def _ended(pid: int, seconds: float) -> bool:
    """Wait until a process has ended; False when it has not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        return _ended_by_looking(pid, seconds)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def _ended_by_looking(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)
    return True


@command("open")
@click.option("--print", "print_only", is_flag=True, help="Print the sign-in address instead.")
def open_page(line: Line, print_only: bool) -> None:
    """Open the web page, signed in."""
    url = line.url or find_server(line.home).url
    token = line.token or read_token(line.home)
    address = f"{url.rstrip('/')}/login#{token}"
    opened = False
    if not print_only:
        opened = webbrowser.open(_door(line.home, address).as_uri())
    if line.json:
        out.document({"url": url, "opened": opened, **({"login": address} if print_only else {})})
    elif print_only:
        out.say(line, address)
    else:
        out.say(line, url)
        if not opened:
            out.tell(line, "No browser could be opened; `muster open --print` shows the address.")


def _door(home: Path, address: str) -> Path:
    """A page only its owner can read that leads to `address`.

    The browser is given this file's name: the address holds the token, and what a program is
    started with can be read by everybody on the machine.
    """
    page = home / "open.html"
    page.unlink(missing_ok=True)
    target = escape(address, quote=True)
    handle = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor has no path)
        file.write(
            '<!doctype html><meta charset="utf-8"><title>muster</title>'
            f'<meta http-equiv="refresh" content="0;url={target}"><a href="{target}">muster</a>\n'
        )
    return page


@command()
def status(line: Line) -> None:
    """Show what the server is doing and what waits for a person."""
    with reach(line) as muster:
        health = muster.health()
        queue = muster.queue_settings()
        inbox = muster.list_breakpoints()
        work = muster.agent_analytics(since=_LATELY)
        address = muster.url
    asked, stop = len(inbox["items"]), inbox["stopped"]
    if line.json:
        told = {"queue": queue, "needs_you": asked, "stopped": stop, "analytics": work}
        out.document({"url": address, "health": health, **told})
        return
    ink = Ink(line.colour)
    limit = f"at most {queue['max_concurrent']} agents at once"
    pairs = [
        ("address", some(address)),
        ("version", some(health["version"])),
        ("process", some(dict(health).get("pid"))),
        ("started", ago(health["started_at"])),
        ("engine", _engine(health)),
        ("queue", ", ".join([*held_words(queue), limit])),
        ("queued now", waits_words(work)),
        (f"last {_LATELY}", work_words(work)),
        ("list stopped", f"{stopped_words(stop)}; go on with: {RESUME}" if stop else ""),
        ("agents", _place(health)),
        ("store", ", ".join(f"{some(k)} {some(v)}" for k, v in health["store"].items())),
        ("needs you", f"{asked}; see: muster inbox" if asked else "nothing"),
    ]
    mark = ink.mark("ok" if health["status"] == "ok" else "fail")
    out.say(line, f"{mark} muster is {some(health['status'])}\n{facts(ink, pairs)}")


def _place(health: Health) -> str:
    """Where agents run that name no place, and what to do when nothing contains them there."""
    usual = health["runtime"]
    if usual is None:
        return "it is being tried where they can run"
    mend = f"; to mend: {usual['mend']}" if usual["mend"] else ""
    return some(f"{usual['told']}{mend}".removeprefix("agents "))


def _engine(health: Health) -> str:
    engine = health["engine"]
    return ", ".join(f"{some(value)} {some(key)}" for key, value in engine.items())
