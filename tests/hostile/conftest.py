"""The house of the tests that try to get out of a sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hostile.sandboxed import SECRET, House, served_index, served_page
from muster.runtimes.sandbox import SandboxRuntime


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    """A home with things worth stealing."""
    runtime = SandboxRuntime()
    if "by bubblewrap" not in (why := runtime.available() or runtime.describe()):
        pytest.skip(why)
    house = House(home, runtime)
    (home / "token").write_text(SECRET)
    (home / "muster.db").write_text(SECRET)
    for name in ("mine", "other"):
        root = home / "workspaces" / "spaces" / name
        for folder in ("tree", "agent.git/hooks", "control"):
            (root / folder).mkdir(parents=True)
        (root / "record.json").write_text(SECRET)
        (root / "control" / "state").write_text(SECRET)
        (root / "tree" / "work.txt").write_text("work" if name == "mine" else SECRET)
        (root / "agent.git" / "config").write_text("[core]\n\tbare = false\n")
        private = home / "runs" / name / "agent" / "home"
        (private / "tmp").mkdir(parents=True)
        (private / "diary").write_text("mine" if name == "mine" else SECRET)
    yield house
    await house.close()


@pytest.fixture
def server() -> Iterator[int]:
    """An HTTP server on all addresses of this machine; its port."""
    with served_page() as port:
        yield port


@pytest.fixture
def index(tmp_path: Path) -> Iterator[int]:
    """A package index on the loopback; its port."""
    with served_index(tmp_path / "index") as port:
        yield port


@pytest.fixture
def other_index(tmp_path: Path) -> Iterator[int]:
    """Another one."""
    with served_index(tmp_path / "other-index") as port:
        yield port
