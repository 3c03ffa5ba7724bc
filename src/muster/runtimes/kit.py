"""What a container is shown of this machine so that a supervisor runs in it: Python and muster.

An image needs no Python of its own. This one's interpreter, loader, libraries and standard library
are bound into the container where they are, to be read only; nothing is copied.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import muster
from muster.domain.errors import Unavailable

ROOT = "/.muster"
DOOR = f"{ROOT}/door"
"""Where a container finds the folder of its door."""

_SOURCE = f"{ROOT}/source/muster"
_PROBE = (
    "import sys; sys.path.insert(0, sys.argv[1]); import muster.runtimes.inside; "
    "print(open('/proc/self/maps').read())"
)
_RUN = (
    f"import sys; sys.path.insert(0, '{ROOT}/source'); "
    f"from muster.runtimes import inside; inside.main('{DOOR}')"
)
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Kit:
    """Paths of this machine by the path under which a container sees them, and what it runs.

    `hidden` are folders that the container must see empty: packages of this machine.
    """

    shown: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    command: tuple[str, ...]


@cache
def kit() -> Kit:
    """The kit of this process's Python.

    Raises:
        Unavailable: what this Python needs cannot be found out.
    """
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    package = Path(muster.__file__).parent
    needed = _mapped(python, package.parent)
    loader = next((path for path in needed if path.name.startswith(("ld-", "ld."))), None)
    if loader is None:
        raise Unavailable(
            f"{python} is not linked in the usual way, so no container can run it",
            hint="run muster with a Python that your system's loader starts",
        )
    shown = {
        f"{ROOT}/bin/{python.name}": python,
        f"{ROOT}/lib/{library.name}": library,
        _SOURCE: package,
        **{f"{ROOT}/lib/{name}": path for path in needed for name in _names(path)},
    }
    hidden = [f"{ROOT}/lib/{library.name}/site-packages"] if _has_packages(library) else []
    command = (
        *(f"{ROOT}/lib/{loader.name}", "--library-path", f"{ROOT}/lib"),
        *(f"{ROOT}/bin/{python.name}", "-ISB", "-X", "utf8", "-c", _RUN),
    )
    return Kit(tuple((str(path), at) for at, path in shown.items()), tuple(hidden), command)


def _names(library: Path) -> list[str]:
    """The names under which a loader may look for a library: its own, and links beside it."""
    stem = library.name.partition(".so")[0]
    beside = library.parent.glob(f"{stem}.so*")
    return [library.name, *(one.name for one in beside if one.resolve() == library.resolve())]


def _has_packages(library: Path) -> bool:
    return (library / "site-packages").is_dir()


def _mapped(python: Path, source: Path) -> list[Path]:
    """The loader and the libraries that the first process of a container needs."""
    try:
        done = subprocess.run(
            [str(python), "-ISB", "-X", "utf8", "-c", _PROBE, str(source)],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(
            f"{python} cannot tell what a container needs to run it: {error}",
            hint="look whether that Python starts, and the muster package can be read",
        ) from error
    library = sysconfig.get_path("stdlib")
    paths = {line.split(maxsplit=5)[5] for line in done.stdout.splitlines() if " /" in line}
    return sorted(
        Path(path)
        for path in paths
        if ".so" in Path(path).name and not path.startswith(f"{library}/")
    )
