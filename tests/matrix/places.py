"""The columns of the matrix: the places, each made ready for one program and taken down again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from contracts.ssh_place import Sshd
from hostile.servers import muster
from house.dockerd import dockerd

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Ready:
    """A place that can be used: the runtime's name, what the server's environment needs."""

    runtime: str
    env: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    settings: str = ""


@dataclass(frozen=True)
class Place:
    """A place; `parts` are the parts of the machine that it needs (`house.parts`)."""

    name: str
    parts: tuple[str, ...]
    ready: Callable[[Path, str], AbstractContextManager[Ready]]


def _here(name: str) -> Callable[[Path, str], AbstractContextManager[Ready]]:
    @contextmanager
    def ready(_home: Path, _program: str) -> Iterator[Ready]:
        yield Ready(name)

    return ready


@contextmanager
def _docker(home: Path, program: str) -> Iterator[Ready]:
    """An engine of our own, whose usual image holds the program."""
    found = Path(shutil.which(program) or "")
    path = f"{found.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    with dockerd(empty=True) as engine:
        env = {"DOCKER_HOST": f"unix://{engine.socket}", "PATH": path}
        built = muster(home, "image", "build", "--with", program, env=env, patience=300)
        assert built.code == 0, built.err
        yield Ready("docker", env)


@contextmanager
def _ssh(home: Path, program: str) -> Iterator[Ready]:
    """A server of our own on the loopback, where the program is on PATH."""
    box = Sshd(home / "box")
    found = Path(shutil.which(program) or "")
    for name in (program, "node"):
        beside = found.parent / name
        if beside.exists():
            (box.bin / name).symlink_to(beside.resolve() if name == program else beside)
    box.start()
    try:
        host = box.host
        address = f"{host.user}@{host.address}:{host.port}"
        line = ("host", "add", "box", address, "--key", host.key, "--yes")
        added = muster(home, *line)
        assert added.code == 0, added.err
        yield Ready("ssh:box")
    finally:
        box.stop()


COLUMNS: Mapping[str, Place] = {
    place.name: place
    for place in (
        Place("process", (), _here("process")),
        Place("sandbox", ("bubblewrap",), _here("sandbox")),
        Place("tmux", ("tmux",), _here("tmux")),
        Place("docker", ("docker",), _docker),
        Place("ssh", ("sshd",), _ssh),
    )
}
