"""`muster host`: the machines that agents may run on over SSH."""

from __future__ import annotations

from dataclasses import replace

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, some, table
from muster.domain.errors import NotAllowed
from muster.domain.plain import plain_line


@group("host")
def host() -> None:
    """List, add and remove machines reached by SSH.

    They are kept in the home; a running server knows a new one when it is started again.
    """


@command("list")
def list_(line: Line) -> None:
    """List hosts with the keys they are trusted by."""
    known = late("muster.cli.hosts").known(line.home)
    if line.json:
        out.document({"items": known, "next": None})
        return
    if not known:
        out.tell(line, "No hosts. Add one: muster host add NAME USER@HOST")
        return
    rows = [[some(h["name"]), some(h["where"]), some(h["fingerprint"])] for h in known]
    out.say(line, table(Ink(line.colour), ["NAME", "ADDRESS", "HOST KEY"], rows))


@command()
@click.argument("name")
@click.argument("address", metavar="USER@HOST[:PORT]")
@click.option("--key", metavar="FILE", help="Our private key for it; else your SSH agent's.")
@click.option("--fingerprint", metavar="SHA256:…", help="Trust only a host key with this one.")
@click.option("--yes", is_flag=True, help="Trust the key that the host shows, unseen.")
@click.option("--uncontained", is_flag=True, help="Agents there run as you do, in no sandbox.")
def add(
    line: Line,
    name: str,
    address: str,
    key: str | None,
    fingerprint: str | None,
    yes: bool,
    uncontained: bool,
) -> None:
    """Trust a host and check that agents can run there.

    The key that it shows is asked about, and pinned: from then on a host that shows another is
    refused.
    """
    hosts = late("muster.cli.hosts")
    found, shown = hosts.look(name, address, key or "")
    if fingerprint is not None and fingerprint != shown:
        raise NotAllowed(
            f"{address} shows another host key: {shown}",
            hint="compare it on the machine: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )
    if fingerprint is None and not yes:
        click.confirm(f"{plain_line(address)} shows the host key {shown}. Trust it?", abort=True)
    told = hosts.trust(line.home, replace(found, contained=not uncontained))
    if line.json:
        out.document(told)
        return
    out.say(line, f"{name} is trusted ({shown}); Python {some(told['python'])}")
    if not told["git"]:
        out.tell(line, f"git is missing on {name}; without it no work can be carried there.")
    out.tell(line, f"Agents there: {plain_line(str(told['how']))}.")
    if told["place"] != "sandbox" and not uncontained:
        out.tell(line, "bubblewrap there would contain them: apt-get install bubblewrap")
    out.tell(line, f"Use it: muster do … --runtime ssh:{name} (start the server again first)")


@command()
@click.argument("name")
def remove(line: Line, name: str) -> None:
    """Trust a host no longer."""
    late("muster.cli.hosts").forget(line.home, name)
    if line.json:
        out.document({"removed": name})
    else:
        out.say(line, f"{name} is removed")


for _command in (list_, add, remove):
    host.add_command(_command)
