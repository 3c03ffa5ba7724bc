"""The project's own tree, and copies of it that a test may change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.checks.tree import files

ROOT = Path(__file__).resolve().parents[2]


def copy_of_the_tree(to: Path) -> Path:
    """Everything git would track, as a repository of its own with one commit."""
    for path in files(ROOT):
        target = to / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    identity = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"]
    for args in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Copy"]):
        subprocess.run(["git", *args], cwd=to, check=True, capture_output=True)
    return to


def ready_environment(at: Path) -> Path:
    """A stand-in for `.venv` that leads to the Python of this run, marked as installed."""
    (at / "bin").mkdir(parents=True)
    python = at / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in (".installed-runtime", ".installed-dev"):
        (at / stamp).touch()
    return at


def run(*argv: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the house, its output as text; variables are added to a small base."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(cwd)}
    return subprocess.run(
        argv, cwd=cwd, env=base | env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
