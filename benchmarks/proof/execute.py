"""Runs one command over the files of a tree, once: how it went is kept by the contents."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import resource
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.proof.trees import Tree, digest
from muster.domain.errors import Invalid
from muster.supervision import junit
from muster.supervision.beside import REPORT
from muster.supervision.evidence import CheckResult
from muster.supervision.runner_python import Pytest
from muster.supervision.stage import GIVEN, Beside

MEMORY = 3_000_000_000
PATIENCE = 4
"""How much longer than on the base a run may take before it counts as endless."""
TAIL = 4096
OUTPUT = 100_000
NOTHING = Beside()
PYTEST = Pytest()
FORMAT = "1"
"""Changes when kept outcomes mean something else than before."""


@dataclass(frozen=True)
class Ran:
    """How a run went, and the processor seconds that it cost."""

    result: CheckResult
    cpu: float

    def named(self, name: str) -> CheckResult:
        """The result under the name that a plan gives its run."""
        return replace(self.result, name=name)


class Runner:
    """Runs commands of one environment in slots: folders whose unchanged files stay in place."""

    def __init__(
        self, cache: Path, environment: Path, root: str, slots: int, scratch: Path
    ) -> None:
        self._cache = cache / "outcomes"
        self._environment = environment
        self._root = root
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self.made = 0
        for number in range(slots):
            self._free.put(scratch / f"slot{number}")

    def run(self, tree: Tree, command: str, seconds: float = 120, beside: Beside = NOTHING) -> Ran:
        """How the command goes over these files; from the cache when it went before.

        `seconds` bounds its processor time. `beside` is what it is given, as stages give it.
        """
        name = self._name(tree, command, beside)
        kept = self._cache / name[:2] / f"{name}.json"
        with self._lock:
            turn = self._turns.setdefault(name, threading.Lock())
        with turn:
            if kept.exists():
                return _read(kept)
            ran = self._run(tree, command, seconds, beside)
            _write(kept, ran)
            self.made += 1
            return ran

    def _name(self, tree: Tree, command: str, beside: Beside) -> str:
        given = () if beside == NOTHING else (beside.digest,)
        parts = (FORMAT, self._environment.name, self._root, command, *given, digest(tree))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _run(self, tree: Tree, command: str, seconds: float, beside: Beside) -> Ran:
        with self._slot() as slot:
            files, spare = slot / "files", slot / "spare"
            lay(files, tree)
            shutil.rmtree(spare, ignore_errors=True)
            spare.mkdir(parents=True)
            report = spare / "junit.xml"
            env = self._variables(files, spare, command, report, beside)
            most = min(seconds, beside.seconds or seconds)
            (spare / "input").write_text(beside.stdin, "utf-8")
            code, why, wall, cpu = _execute(command, files, env, spare, most)
            output = (spare / "output").read_bytes()[-OUTPUT:].decode("utf-8", "replace")
            result = CheckResult(
                name="",
                command=command,
                exit_code=code,
                why=why,
                seconds=round(wall, 3),
                run_id="",
                tail=output[-TAIL:],
                tests=_tests(report),
                output=output,
                root=str(files),
                left=_left(files, spare / "given", beside.report),
            )
            return Ran(result, round(cpu, 3))

    def _variables(
        self, files: Path, spare: Path, command: str, report: Path, beside: Beside
    ) -> dict[str, str]:
        given = spare / "given"
        for name, words in beside.files.items():
            (given / name).parent.mkdir(parents=True, exist_ok=True)
            (given / name).write_text(words, "utf-8")
        told = PYTEST.telling(command)
        env = (beside.also(told[1]) if told else beside).env
        path = shlex.quote(str(report))
        own = {n: v.replace(GIVEN, str(given)).replace(REPORT, path) for n, v in env.items()}
        paths = filter(None, (own.get("PYTHONPATH"), str(files / self._root)))
        inherited = {k: v for k, v in os.environ.items() if k in {"LANG", "LC_ALL", "TZ"}}
        return {
            **inherited,
            "PATH": f"{self._environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONHASHSEED": "0",
            "HOME": str(spare),
            "TMPDIR": str(spare),
            "MUSTER_GIVEN": str(given),
            "MUSTER_TREE": str(files),
            **own,
            "PYTHONPATH": ":".join(paths),
            "MUSTER_JUNIT": str(report),
        }

    @contextmanager
    def _slot(self) -> Iterator[Path]:
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)


def lay(folder: Path, tree: Tree) -> None:
    """Make the folder hold exactly these files; byte code of unchanged ones stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        own = str(path.relative_to(folder))
        if path.is_symlink() or path.is_file():
            if own not in tree and path.suffix != ".pyc":
                path.unlink()
        elif path.name != "__pycache__" and not any(path.iterdir()):
            path.rmdir()
    for name, data in tree.items():
        target = folder / name
        if target.is_file() and target.read_bytes() == data:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
            stale.unlink()


def _execute(
    command: str, files: Path, env: dict[str, str], spare: Path, seconds: float
) -> tuple[int | None, str, float, float]:
    """Exit status, why it is over, wall and processor seconds; nothing of it outlives the call."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        most = int(seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 2))

    began = time.monotonic()
    with (spare / "output").open("wb") as sink, (spare / "input").open("rb") as words:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=files,
            env=env,
            stdin=words,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=bounded,
        )
        late = threading.Timer(seconds * 4 + 20, _kill, (process.pid,))
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        _kill(process.pid)
    code = process.returncode
    over = code in {-signal.SIGKILL, -signal.SIGXCPU, 128 + signal.SIGKILL, 128 + signal.SIGXCPU}
    wall, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
    return (None, "timeout", wall, cpu) if over else (code, "exit", wall, cpu)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _tests(report: Path) -> dict[str, str] | None:
    if not report.is_file():
        return None
    try:
        return junit.parse(report.read_bytes())
    except Invalid:
        return None


def _left(files: Path, given: Path, report: str) -> str | None:
    """The report that a stage wants."""
    if not report:
        return None
    root = given if report.startswith(GIVEN) else files
    path = root / report.removeprefix(GIVEN).lstrip("/")
    return path.read_text("utf-8", "replace") if path.is_file() else None


def _read(kept: Path) -> Ran:
    document = json.loads(kept.read_text("utf-8"))
    return Ran(CheckResult(**document["result"]), document["cpu"])


def _write(kept: Path, ran: Ran) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{threading.get_ident()}")
    draft.write_text(json.dumps(asdict(ran)), "utf-8")
    draft.replace(kept)
