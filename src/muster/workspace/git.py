"""git, run so that only its arguments decide what it does: no discovery, no foreign code."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from muster.domain.errors import GitFailed, Refused

QUICK = 120.0
SLOW = 3600.0
"""Seconds a command may take: QUICK for what reads, SLOW for what moves a whole repository."""

MERGE_TREE = (2, 38)
"""The first git with `merge-tree --write-tree`."""

_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.sshCommand": "false",
    "core.editor": "false",
    "core.pager": "cat",
    "core.askPass": "false",
    "core.alternateRefsCommand": "true",
    "core.quotePath": "false",
    "credential.helper": "",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "safe.bareRepository": "explicit",
    # An acknowledged commit survives the machine; git alone syncs packs, not single objects.
    "core.fsync": "committed",
    "core.fsyncMethod": "batch",
}
_FIXED = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
_MOST_SAID = 64 * 1024
_USERINFO = re.compile(r"(\w{1,20}://)[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command acts: always said, never discovered.

    `git_dir` is None only where a person asks what is in a folder (`survey`), or for a clone.
    `env` adds to the constructed environment; `settings` to the fixed configuration.
    """

    git_dir: Path | None
    work_tree: Path | None = None
    index: Path | None = None
    env: Mapping[str, str] | None = None
    settings: tuple[str, ...] = ()

    def environment(self, path: str) -> dict[str, str]:
        """All that git will see of an environment."""
        # A home that can never hold a file: git takes what lies below a device for absent.
        given = {
            "HOME": os.devnull,
            "PATH": path,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            # Objects travel by pipe (`transfer`): no transport of any kind is ever needed.
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_DEFAULT_REF_FORMAT": "files",
        }
        if self.git_dir is None:
            return given | dict(self.env or {})
        given["GIT_DIR"] = str(self.git_dir)
        if self.work_tree is not None:
            given["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index is not None:
            given["GIT_INDEX_FILE"] = str(self.index)
        return given | dict(self.env or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and what it said; `cut` when its output was longer than asked for."""

    code: int
    out: bytes
    err: str
    cut: bool = False


class Git:
    """Runs git; `started` counts the processes, because each costs milliseconds."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program
        self._version: tuple[int, ...] = ()
        self._counting = threading.Lock()
        self.started = 0

    @property
    def program(self) -> str:
        """The path of git.

        Raises:
            Refused: there is none.
        """
        if self._program is None:
            self._program = shutil.which("git")
        if self._program is None:
            raise Refused("git is not installed", hint="install git 2.38 or newer")
        return self._program

    def version(self) -> tuple[int, ...]:
        """The version, such as (2, 39, 5)."""
        if not self._version:
            said = self.run(Place(Path(os.devnull)), "version").decode()
            self._version = tuple(map(int, re.findall(r"\d+", said)[:3]))
        return self._version

    def run(
        self, place: Place, *args: str | Path, stdin: bytes = b"", seconds: float = QUICK
    ) -> bytes:
        """Run a command that has to succeed; its output.

        Raises:
            GitFailed: it did not; the message has its last words.
            Refused: git is not installed.
        """
        answer = self.ask(place, *args, stdin=stdin, seconds=seconds)
        if answer.code != 0:
            raise failure(args, answer)
        return answer.out

    def ask(
        self,
        place: Place,
        *args: str | Path,
        stdin: bytes = b"",
        seconds: float = QUICK,
        limit: int | None = None,
    ) -> Answer:
        """Run a command whose exit status is an answer; reads at most `limit` bytes of output.

        Raises:
            GitFailed: it took longer than `seconds`.
            Refused: git is not installed.
        """
        with self._start(place, args, stdin) as process:
            try:
                out, err, cut = _read(process, stdin, limit, seconds)
            except subprocess.TimeoutExpired as error:
                raise GitFailed(
                    f"git {_verb(args)} was stopped after {seconds:.0f} s",
                    hint="is the disk slow or full? try again",
                ) from error
            finally:
                _kill(process)
        return Answer(process.returncode, out, _clean(err), cut)

    def pipe(
        self,
        source: Place,
        read: Sequence[str | Path],
        target: Place,
        write: Sequence[str | Path],
        stdin: bytes,
    ) -> None:
        """Run `read` with its output going into `write`; both have to succeed.

        Raises:
            GitFailed: one did not.
        """
        with (
            self._start(source, read, stdin) as first,
            self._start(target, write, first.stdout) as second,
        ):
            try:
                said = _join(first, second, stdin)
            except subprocess.TimeoutExpired as error:
                raise GitFailed(
                    f"git {_verb(read)} was stopped after {SLOW:.0f} s",
                    hint="is the disk slow or full? try again",
                ) from error
            finally:
                _kill(first)
                _kill(second)
        for args, process, err in ((read, first, said[0]), (write, second, said[1])):
            if process.returncode not in {0, -signal.SIGPIPE}:
                raise failure(args, Answer(process.returncode, b"", _clean(err)))

    def serve(self, place: Place, *args: str | Path) -> subprocess.Popen[bytes]:
        """Start a command that stays and answers questions; whoever starts it ends it.

        What it says on stderr is not heard.

        Raises:
            Refused: git is not installed.
        """
        return self._open(place, args, subprocess.PIPE, subprocess.DEVNULL)

    def _start(
        self, place: Place, args: Sequence[str | Path], stdin: bytes | IO[bytes] | None
    ) -> subprocess.Popen[bytes]:
        source: Any = stdin
        if isinstance(stdin, bytes):
            source = subprocess.PIPE if stdin else subprocess.DEVNULL
        return self._open(place, args, source, subprocess.PIPE)

    def _open(
        self, place: Place, args: Sequence[str | Path], stdin: Any, stderr: int
    ) -> subprocess.Popen[bytes]:
        program = self.program
        with self._counting:
            self.started += 1
        path = f"{Path(program).parent}{os.pathsep}{os.defpath}"
        try:
            return subprocess.Popen(
                [program, *_FIXED, *place.settings, *map(str, args)],
                env=place.environment(path),
                cwd=place.work_tree or "/",
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                process_group=0,
            )
        except FileNotFoundError as error:
            raise Refused(
                f"git could not be started: {error.filename} is not there",
                hint="install git 2.38 or newer, and see that the folder exists",
            ) from error


def failure(args: Sequence[str | Path], answer: Answer) -> GitFailed:
    """What a person should read about a command that failed."""
    words = [line for line in answer.err.splitlines() if line.strip()][-3:]
    said = "; ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in words)
    hint = ""
    if "No space left" in answer.err:
        hint = "free some disk space and try again"
    elif "bad object" in answer.err or "not a valid object" in answer.err:
        hint = "the commit is not known here; fetch the branch again"
    return GitFailed(f"git {_verb(args)} failed: {said or f'exit status {answer.code}'}", hint=hint)


def _verb(args: Sequence[str | Path]) -> str:
    return next((str(word) for word in args if not str(word).startswith("-")), "")


def _clean(text: bytes) -> str:
    return _USERINFO.sub(r"\1", text.decode("utf-8", "replace"))


def _join(
    first: subprocess.Popen[bytes], second: subprocess.Popen[bytes], stdin: bytes
) -> tuple[bytes, bytes]:
    """Let both sides of a pipe end; what each said on stderr."""
    if first.stdout is not None:
        # Only the second may hold the pipe, or the first would never hear that it has ended.
        first.stdout.close()
        first.stdout = None
    # The first reads all its input before it writes, so that neither can wait for the other.
    _, first_err = first.communicate(stdin, timeout=SLOW)
    _, second_err = second.communicate(timeout=SLOW)
    return first_err, second_err


def _read(
    process: subprocess.Popen[bytes], stdin: bytes, limit: int | None, seconds: float
) -> tuple[bytes, bytes, bool]:
    if limit is None:
        out, err = process.communicate(stdin or None, timeout=seconds)
        return out, err, False
    clock = threading.Timer(seconds, _kill, [process])
    last = bytearray()
    listener = threading.Thread(target=_listen, args=(process.stderr, last), daemon=True)
    clock.start()
    listener.start()
    try:
        out = process.stdout.read(limit + 1) if process.stdout else b""
        if len(out) > limit:
            _kill(process)
        process.wait()
        listener.join()
    finally:
        clock.cancel()
    return out[:limit], bytes(last), len(out) > limit


def _listen(stderr: IO[bytes] | None, last: bytearray) -> None:
    """Keep the end of what is said: how much that is may be a server's to decide."""
    while stderr and (part := os.read(stderr.fileno(), _MOST_SAID)):
        last += part
        del last[:-_MOST_SAID]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command together with what it started; nothing when it has ended by itself."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
