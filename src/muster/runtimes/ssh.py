"""Another machine, reached by SSH: the same shim there, and here an exact twin of what it writes.

What goes where: the program runs on the far side under a shim of its own, in a run directory there.
The helper (`far.py`) of the one connection to a host tells what is new in it, which `twin.py` puts
into the run directory here. A cut connection, a killed server, a machine that is away for a day:
the run goes on, and is read on from where its twin ends.

Folders (`RunSpec.folders`) are carried there by git before the start, and what became of them back
after the end. Paths below them are rewritten in the command, the folder, the environment and the
input; the output names them as they are there. A run that follows another (`RunSpec.follows`) has
them where that one had them, as long as the host is the same.

What contains it there is the sandbox of that machine (`sandbox`), with the same network by proxy
alone; `127.0.0.1` is then that machine's. Where it can make none, or the person added the host so,
nothing but the user account there contains it, which all agents of a host share; `describe` says
which of the two it is.

Limits: this server's loopback is not there, so that an agent has no door to muster; programs
are looked for on the far PATH; empty folders, times and owners do not travel; a service manager
that kills what a user leaves behind at log-out (`KillUserProcesses`) kills runs, which are then
`lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from muster.domain.errors import Conflict, Invalid, MusterError, NotFound, Refused, Unreachable
from muster.domain.redact import SHORTEST
from muster.runtimes.base import Distance, Exit, RunSpec
from muster.runtimes.carrying import BACK, SENT, Carrier
from muster.runtimes.frames import Lost
from muster.runtimes.layout import STARTED, read_json, write_at_once
from muster.runtimes.rundir import RunDir
from muster.runtimes.ssh_hosts import Host, hosts
from muster.runtimes.twin import Twin, sizes

log = logging.getLogger("muster.runtimes")

NAME = "ssh"
NOTE = "far.json"
"""In a run directory: where the run is, and what was sent for it."""
WISH = "far.wish"
_LONG_CALL = 1800.0
_FIRST_LOOK, _LONGEST_LOOK = 0.25, 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TRIES = 5
_UNCONTAINED = "not contained: it can read, write and reach what your user there can"


@dataclass(slots=True)
class _Watched:
    """One run that is followed: who wants to hear of output, and how much it used."""

    over: asyncio.Task[Exit]
    listeners: list[Callable[[], None]] = field(default_factory=list)


class SshRuntime:
    """Runs programs on one other machine."""

    distance = Distance(loopback=False, carried=True)

    def __init__(self, host: Host | None = None, name: str = NAME) -> None:
        self.name = name
        self._host = host
        self._wire: Any = None
        self._opening = asyncio.Lock()
        self._watched: dict[Path, _Watched] = {}
        self._cpu: dict[Path, float] = {}

    @classmethod
    def places(cls, home: Path) -> dict[str, Self]:
        """The runtimes of a home: `ssh:NAME` for each host, and `ssh` for the first of them.

        The first one keeps its own name, by which its runs are found when it is no longer first.
        """
        found = {f"{NAME}:{name}": cls(h, f"{NAME}:{name}") for name, h in hosts(home).items()}
        return {NAME: next(iter(found.values()), cls()), **found}

    def available(self) -> str:
        """An empty string when this place can be used here, else the reason why not."""
        if importlib.util.find_spec("asyncssh") is None:
            return "needs asyncssh: pip install 'passmuster[ssh]'"
        if self._host is None:
            return "no host is known: muster host add NAME USER@HOST"
        return ""

    def describe(self) -> str:
        """How far a program is contained there."""
        if self._host is not None and not self._host.contained:
            return f"on that machine {_UNCONTAINED}, as its host was added"
        if self._wire is None:
            return f"contained on that machine where it can make a sandbox, else {_UNCONTAINED}"
        hello = self._wire.hello
        contained = str(hello["place"]) == "sandbox"
        return f"on that machine {hello['how'] if contained else _UNCONTAINED}"

    async def start(self, spec: RunSpec, run_dir: Path) -> None:
        """Start the program once over there; see `Runtime.start`.

        Raises:
            Invalid: a secret is too short to be hidden.
            Unreachable: the host does not answer.
            Refused: it cannot start anything; the message says why.
        """
        if RunDir(run_dir).started():
            return
        if any(len(secret.strip()) < SHORTEST for secret in spec.secrets):
            raise Invalid(
                f"a secret of run {spec.run_id} is too short to be hidden in its output",
                hint=f"use secrets of at least {SHORTEST} characters",
            )
        note = _note(run_dir)
        if spec.follows and self.stays(Path(spec.follows)) and "at" not in note:
            past = _note(Path(spec.follows))
            note = {**note, "at": past.get("at", past["run"])}
            write_at_once(str(run_dir), NOTE, json.dumps(note).encode())
        wire = await self._connected()
        sent = [await self._put(run_dir, n, Path(f)) for n, f in enumerate(spec.folders)]
        if sent:
            spec = _for_there(
                spec, str(wire.hello["path"]), _Paths(spec.folders, _place(wire, note))
            )
            note = {**note, "folders": list(spec.folders), "sent": sent, "host": self._there()}
            write_at_once(str(run_dir), NOTE, json.dumps(note).encode())
        said = asdict(spec)
        stdin = said.pop("stdin")
        said.pop("folders")
        said.pop("follows")
        await self._ask("start", stdin, **_names(note), spec=said)
        (run_dir / STARTED).touch(mode=0o600)
        self._follow(run_dir)

    async def wait(self, run_dir: Path, on_output: Callable[[], None] | None = None) -> Exit:
        """Return when the run is over, its output here and its folders back; see `Runtime.wait`.

        A host that does not answer is waited for: its run may be going on.

        Raises:
            NotFound: the run was never started.
            Refused: the host shows another key, or what came back cannot be put in its place.
        """
        record = RunDir(run_dir)
        if not record.started():
            raise NotFound(f"no run was started in {run_dir}", hint="start it first")
        if (ended := record.exit()) is not None:
            return ended
        watched = self._follow(run_dir)
        if on_output is not None:
            watched.listeners.append(on_output)
        try:
            return await asyncio.shield(watched.over)
        finally:
            if on_output is not None:
                watched.listeners.remove(on_output)

    def stays(self, run_dir: Path) -> bool:
        """Whether a run that follows the one there finds its folders under the same paths."""
        note = read_json(str(run_dir / NOTE)) or {}
        return self._host is not None and note.get("host") == self._there()

    async def catch_up(self, run_dir: Path) -> None:
        """Return when all that was there is here: who goes on must know what the run was told.

        A host that does not answer is waited for.
        """
        pause, grew = _FIRST_PAUSE, True
        while grew and RunDir(run_dir).exit() is None:
            try:
                _, grew = await self._look(run_dir, 0.0)
            except (Unreachable, Lost) as error:
                log.info("the run in %s is not in reach: %s", run_dir, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def send(self, run_dir: Path, data: bytes) -> None:
        """Write to the standard input of an interactive run, at most once.

        Raises:
            Conflict: the run is over or takes no input.
            Unreachable: the connection broke; it is not known whether the data arrived.
        """
        await self._tell(run_dir, "send", data)

    async def end_input(self, run_dir: Path) -> None:
        """Close the standard input of an interactive run.

        Raises:
            Conflict: the run is over or takes no input.
            Unreachable: the connection broke; it is not known whether the word arrived.
        """
        await self._tell(run_dir, "end_input", b"")

    async def _tell(self, run_dir: Path, verb: str, data: bytes) -> None:
        record = RunDir(run_dir)
        if not record.started() or record.exit() is not None:
            raise Conflict(
                f"the run in {run_dir} is over or takes no input",
                hint="only an interactive run that is alive can be written to",
            )
        self._follow(run_dir)
        wire, note = await self._connected(), _note(run_dir)
        there = _Paths(note.get("folders", ()), _place(wire, note))
        try:
            await wire.call(verb, there.said(data), seconds=_LONG_CALL, run=note["run"])
        except Lost as error:
            raise Unreachable(
                f"the connection to {self._known().name} broke while input was sent",
                hint="look at the output to see whether it arrived before sending it again",
            ) from error

    async def stop(self, run_dir: Path) -> None:
        """Ask the run to end as soon as its host can be told; the shim there does it."""
        await self._wish(run_dir, "stop")

    async def kill(self, run_dir: Path) -> None:
        """Kill the whole tree as soon as its host can be told."""
        await self._wish(run_dir, "kill")

    def cpu_seconds(self, run_dir: Path) -> float:
        """Processor time the live tree used as of the last news; 0.0 when unknown."""
        ended = RunDir(run_dir).exit()
        return ended.cpu_seconds if ended is not None else self._cpu.get(run_dir, 0.0)

    async def close(self) -> None:
        """Let go of the connection; runs go on."""
        watched, self._watched = list(self._watched.values()), {}
        for one in watched:
            one.over.cancel()
        await asyncio.gather(*(one.over for one in watched), return_exceptions=True)
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    # --- following ---

    def _follow(self, run_dir: Path) -> _Watched:
        """The one task that keeps a run's twin."""
        found = self._watched.get(run_dir)
        if found is None or (found.over.done() and RunDir(run_dir).exit() is None):
            found = _Watched(asyncio.create_task(self._until_over(run_dir)))
            found.over.add_done_callback(_heard)
            self._watched[run_dir] = found
        return found

    async def _until_over(self, run_dir: Path) -> Exit:
        pause, look = _FIRST_PAUSE, _FIRST_LOOK
        while True:
            try:
                told, grew = await self._look(run_dir, look)
            except (Unreachable, Lost) as error:
                log.info("the run in %s is not in reach: %s", run_dir, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            look = _FIRST_LOOK if grew else min(2 * look, _LONGEST_LOOK)
            if told["exit"] is None:
                continue
            try:
                await self._bring_back(run_dir)
            except (Unreachable, Lost):
                continue
            return await self._settled(run_dir, told["exit"])

    async def _look(self, run_dir: Path, seconds: float) -> tuple[dict[str, Any], bool]:
        wire = await self._connected()
        note = _note(run_dir)
        await self._pass_on(run_dir, note["run"])
        have = await asyncio.to_thread(sizes, run_dir)
        told, data = await wire.call("watch", run=note["run"], have=have, patience=seconds)
        twin = Twin(run_dir)
        try:
            grew = await asyncio.to_thread(twin.take, told["parts"], data, told["there"])
        except ValueError as error:
            raise Refused(str(error), hint="is the far side what you think it is?") from error
        if not have:
            twin.keep(told["documents"])
        self._cpu[run_dir] = float(told["cpu"])
        if grew and run_dir in self._watched:
            for listener in list(self._watched[run_dir].listeners):
                listener()
        return told, grew

    async def _settled(self, run_dir: Path, said: dict[str, Any]) -> Exit:
        twin = Twin(run_dir)
        told, _ = await self._ask("watch", run=_note(run_dir)["run"], have={}, patience=0.0)
        twin.keep(told["documents"])
        twin.end(said, str(told["last"]))
        ended = RunDir(run_dir).exit()
        assert ended is not None
        self._cpu.pop(run_dir, None)
        (run_dir / WISH).unlink(missing_ok=True)
        with contextlib.suppress(MusterError, Lost):  # tidied later by the helper itself
            await self._ask("forget", **_names(_note(run_dir)))
        return ended

    # --- wishes ---

    async def _wish(self, run_dir: Path, word: str) -> None:
        record = RunDir(run_dir)
        if not record.started() or record.exit() is not None:
            return
        # Written down first: a cut or a crash does not lose it.
        if word == "kill" or not (run_dir / WISH).exists():
            write_at_once(str(run_dir), WISH, word.encode())
        self._follow(run_dir)
        with contextlib.suppress(Unreachable, Lost):
            await self._connected()
            await self._pass_on(run_dir, _note(run_dir)["run"])

    async def _pass_on(self, run_dir: Path, run: str) -> None:
        path = run_dir / WISH
        try:
            word = path.read_text("ascii")
        except FileNotFoundError:
            return
        await self._ask(word, run=run)
        with contextlib.suppress(FileNotFoundError):
            if path.read_text("ascii") == word:
                path.unlink(missing_ok=True)

    # --- folders ---

    async def _put(self, run_dir: Path, n: int, folder: Path) -> str:
        """Carry a folder there; the commit that it travelled as."""
        carrier = Carrier(folder, run_dir / f"carry-{n}.git")
        commit, data = await asyncio.to_thread(carrier.pack, SENT)
        await self._ask(
            "put",
            data,
            seconds=_LONG_CALL,
            **_names(_note(run_dir)),
            n=n,
            commit=commit,
            repository=(folder / ".git").exists(),
        )
        return commit

    async def _bring_back(self, run_dir: Path) -> None:
        note = _note(run_dir)
        for n, (folder, since) in enumerate(
            zip(note.get("folders", ()), note.get("sent", ()), strict=True)
        ):
            wire = await self._connected()
            told, data = await wire.call(
                "take", seconds=_LONG_CALL, **_names(note), n=n, since=since
            )
            carrier = Carrier(Path(folder), run_dir / f"carry-{n}.git")
            await asyncio.to_thread(carrier.unpack, told["commit"], data, BACK)
            await asyncio.to_thread(carrier.remove)

    # --- the connection ---

    def _there(self) -> list[Any]:
        """What tells one account of one machine from another."""
        host = self._known()
        return [host.user, host.address, host.port, host.host_key]

    def _known(self) -> Host:
        if why := self.available():
            raise Refused(f"the runtime {self.name} {why}", hint=why)
        assert self._host is not None
        return self._host

    async def _connected(self) -> Any:
        """The live connection, made anew if there is none."""
        async with self._opening:
            if self._wire is None or not self._wire.alive:
                host = self._known()
                old, self._wire = self._wire, None
                if old is not None:
                    await old.close()
                wire = _module().Wire(host)
                try:
                    await wire.open()
                except BaseException:
                    await wire.close()
                    raise
                self._wire = wire
            return self._wire

    async def _ask(self, verb: str, body: bytes = b"", **head: Any) -> tuple[dict[str, Any], bytes]:
        """Ask something that may be asked again, until it is answered.

        Raises:
            Unreachable: the host did not answer.
        """
        for _ in range(_TRIES):
            wire = await self._connected()
            with contextlib.suppress(Lost):
                answer: tuple[dict[str, Any], bytes] = await wire.call(verb, body, **head)
                return answer
        raise Unreachable(
            f"the connection to {self._known().name} breaks again and again", hint="try again later"
        )


def _module() -> Any:
    """What needs asyncssh, loaded when a host is first spoken to."""
    return importlib.import_module("muster.runtimes.ssh_wire")


def _heard(over: asyncio.Task[Exit]) -> None:
    """Say what ended a watch that nobody waits for."""
    if not over.cancelled() and (error := over.exception()) is not None:
        log.warning("a run over SSH is no longer followed: %s", error)


def _note(run_dir: Path) -> dict[str, Any]:
    """Where a run is over there; decided once, by whoever asks first."""
    path = run_dir / NOTE
    draft = run_dir / f".{NOTE}.{os.urandom(6).hex()}"
    if not path.exists():
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps({"run": os.urandom(16).hex()}))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    note = read_json(str(path))
    if note is None:
        raise NotFound(f"{path} is gone", hint="the run cannot be found again without it")
    return note


