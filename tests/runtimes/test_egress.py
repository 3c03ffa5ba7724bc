"""Which places of the network a rule lets through, by name, by address and by port."""

from __future__ import annotations

import ipaddress
import subprocess
import sys

import pytest

from muster.domain.errors import Invalid
from muster.runtimes.egress import judge, mirrored, rules


def admits(rule: str, address: str) -> bool:
    """Whether a rule lets its host be at an address."""
    return rules((rule,))[0].admits(ipaddress.ip_address(address))


def asks(rule: str, host: str, port: int) -> bool:
    """Whether a program may ask for a place."""
    return judge(rules((rule,)), host, port)[0] is not None


@pytest.mark.parametrize(
    ("rule", "host", "port", "allowed"),
    [
        ("a.example", "a.example", 443, True),
        ("a.example", "a.example", 80, True),
        ("a.example", "a.example", 8080, False),
        ("a.example:8080", "a.example", 8080, True),
        ("a.example:8080", "a.example", 443, False),
        ("a.example", "b.a.example", 443, False),
        ("A.Example.", "a.example", 443, True),
        ("*.a.example", "b.a.example", 443, True),
        ("*.a.example", "c.b.a.example", 443, True),
        ("*.a.example", "a.example", 443, False),
        ("*.a.example", "ba.example", 443, False),
        ("*", "anything.example", 443, True),
        ("*", "anything.example", 22, False),
        ("*:22", "anything.example", 22, True),
        ("10.0.0.1:80", "10.0.0.1", 80, True),
        ("::1", "::1", 80, True),
        ("[::1]:99", "::1", 99, True),
        ("[::1]:99", "0:0::1", 99, True),
        ("[::1]:99", "127.0.0.1", 99, False),
        ("a_b.example", "a_b.example", 443, True),
    ],
)
def test_a_rule_covers_its_host_and_its_ports(
    rule: str, host: str, port: int, allowed: bool
) -> None:
    assert asks(rule, host, port) is allowed


@pytest.mark.parametrize(
    "host", ["", "a b", "*.example", "*", "a/b", "é.example", "a" * 300, "-a.example"]
)
def test_what_is_no_host_may_not_be_asked_for_even_where_all_may(host: str) -> None:
    assert not asks("*", host, 443)


HERE = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"]  # fmt: skip
PRIVATE = ["10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1",
           "64:ff9b::a00:1", "2002:a00:1::1"]  # fmt: skip
GLOBAL = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", HERE)
def test_this_machine_and_its_link_are_only_reached_by_their_own_address_and_port(
    address: str,
) -> None:
    for rule in ("*", "*:80", "a.example", "a.example:80", f"[{address}]", "8.8.8.8:80"):
        assert not admits(rule, address)
    assert admits(f"[{address}]:80", address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_network_is_only_reached_by_a_rule_with_a_port(address: str) -> None:
    for rule in ("*", "*:80", "a.example", "*.example:80"):
        assert not admits(rule, address)
    assert admits("a.example:80", address)
    assert admits(f"[{address}]:80", address)


@pytest.mark.parametrize("address", GLOBAL)
def test_the_internet_is_reached_by_any_rule(address: str) -> None:
    assert all(admits(rule, address) for rule in ("*", "a.example", "*.a.example:22"))


def test_one_address_in_two_spellings_is_one_address() -> None:
    assert admits("127.0.0.1:80", "::ffff:127.0.0.1")
    assert admits("localhost:80", "127.0.0.1")
    assert admits("localhost:80", "::1")
    assert not admits("localhost", "127.0.0.1")
    assert not admits("localhost:80", "169.254.0.1")


OWN_ADDRESS = """
import fcntl, ipaddress, socket, struct
from muster.runtimes.egress import rules
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))  # up
    seen = rules(("*",))[0].admits(ipaddress.ip_address("8.8.8.8"))
    there = struct.pack("16sH2s4s8s", b"lo", socket.AF_INET, b"", socket.inet_aton("8.8.8.8"), b"")
    fcntl.ioctl(s, 0x8916, there)
print(seen, rules(("*",))[0].admits(ipaddress.ip_address("8.8.8.8")))
"""


@pytest.mark.needs_root
def test_a_public_address_of_this_machine_is_this_machine() -> None:
    argv = ["unshare", "--net", sys.executable, "-c", OWN_ADDRESS]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_the_most_particular_rule_speaks() -> None:
    rule, _ = judge(rules(("*", "*.example", "a.example:443")), "a.example", 443)
    assert rule is not None
    assert (rule.host, rule.port) == ("a.example", 443)


def test_ports_of_this_machine_are_mirrored_and_no_others() -> None:
    allowed = ("127.0.0.1:1", "localhost:2", "[::1]:3", "10.0.0.1:4", "a.example:5", "127.0.0.1")
    assert mirrored(rules(allowed)) == [("127.0.0.1", 1), ("127.0.0.1", 2), ("::1", 3)]


@pytest.mark.parametrize("text", ["", ":80", "a:", "a:x", "http://a", "a,b", "a.*", "**", "[::1"])
def test_a_text_that_is_no_rule_is_named(text: str) -> None:
    with pytest.raises(Invalid) as told:
        rules((text,))
    assert repr(text) in told.value.detail
