"""One connection to one host: its key is checked, its helper is started, requests go side by side.

Facts of asyncssh 2.24 (EPL-2.0 or GPL-2.0+): connecting takes 40 to 100 ms, a request to a running
helper 1.5 ms, a command of its own 190 ms, most of it the far shell's start-up files. Signals to a
far process are refused by OpenSSH as root, so that nothing is ended that way. Our own configuration
of SSH (`~/.ssh/config`) is not read, and no agent is forwarded.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import typing_extensions

import muster
from muster.domain import errors
from muster.domain.errors import MusterError, Refused, Unreachable
from muster.runtimes.frames import Broken, Lost, pack, unpack
from muster.runtimes.ssh_hosts import Host

CONNECT_SECONDS = 15.0
CALL_SECONDS = 60.0
KEEPALIVE = 5.0
_LONGEST_WORDS = 2000
_ROOMS = ("domain", "runtimes")
_FILES = ("__init__.py", "failpoint.py", "settings.py")
_HERE_ONLY = ("ssh",)
_STRANGERS = (typing_extensions,)
"""Modules of others that ours need there; each is one file of pure Python."""
OLDEST_PYTHON = (3, 11)

_BOOT = f"""
import sys
if sys.version_info < {OLDEST_PYTHON}:
    sys.exit("muster: this is Python %d.%d" % sys.version_info[:2])
import io, os, tarfile
source = sys.stdin.buffer.raw
def exactly(n):
    data = b""
    while len(data) < n:
        piece = source.read(n - len(data))
        if not piece:
            os._exit(1)
        data += piece
    return data
head = b""
while not head.endswith(b"\\n"):
    head += exactly(1)
length, digest = head.decode().split()
code = exactly(int(length))
os.umask(0o077)
root = os.path.join(os.path.expanduser("~"), ".local", "share", "muster-far")
there = os.path.join(root, "code", digest)
if not os.path.isdir(there):
    draft = there + "." + str(os.getpid())
    os.makedirs(draft)
    with tarfile.open(fileobj=io.BytesIO(code)) as archive:
        archive.extractall(draft)
    try:
        os.rename(draft, there)
    except OSError:
        pass
os.chdir("/")
sys.path.insert(0, there)
import asyncio
from muster.runtimes.far import main
from muster.runtimes.process import ProcessRuntime
from muster.runtimes.sandbox import SandboxRuntime
place = SandboxRuntime()
if not {{contained}} or place.available():
    place = ProcessRuntime()
