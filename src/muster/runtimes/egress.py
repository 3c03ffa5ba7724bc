"""Which places of the network a contained program may reach, decided by name, address and port.

A rule is `HOST` or `HOST:PORT`; without a port it means 80 and 443. HOST is a name, `*.name` for
all below a name, `*` for any name, or an address. An address is looked at after the name was
resolved, because a name can point anywhere:

- an address of the internet is reached by any rule;
- an address of a private network only by a rule that names host and port;
- an address of this machine, of the link (where clouds keep their metadata), or none at all, only
  by a rule that is that very address, or `localhost`, and names the port.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from muster.domain.errors import Invalid

USUAL_PORTS = (80, 443)
_NAME = re.compile(
    r"(\*|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*)"
)
_LONGEST = 253
_DISCARD = 9
_LOCAL_NAMES = frozenset({"localhost"})
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Rule:
    """One place that may be reached; `port` is None for the usual ones."""

    host: str
    port: int | None = None

    @property
    def address(self) -> Address | None:
        """The address that the rule is, if it is one."""
        return as_address(self.host)

    def covers(self, host: str, port: int) -> bool:
        """Whether a program that asks for this host and port means this rule."""
        if port not in ((self.port,) if self.port is not None else USUAL_PORTS):
            return False
        if self.host == "*":
            return True
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        asked, own = as_address(host), self.address
        return asked == own if asked is not None or own is not None else host == self.host

    def admits(self, address: Address) -> bool:
        """Whether this rule lets a host be at this address."""
        address = _plain(address)
        if _is_here(address):
            literal = self.address
            is_it = literal is not None and _plain(literal) == address
            named = self.host in _LOCAL_NAMES and address.is_loopback
            return self.port is not None and (is_it or named)
        if address.is_global:
            return True
        return self.port is not None and not self.host.startswith("*")


def rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Rules from their texts.

    Raises:
        Invalid: one is no rule; the message names it.
    """
    return tuple(map(_rule, texts))


def _rule(text: str) -> Rule:
    host, port = split(text.strip(), None)
    if not _is_host(host, wild=True) or (port is not None and not 0 < port < 65536):
        raise Invalid(
            f"{text!r} is no place of the network",
            hint="write a host, or a host and a port: example.org, *.example.org, 127.0.0.1:8080",
        )
    return Rule(host, port)


def split(text: str, usual: int | None) -> tuple[str, int | None]:
    """Host and port of `host:port`, `[v6]:port` or either alone; port -1 when it is no number."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        port = rest[1:] or "-" if rest.startswith(":") else "" if closed and not rest else "-"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        port = port or "-"
    host = host.lower().removesuffix(".")
    if not port:
        return host, usual
    return host, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1


def _is_host(host: str, *, wild: bool) -> bool:
    if as_address(host) is not None:
        return True
    if len(host) > _LONGEST or not _NAME.fullmatch(host):
        return False
    return wild or "*" not in host


def as_address(host: str) -> Address | None:
    """The address that a host is written as, or None when it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_here(address: Address) -> bool:
    """Whether an address is this machine, its link, or no single machine."""
    special = address.is_loopback or address.is_link_local or address.is_multicast
    return special or address.is_unspecified or address.is_reserved or _is_own(address)


def _is_own(address: Address) -> bool:
    """Whether this machine has the address: only then would it send from there to there."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD))  # which sends nothing
            return as_address(str(probe.getsockname()[0])) == address
    except OSError:  # there is no way to it
        return False


def judge(allowed: Sequence[Rule], host: str, port: int) -> tuple[Rule | None, str]:
    """The rule by which a program may ask for a host, or why there is none."""
    if not _is_host(host, wild=False) or not 0 < port < 65536:
        return None, "is not a host and a port"
    covering = [rule for rule in allowed if rule.covers(host, port)]
    if not covering:
        return None, "is not on the allow-list"
    # The most particular one speaks: it says the port, then it says the name.
    return max(
        covering, key=lambda rule: (rule.port is not None, not rule.host.startswith("*"))
    ), ""


def mirrored(allowed: Iterable[Rule]) -> list[tuple[str, int]]:
    """The ports of this machine that are allowed, each to be found under its own number inside."""
    return sorted(
        {
            (str(rule.address or "127.0.0.1"), rule.port)
            for rule in allowed
            if rule.port is not None
            and (
                rule.host in _LOCAL_NAMES or (rule.address is not None and rule.address.is_loopback)
            )
        }
    )
