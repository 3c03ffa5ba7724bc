"""`muster token`: what people and their own clients come in with, and what they may decide."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, some, table
from muster.cli.reach import reach
from muster.client.shapes import Token
from muster.domain.errors import NotFound


@group("token")
def token() -> None:
    """Give people tokens of their own, and take them back.

    What they decide is kept under their name; a rule that wants the approval of a role takes it
    only from who holds it. The token in the home is the first user's, who holds every role.
    """


@command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, metavar="R", help="A role they hold; repeatable.")
@click.option("--expires", metavar="SPAN", help="How long it opens anything: 12h, 30d, 4w.")
def create(line: Line, name: str, roles: tuple[str, ...], expires: str | None) -> None:
    """Make a token for a person or a client, and print it: this once."""
    with reach(line) as muster:
        made = muster.create_token(name, roles=roles, expires=expires)
    if line.json:
        out.document(made)
        return
    out.say(line, some(made["token"]))
    held = ", ".join(map(some, made["roles"])) or "no role"
    out.tell(line, f"{some(made['name'])} holds {held}. It is not shown again.")
    out.tell(line, "Use it: put it into MUSTER_TOKEN, and the server's address into MUSTER_URL")


@command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that open nothing any more.")
def list_(line: Line, everything: bool) -> None:
    """List tokens: whose they are, and which roles they hold."""
    with reach(line) as muster:
        found = muster.list_tokens()
    items = [each for each in found["items"] if everything or each["state"] == "living"]
    if line.json:
        out.document({"items": items, "next": None})
        return
    if not items:
        out.tell(line, "No tokens but the home's own. Make one: muster token create NAME")
        return
    head = ["NAME", "ROLES", "STATE", "CREATED", "USED", "EXPIRES"]
    out.say(line, table(Ink(line.colour), head, [_row(each) for each in items]))


def _row(each: Token) -> list[str]:
    return [
        some(each["name"]),
        ", ".join(map(some, each["roles"])) or "-",
        some(each["state"]),
        ago(each["created_at"]),
        ago(each["used_at"]) if each["used_at"] else "never",
        some(each["expires_at"]) or "never",
    ]


@command()
@click.argument("name")
def revoke(line: Line, name: str) -> None:
    """Have a token open nothing more, by its holder's name or its id."""
    with reach(line) as muster:
        known = muster.list_tokens()["items"]
        mine = [t for t in known if t["id"] == name or (t["name"], t["state"]) == (name, "living")]
        if not mine:
            raise NotFound(
                f"no token that opens anything is named '{name}'",
                hint="muster token list shows whose there are",
            )
        revoked = muster.revoke_token(mine[0]["id"])
    if line.json:
        out.document(revoked)
    else:
        out.say(line, f"{some(revoked['name'])}: {some(revoked['state'])}")


for _command in (create, list_, revoke):
    token.add_command(_command)
