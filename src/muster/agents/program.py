"""Whether a program is on this machine, where, and in which version."""

from __future__ import annotations

import re
import shutil
import subprocess  # noqa: TID251 - a version is asked for before there is any run or runtime
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

VERSION_SECONDS = 5.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_NEEDED = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")


def find_program(name: str, environ: Mapping[str, str], also: Sequence[str] = ()) -> str | None:
    """The whole path of a program: on PATH, else the first of `also` (below HOME) that can run."""
    found = shutil.which(name, path=environ.get("PATH") or None)
    if found:
        return str(Path(found).absolute())
    home = environ.get("HOME")
    places = [Path(home, place) for place in also] if home else []
    return next((str(p) for p in places if shutil.which(str(p))), None)


def version_of(path: str, environ: Mapping[str, str]) -> str:
    """What a program answers to `--version`, or nothing; asked once for each installed file."""
    try:
        seen = Path(path).stat()
    except OSError:
        return ""
    few = tuple((name, environ[name]) for name in _NEEDED if name in environ)
    return _ask_version(path, seen.st_mtime_ns, seen.st_size, few)


@lru_cache(maxsize=64)
def _ask_version(path: str, _changed: int, _size: int, environ: tuple[tuple[str, str], ...]) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout.decode("utf-8", "replace")[:1000])
    return found.group() if found and done.returncode == 0 else ""
