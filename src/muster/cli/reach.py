"""The server that a command line points at."""

from __future__ import annotations

from urllib.parse import urlsplit

from muster.cli.line import Line
from muster.client import Muster
from muster.client.home import find_server, read_token, running_server
from muster.client.wire import STEADY, Patience
from muster.domain.errors import NotSignedIn

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def reach(line: Line, patience: Patience = STEADY) -> Muster:
    """A client of the server: the address given, else the one that this home's server wrote.

    The home's own token goes only to that server or to this machine, never to another host.

    Raises:
        Unreachable: no server runs for this home.
        NotSignedIn: there is no token for that address.
    """
    if not line.url:
        url, token = find_server(line.home).url, line.token or read_token(line.home)
    else:
        url, token = line.url, line.token or _token_for(line, line.url)
    return Muster(url, token, patience=patience)


def _token_for(line: Line, url: str) -> str:
    running = running_server(line.home)
    own = running is not None and running.url.rstrip("/") == url.rstrip("/")
    if own or urlsplit(url).hostname in _LOOPBACK:
        return read_token(line.home)
    raise NotSignedIn(f"there is no token for {url}", hint="give one in MUSTER_TOKEN")
