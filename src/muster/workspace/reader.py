"""A git that stays: it tells what objects of muster's own mirror are, without a start for each.

It only reads, by whole ids, and only from the mirror, which no agent writes to. It sees what was
written after its start, since git looks again for what it does not know. It ends with its server,
as it then reads the end of its input.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import threading
import time
from dataclasses import dataclass
from weakref import finalize

from muster.domain.errors import GitFailed
from muster.workspace.git import QUICK, Git, Place

_FOUND = re.compile(rb"([0-9a-f]{40,64}) (commit|tree|blob|tag) (\d+)")
_SUBMODULE = re.compile(rb"[0-9a-f]{40,64} submodule")
_CHUNK = 65536
_LONGEST = 16 * 1024
"""Bytes of a name. Longer ones might not fit into the pipe, and no file system has such paths."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its id, its kind (commit, tree, blob or tag) and its size in bytes."""

    id: str
    kind: str
    size: int


class _Gone(Exception):
    """The process has ended, or says what it never says."""


class Reader:
    """Answers one question at a time; may be called from any thread."""

    def __init__(self, git: Git, place: Place, seconds: float = QUICK) -> None:
        """Read the repository at `place`; an answer may take `seconds`."""
        self._git = git
        self._place = place
        self._seconds = seconds
        self._lock = threading.Lock()
        self._talk: _Talk | None = None
        self._end: finalize[..., Reader] | None = None
        self._used = 0.0

    def info(self, name: str) -> Found | None:
        """What an object is, by its id or as `<id>:<path>`; None when there is none.

        Raises:
            GitFailed: git ended twice in a row, or took too long.
        """
        return self._ask("info", name)[0]

    def read(self, name: str) -> tuple[Found, bytes] | None:
        """An object with all its bytes; None when there is none. Ask `info` for its size first.

        Raises:
            GitFailed: git ended twice in a row, or took too long.
        """
        found, data = self._ask("contents", name)
        return (found, data) if found else None

    def rest(self, idle: float = 0.0) -> bool:
        """End the process, if nobody has asked for `idle` seconds; the next question starts one."""
        # Who asks now is not idle, and ends it with the server at the latest.
        if not self._lock.acquire(timeout=1.0):
            return False
        try:
            rests = time.monotonic() - self._used >= idle
            if rests:
                self._stop()
            return rests
        finally:
            self._lock.release()

    def _ask(self, verb: str, name: str) -> tuple[Found | None, bytes]:
        asked = os.fsencode(name)
        if len(asked) > _LONGEST or b"\0" in asked:
            return None, b""
        with self._lock:
            for is_last in (False, True):
                try:
                    return self._running().ask(verb, asked, self._seconds)
                except _Gone as error:
                    self._stop()
                    if is_last:
                        raise GitFailed(
                            f"git cat-file ended while it read {name[:80]!r}",
                            hint="is the disk damaged or full? try again",
                        ) from error
                except BaseException:
                    # Whatever is still to come would be taken for the answer to another question.
                    self._stop()
                    raise
                finally:
                    self._used = time.monotonic()
        raise AssertionError

    def _running(self) -> _Talk:
        if self._talk is None:
            self._talk = _Talk(self._git.serve(self._place, "cat-file", "--batch-command", "-z"))
            self._end = finalize(self, self._talk.end)
        return self._talk

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._talk = self._end = None


class _Talk:
    """One running process, and what it has said that was not asked for yet."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._said = bytearray()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)

    def ask(self, verb: str, name: bytes, seconds: float) -> tuple[Found | None, bytes]:
        until = time.monotonic() + seconds
        try:
            asked = verb.encode() + b" " + name + b"\0"
            while asked:
                asked = asked[os.write(self._in.fileno(), asked) :]
        except BrokenPipeError as error:
            raise _Gone from error
        header = self._line(until)
        match = _FOUND.fullmatch(header)
        if match is None and _SUBMODULE.fullmatch(header):
            return None, b""
        if match is None:
            # `NAME missing`, where the name may have line ends of its own.
            for _ in range(name.count(b"\n")):
                header += b"\n" + self._line(until)
            if not header.startswith(name + b" "):
                raise _Gone
            return None, b""
        found = Found(match[1].decode(), match[2].decode(), int(match[3]))
        if verb == "info":
            return found, b""
        return found, self._take(found.size + 1, until)[:-1]

    def end(self) -> None:
        self._process.kill()
        self._in.close()
        self._out.close()
        self._process.wait()

    def _line(self, until: float) -> bytes:
        at = self._said.find(b"\n")
        while at < 0:
            self._hear(until)
            at = self._said.find(b"\n")
        return self._take(at + 1, until)[:-1]

    def _take(self, size: int, until: float) -> bytes:
        while len(self._said) < size:
            self._hear(until)
        taken = bytes(self._said[:size])
        del self._said[:size]
        return taken

    def _hear(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000):
            raise GitFailed(
                "git cat-file was stopped: it did not answer in time",
                hint="is the disk slow or full? try again",
            )
        data = os.read(self._out.fileno(), _CHUNK)
        if not data:
            raise _Gone
        self._said += data