def _place(wire: Any, note: dict[str, Any]) -> str:
    """The folder of a run over there."""
    return f"{wire.hello['root']}/runs/{note.get('at', note['run'])}"


def _names(note: dict[str, Any]) -> dict[str, Any]:
    """A run over there, and the one in whose place its folders are."""
    return {"run": note["run"], "at": note.get("at", note["run"])}


class _Paths:
    """The folders of a run by their paths here, and what they are called over there."""

    def __init__(self, folders: Sequence[str], place: str) -> None:
        named = [(folder, f"{place}/f{n}") for n, folder in enumerate(folders)]
        self._named = sorted(named, key=lambda item: -len(item[0]))

    def text(self, text: str) -> str:
        """A text that names them, for there."""
        for here, there in self._named:
            text = text.replace(here, there)
        return text

    def said(self, data: bytes) -> bytes:
        """Input that names them, for there: a two-way program is told where it works."""
        for here, there in self._named:
            data = data.replace(here.encode(), there.encode())
        return data


def _for_there(spec: RunSpec, far_path: str, paths: _Paths) -> RunSpec:
    """The same run with the paths and programs of the far side."""
    program, *words = spec.argv
    moved_program = paths.text(program)
    if moved_program == program and program.startswith("/"):
        moved_program = Path(program).name
    return RunSpec(
        run_id=spec.run_id,
        argv=(moved_program, *map(paths.text, words)),
        cwd=paths.text(spec.cwd),
        env={**{name: paths.text(value) for name, value in spec.env.items()}, "PATH": far_path},
        stdin=paths.said(spec.stdin),
        interactive=spec.interactive,
        limits=spec.limits,
        secrets=spec.secrets,
        folders=spec.folders,
        writable=tuple(map(paths.text, spec.folders)),
        network=spec.network,
    )
