"""Where Gemini CLI keeps its sessions, and what one needs to be loaded soon after it began.

Facts, of 0.61.0: a session is a file of lines `tmp/PROJECT/chats/session-MINUTE-BEGIN.jsonl`, by
the minute in which it began and the first part of its id. A load begins a file of that kind first.
In the same minute that is the session's own file: what is added to it there makes it a session
without content, so that nothing is found. Under the name of another minute it is found always.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_SESSION = re.compile(r"([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_BYGONE = "2000-01-01T00-00"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_older(user: Path, session: str) -> None:
    """Name the file of a session by a bygone minute. What lies there may be anything.

    `user` is what Gemini takes for the home of its user. No link below it is followed.
    """
    known = _SESSION.fullmatch(session)
    if known is None:
        return
    older = f"session-{_BYGONE}-{known[1]}.jsonl"
    mine = re.compile(rf"session-[0-9T-]+-{known[1]}\.jsonl")
    with (
        contextlib.suppress(OSError),
        _opened(str(user / ".gemini")) as own,
        _opened("tmp", own) as tmp,
    ):
        for project in sorted(os.listdir(tmp)):  # noqa: PTH208 - by its descriptor
            with (
                contextlib.suppress(OSError),
                _opened(project, tmp) as at,
                _opened("chats", at) as chats,
            ):
                names = sorted(os.listdir(chats))  # noqa: PTH208 - by its descriptor
                if older not in names and (found := next(filter(mine.fullmatch, names), None)):
                    os.rename(found, older, src_dir_fd=chats, dst_dir_fd=chats)


@contextlib.contextmanager
def _opened(name: str, at: int | None = None) -> Iterator[int]:
    fd = os.open(name, _FOLDER, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)