asyncio.run(main(place, root))
"""


class KeyChanged(Refused):
    """The host shows another key than the one that was trusted."""

    code, title = "host-key-changed", "Host key changed"


def _archive() -> bytes:
    """The code that the far side needs: only what is pure Python of ours."""
    top = Path(muster.__file__).parent
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for name, path in _sources(top):
            info = tarfile.TarInfo(name)
            data = path.read_bytes()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _sources(top: Path) -> Iterator[tuple[str, Path]]:
    """Each file, and what it is called over there."""
    ours = [top / name for name in _FILES]
    for room in _ROOMS:
        ours += [p for p in sorted((top / room).glob("*.py")) if not _is_for_here(p.stem)]
    yield from ((f"muster/{path.relative_to(top)}", path) for path in ours)
    for module in _STRANGERS:
        path = Path(str(module.__file__))
        yield path.name, path


def _is_for_here(stem: str) -> bool:
    return stem.startswith(_HERE_ONLY)


class Wire:
    """A connection with a helper at its other end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.hello: dict[str, Any] = {}
        self._connection: asyncssh.SSHClientConnection | None = None
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._number = 0

    @property
    def alive(self) -> bool:
        """Whether requests can be sent."""
        return self._reading is not None and not self._reading.done()

    async def open(self) -> None:
        """Connect, check the host's key, start the helper.

        Raises:
            Unreachable: the host does not answer; trying again may help.
            Refused: it answers, but not as it should; the message says what and what to do.
        """
        self._connection = await connect(self.host)
        boot = _BOOT.format(contained=self.host.contained)
        command = f"exec python3 -I -c {_quoted(boot)}"
        try:
            self._process = await self._connection.create_process(command, encoding=None)
            code = await asyncio.to_thread(_archive)
            digest = hashlib.sha256(code).hexdigest()[:32]
            # A far side that cannot start ends at once; what it said then tells more.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{len(code)} {digest}\n".encode() + code)
            async with asyncio.timeout(CALL_SECONDS):
                await self._greeting()
        except (asyncssh.Error, OSError, TimeoutError) as error:
            await self.close()
            raise Unreachable(
                f"{self.host.name} broke off while its helper was started: {_words(error)}",
                hint="try again; does its shell's start-up print or wait for something?",
            ) from error
        except MusterError:
            await self.close()
            raise
        self._reading = asyncio.create_task(self._read(), name=f"ssh {self.host.name}")
        self.hello, _ = await self.call("hello")
        if why := self.hello["why_not"]:
            raise Refused(f"{self.host.name} {why}", hint="runs over SSH need Linux there too")

    async def _greeting(self) -> None:
        process = self._process
        assert process is not None
        try:
            await unpack(process.stdout)
        except Broken as error:
            await process.wait_closed()
            said = await process.stderr.read(_LONGEST_WORDS)
            raise _no_helper(self.host, process.exit_status, said) from error

    async def call(
        self, verb: str, body: bytes = b"", *, seconds: float = CALL_SECONDS, **head: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Ask the helper; its answer.

        Raises:
            Lost: the connection broke before the answer came.
            MusterError: the far side's own problem.
        """
        process = self._process
        if process is None or not self.alive:
            raise Lost
        self._number += 1
        answer: asyncio.Future[tuple[dict[str, Any], bytes]]
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        number = self._number
        try:
            process.stdin.write(pack({"id": number, "verb": verb, **head}, body))
            async with asyncio.timeout(seconds):
                await process.stdin.drain()
                told, data = await answer
        except (asyncssh.Error, OSError) as error:  # TimeoutError is one
            self._hang_up()
            raise Lost from error
        finally:
            self._waiting.pop(number, None)
        if "problem" in told:
            raise _problem(told["problem"], self.host)
        return told, data

    async def _read(self) -> None:
        assert self._process is not None
        try:
            with contextlib.suppress(Broken, asyncssh.Error, OSError):
                while True:
                    head, body = await unpack(self._process.stdout)
                    waiting = self._waiting.get(int(head.get("id", 0)))
                    if waiting is not None and not waiting.done():
                        waiting.set_result((head, body))
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Lost())

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    async def close(self) -> None:
        """Let go; runs go on."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if self._process is not None:
            self._process.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            with contextlib.suppress(asyncssh.Error, OSError):
                await connection.wait_closed()


async def connect(host: Host) -> asyncssh.SSHClientConnection:
    """A connection to a host that shows the key it was trusted with.

    Raises:
        Unreachable: nobody answers there.
        KeyChanged: somebody answers with another key.
        Refused: it does not let us in.
    """
    trusted = asyncssh.import_public_key(host.host_key)
    options: dict[str, Any] = {"client_keys": [host.key], "agent_path": None} if host.key else {}
    if host.user:
        options["username"] = host.user
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncssh.connect(
                host.address,
                host.port,
                known_hosts=([trusted], [], []),
                server_host_key_algs=_algorithms(trusted),
                config=None,
                keepalive_interval=KEEPALIVE,
                keepalive_count_max=3,
                **options,
            )
    except asyncssh.HostKeyNotVerifiable as error:
        raise KeyChanged(*_changed(host)) from error
    except asyncssh.KeyExchangeFailed as error:  # it has no key of the trusted kind any more
        raise KeyChanged(*_changed(host)) from error
    except asyncssh.PermissionDenied as error:
        raise Refused(
            f"{host.name} ({host.address}:{host.port}) does not let '{host.user or 'you'}' in",
            hint="put the public key into ~/.ssh/authorized_keys there",
        ) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise Unreachable(
            f"{host.name} ({host.address}:{host.port}) does not answer: {_words(error)}",
            hint="is it up, and its SSH server running?",
        ) from error


def _algorithms(key: asyncssh.SSHKey) -> list[str]:
    """What proves that the host has this key; another key of it is not asked for."""
    name = key.get_algorithm()
    return ["rsa-sha2-256", "rsa-sha2-512"] if name == "ssh-rsa" else [name]


async def show_key(host: Host) -> str:
    """The public key that a host shows now, as a line; nothing is trusted by asking.

    Raises:
        Unreachable: nobody answers there.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            key = await asyncssh.get_server_host_key(host.address, host.port, config=None)
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise Unreachable(
            f"{host.address}:{host.port} does not answer: {_words(error)}",
            hint="is it up, and its SSH server running?",
        ) from error
    if key is None:
        raise Unreachable(f"{host.address}:{host.port} shows no key", hint="is that SSH?")
    return key.export_public_key("openssh").decode().strip()


def fingerprint(line: str) -> str:
    """A public key's fingerprint as OpenSSH prints it: `SHA256:…`."""
    blob = base64.b64decode(line.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _changed(host: Host) -> tuple[str]:
    return (
        f"{host.name} ({host.address}:{host.port}) does not show the key that was trusted, which is"
        f" {fingerprint(host.host_key)}: the machine was set up anew, or somebody is in between."
        f" If you know why, add it again: muster host add {host.name} …",
    )


def _no_helper(host: Host, status: int | None, said: bytes) -> Refused:
    words = said.decode("utf-8", "replace").strip()
    if status == 127:
        return Refused(
            f"there is no python3 on {host.name}", hint="install Python 3.11 or newer and git there"
        )
    if words.startswith("muster: this is Python"):
        return Refused(
            f"{host.name} has too old a Python: {words.removeprefix('muster: this is ')}",
            hint="install Python 3.11 or newer there, as python3",
        )
    shown = words[-500:] or "no words"
    return Refused(
        f"no helper could be started on {host.name} (status {status}): {shown}",
        hint="does `ssh HOST python3 --version` work, and print nothing else?",
    )


def _problem(said: dict[str, Any], host: Host) -> MusterError:
    known = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, MusterError)
    }
    kind = known.get(str(said.get("code")), Refused)
    return kind(f"{host.name}: {said.get('detail')}", hint=str(said.get("hint") or ""))


def _words(error: Exception) -> str:
    return str(error) or "no answer"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
