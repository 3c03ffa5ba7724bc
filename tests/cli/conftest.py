"""The command line run in this process against a small server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from tests.client.loopback import TOKEN, Loopback

from muster.cli.main import main


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def run(server: Loopback, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line: `run("task", "list", "--json")`."""

    def run(*args: str, url: str = "", token: str = TOKEN) -> Ended:
        code = main(["--url", url or server.url, "--token", token, *args])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
