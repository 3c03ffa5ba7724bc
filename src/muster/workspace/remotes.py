"""The remotes that a user's repository names: read, and one added where there is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

from muster.domain.errors import Conflict, Invalid
from muster.workspace.git import Git, Place

ORIGIN = "origin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")
_LINE = re.compile(r"remote\.(.+)\.url\n(.*)", re.DOTALL)
_MOST_BYTES = 256 * 1024


def remotes(git: Git, git_dir: Path) -> dict[str, str]:
    """The URL of each remote, as it is written down; of several the first, which is fetched from.

    What is included from elsewhere does not count.
    """
    asked = ("config", "--local", "--no-includes", "--null", "--get-regexp", r"^remote\..*\.url$")
    answer = git.ask(Place(git_dir), *asked, limit=_MOST_BYTES)
    found: dict[str, str] = {}
    for line in os.fsdecode(answer.out).split("\0"):
        if told := _LINE.fullmatch(line):
            found.setdefault(told[1], told[2])
    return found


def add_remote(git: Git, git_dir: Path, name: str, url: str) -> None:
    """Have the repository name a remote; the user's own git finds the server by it.

    Raises:
        Invalid: the name cannot be one, or the URL holds a credential.
        Conflict: the name is another's.
        GitFailed: the configuration cannot be written.
    """
    if not _NAME.fullmatch(name) or "@" in url or "\n" in url or url.startswith("-"):
        raise Invalid("that remote cannot be written down", hint="use a plain name and URL")
    known = remotes(git, git_dir).get(name)
    if known == url:
        return
    if known is not None:
        raise Conflict(
            f"the remote '{name}' leads elsewhere", hint=f"look at it: git remote get-url {name}"
        )
    fetch = f"+refs/heads/*:refs/remotes/{name}/*"
    # The URL last: until it is there, git takes the remote for none.
    git.run(Place(git_dir), "config", "--local", f"remote.{name}.fetch", fetch)
    git.run(Place(git_dir), "config", "--local", f"remote.{name}.url", url)
