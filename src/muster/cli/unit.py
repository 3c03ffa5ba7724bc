"""The text of a systemd unit that runs the server of one installation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from muster.domain.errors import Invalid

_STATE = Path("/var/lib")
_QUOTED = frozenset(" '\"\\;")


@dataclass(frozen=True, slots=True)
class Installation:
    """What a unit has to name; `user` is who the server runs as, nobody for a person's own unit.

    `path` is where programs are looked for, the agents' among them: a service has no shell that
    would know.
    """

    python: str
    home: Path
    path: str
    arguments: tuple[str, ...] = ()
    user: str = ""


def unit_of(installed: Installation) -> str:
    """A unit for the system where a user is named, else for the user's own manager.

    Raises:
        Invalid: a path holds what no unit can.
    """
    return "".join(f"{line}\n" for line in _lines(installed))


def _lines(installed: Installation) -> Iterator[str]:
    yield "# Made by `muster service print`: docs/operations.md says what each line is for."
    yield from ("[Unit]", "Description=muster, a control plane for coding agents")
    if installed.user:
        yield "After=network.target docker.service"
        yield f"RequiresMountsFor={_word(str(installed.home))}"
    yield from ("StartLimitIntervalSec=10min", "StartLimitBurst=5")
    yield from ("", "[Service]", "Type=notify", f"ExecStart={_command(installed)}")
    yield f"Environment={_word(f'PATH={installed.path}')}"
    yield f"EnvironmentFile=-{escape(_plain(str(installed.home)))}/service.env"
    yield from _user(installed)
    yield from ("", "# Agents outlive the server, and the next one takes them over.")
    yield from ("KillMode=process", "OOMPolicy=continue", "TasksMax=infinity")
    yield from ("Delegate=yes", "DelegateSubgroup=server")
    yield from ("", "Restart=on-failure", "RestartSec=2", "RestartPreventExitStatus=2")
    yield from ("TimeoutStartSec=10min", "TimeoutStopSec=30", "WatchdogSec=3min")
    yield from (
        "",
        "# No option that gives the service a view of the files of its own, or a filter",
    )
    yield "# that sandboxes would be under: both break how agents are contained."
    yield from ("NoNewPrivileges=yes", "LimitCORE=0")
    if installed.user not in {"", "root"}:
        yield "CapabilityBoundingSet="
    target = "multi-user.target" if installed.user else "default.target"
    yield from ("", "[Install]", f"WantedBy={target}")


def _user(installed: Installation) -> Iterator[str]:
    if not installed.user:
        return
    yield f"User={_plain(installed.user)}"
    if installed.home.parent == _STATE:
        yield from (f"StateDirectory={_word(installed.home.name)}", "StateDirectoryMode=0700")


def _command(installed: Installation) -> str:
    """The command line; `$` would begin a variable everywhere but in the program's own name."""
    words = ("-P", "-m", "muster", "--home", str(installed.home), "up", *installed.arguments)
    rest = (_word(word).replace("$", "$$") for word in words)
    return " ".join((_word(installed.python), *rest))


def _word(text: str) -> str:
    """One word as a unit has it."""
    plain = _plain(text)
    if not set(plain) & _QUOTED:
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    """A text in which nothing stands for something else.

    Raises:
        Invalid: it has a line's end or another sign that cannot be seen.
    """
    if not text.isprintable():
        raise Invalid(
            f"{text!r} cannot be named in a unit", hint="choose a path of signs that can be seen"
        )
    return text.replace("%", "%%")
