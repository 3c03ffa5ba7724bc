"""Programs run by an ordinary user, who may enter the folders that Python and muster lie in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
_TESTS = Path(__file__).parent.parent
_SHOW = """
set -e
hold=$1; shift
mount -t tmpfs hold "$hold"
n=0
while [ "$1" != -- ]; do
  n=$((n + 1)); mkdir "$hold/$n"; mount --bind "$1" "$hold/$n"; shift
done
shift
while [ "$1" != -- ]; do mount -t tmpfs -o mode=755 closed "$1"; shift; done
shift
n=0
while [ "$1" != -- ]; do
  n=$((n + 1)); mkdir -p "$1"; mount --bind "$hold/$n" "$1"; shift
done
shift
exec "$@"
"""
"""Puts an open folder over each closed one, with what is needed in it, in a view of its own."""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder of the ordinary user's."""
    folder = Path(tempfile.mkdtemp(prefix="mu-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments by an ordinary user; by this one if it is not root."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_TESTS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    command = [sys.executable, *argv]
    if os.geteuid() == 0:
        needed = {Path(p).resolve() for p in (sys.base_prefix, sys.prefix, _TESTS.parent)}
        closed = {c for path in needed if (c := _closed(path)) is not None}
        hold = folder / "hold"
        hold.mkdir(exist_ok=True)
        inside = sorted(map(str, needed))
        command = [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", _SHOW, "sh"),
            *(str(hold), *inside, "--", *sorted(map(str, closed)), "--", *inside, "--"),
            *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
            *command,
        ]
    return subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )


def _closed(path: Path) -> Path | None:
    """The outermost folder on the way to a path that others may not enter."""
    for folder in (*reversed(path.parents), path):
        if folder.stat().st_mode & 0o005 != 0o005:
            return folder
    return None
