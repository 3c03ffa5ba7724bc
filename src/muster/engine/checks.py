"""Running a project's own commands: in a clean workspace, contained like an agent, once."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import shutil
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from muster.domain.errors import Invalid
from muster.domain.secret_names import secrets_in
from muster.engine.follow import run_to_end
from muster.engine.foreign import read_small
from muster.engine.kept_out import kept_out
from muster.engine.ran_into import limits_reached, tell_of_check
from muster.engine.reach import Wanted, programs_in, reach_of
from muster.engine.tools import Job, Tools, in_thread, limits_of, place_of, program_of
from muster.runtimes.base import Exit, RunSpec, Why
from muster.runtimes.rundir import RunDir
from muster.supervision.beside import GIVEN, REPORT, Beside
from muster.supervision.evidence import CheckResult
from muster.supervision.runner import Ran, Runner, Said, by_junit, package_path
from muster.vault import environment
from muster.workspace.base import Workspace

log = logging.getLogger("muster.engine")

_TAIL = 4096
_MOST_OUTPUT = 400_000
_LARGEST_REPORT = 20_000_000
_LARGEST_LEFT = 8_000_000
_NOWHERE = "nowhere.invalid"
"""A host that there never is (RFC 6761): who may reach it alone is refused all, and it is told."""
LOST_ALLOWED = 20
"""How often a run that was killed with its supervisor is begun anew."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command at one commit. `name` is its place in the evidence (`base`, `result`, …).

    With `save_layer` what the command leaves in its workspace is kept under that key. One that
    `reaches_index` may go to `setup_network` of the project besides its `network`. `repo` has the
    commit, where it is not the task's own; `addopts` is what pytest is told besides. `beside` is
    what a stage of evidence gives it.
    """

    name: str
    command: str
    commit: str
    near: str | None = None
    layer: str | None = None
    save_layer: str | None = None
    reaches_index: bool = False
    beside: Beside | None = None
    repo: str = ""
    addopts: str = ""


async def run_cached(
    tools: Tools, job: Job, command: Command, where: Path, *, green_alone: bool = False
) -> CheckResult:
    """Tell how a command went before on the same files, or run it.

    Two tasks that need the same one share it. With `green_alone` one that failed is run again.
    """
    kept = await _where_kept(tools, job, command)
    async with tools.lock(f"check {kept.name}"):
        known = await in_thread(_known, kept, command)
        if known is None or (green_alone and known.exit_code != 0):
            return await run_fresh(tools, job, command, where)
        return known


async def run_fresh(tools: Tools, job: Job, command: Command, where: Path) -> CheckResult:
    """Run a command whatever is known, and keep how it went: work is the base of what follows."""
    result = await run_command(tools, job, command, where)
    await keep(tools, job, command, result)
    return result


async def keep(tools: Tools, job: Job, command: Command, result: CheckResult) -> None:
    """Remember how a command went, if it ended by itself."""
    if result.why == Why.EXIT:
        await in_thread(_keep, await _where_kept(tools, job, command), job, result)


async def _where_kept(tools: Tools, job: Job, command: Command) -> Path:
    place = await place_of(tools, job)
    return await in_thread(_kept, tools, job, command, place.name)


def _kept(tools: Tools, job: Job, command: Command, place: str) -> Path:
    """Where the outcome is kept: by the command, the files, the layer below, place and image."""
    repo = command.repo or job.repo
    tree = tools.workspaces.tree(repo, command.commit)
    settings = job.settings
    reach = (place, *(settings.network or ()), "", *(settings.readable or ()), settings.image or "")
    given: tuple[str, ...] = (command.beside.digest,) if command.beside else ()
    told = telling(tools, job, command)
    # A variable alone changes nothing of how the command goes.
    if told.line != command.command or told.beside.files:
        given += (told.line, told.beside.digest)
    parts = (repo, tree, command.command, command.layer or "", *reach, *given)
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return tools.settings.home / "cache" / "checks" / f"{name}.json"


def _known(kept: Path, command: Command) -> CheckResult | None:
    if not kept.exists():
        return None
    return CheckResult(**{**json.loads(kept.read_text("utf-8")), "name": command.name})


def _keep(kept: Path, job: Job, result: CheckResult) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{job.task.id}")
    draft.write_text(json.dumps(asdict(result)), "utf-8")
    draft.replace(kept)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is run in a command's place so that `runner` tells of single tests."""

    line: str
    beside: Beside = field(default_factory=Beside)
    runner: Runner | None = None


def telling(tools: Tools, job: Job, command: Command) -> Telling:
    """How a command is run: as it is, unless it is the test command or what a stage made of it."""
    plain = Telling(command.command)
    tests = (job.settings.test_command or "").strip()
    if not tests or (command.beside is None and command.command != tests):
        return plain
    runner = runner_at(tools, command.repo or job.repo, tests, command.commit)
    told = runner.telling(command.command) if runner is not None else None
    if told is None:
        return plain
    line, beside = told
    if command.addopts and "PYTEST_ADDOPTS" in beside.env:
        beside = Beside({"PYTEST_ADDOPTS": command.addopts}).also(beside)
    return Telling(line, beside, runner)


def runner_at(tools: Tools, repo: str, tests: str, commit: str) -> Runner | None:
    """What a test command starts, with the scripts that there are at a commit."""

    def package() -> str | None:
        found = tools.workspaces.find_file(repo, commit, package_path(tests))
        return None if found is None else found.decode("utf-8", "replace")

    return tools.runners.of(tests, package)


async def run_command(tools: Tools, job: Job, command: Command, where: Path) -> CheckResult:
    """Run a command in a workspace of its own under the shim; again after a crash is fine.

    The run directory below `where` names the run: one that is going on is adopted, one that has
    ended is read. One that was killed together with its supervisor proves nothing: it is run anew.
    """
    again = 0
    while True:
        result = await _run(tools, job, command, where, f"{_folder(command)}-{again}")
        again += 1
        if result.why != Why.LOST or again >= LOST_ALLOWED:
            return result


async def _run(tools: Tools, job: Job, command: Command, where: Path, name: str) -> CheckResult:
    run_dir = where / name
    run_id = f"{job.task.id}-{job.task.attempt}-{run_dir.name}"
    runtime = await place_of(tools, job)
    private = where / f"{run_dir.name}.home"
    report = private / "junit.xml"
    told = await in_thread(telling, tools, job, command)
    mounted = runtime.distance.mounted
    workspace = await in_thread(
        _furnish, tools, job, command, f"{run_id}-check", private / "tmp", mounted
    )
    beside = (command.beside or Beside()).also(told.beside)
    if not RunDir(run_dir).started():
        await in_thread(_give, beside, private)
    env = environment(
        tools.settings.environ,
        private,
        {
            "MUSTER_PORT_BASE": str(workspace.ports[0]),
            "MUSTER_PORT_COUNT": str(workspace.ports[1]),
            "MUSTER_JUNIT": str(report),
            **_given(command, beside, private, report, workspace),
        },
    )
    _, options = program_of(tools, job)
    programs = (command.command, job.settings.test_command if command.beside else None)
    named = (path for line in programs if line for path in programs_in(line))
    readable = (*named, *options.get("readable", ()))
    needs = Wanted(network=_index(job, command), readable=readable)
    longest = job.settings.check_timeout_minutes * 60
    spec = RunSpec(
        run_id=run_id,
        argv=("/bin/sh", "-c", told.line),
        cwd=str(workspace.tree),
        env=env,
        stdin=beside.stdin.encode(),
        limits=limits_of(job, min(longest, beside.seconds or longest)),
        secrets=secrets_in(tools.settings.environ),
        **reach_of(tools, job, workspace, (str(private),), env, needs),
    )
    await runtime.start(spec, run_dir)
    exit_ = await run_to_end(runtime, run_dir, tools.wish(job.task.id), _nothing)
    await tell_of_check(tools, job, command.name, run_dir, exit_)
    if command.save_layer and exit_.code == 0:
        await in_thread(tools.workspaces.save_layer, workspace, command.save_layer)
    read = partial(_read, command, run_id, run_dir, report, told.runner)
    result = await in_thread(read, exit_, str(workspace.tree))
    if beside.report:
        result = replace(result, left=await in_thread(_left, beside, private, workspace, run_dir))
    setting = "setup_network" if command.reaches_index else "network"
    why = await in_thread(kept_out, runtime, run_dir, job.project, env, exit_.code, setting)
    why = "; ".join([*(limit["text"] for limit in limits_reached(exit_)), *filter(None, [why])])
    if why:
        result = replace(result, tail=f"{result.tail}\nmuster: {why}\n"[-_TAIL:])
    tools.aside("clearing up after a check", in_thread(_clear, tools, workspace, private / "tmp"))
    return result


def _furnish(
    tools: Tools, job: Job, command: Command, workspace_id: str, scratch: Path, mounted: bool
) -> Workspace:
    scratch.mkdir(parents=True, exist_ok=True)
    return tools.workspaces.open(
        workspace_id,
        command.repo or job.repo,
        command.commit,
        near=command.near,
        ports=job.settings.ports,
        layer=command.layer,
        for_all=mounted,
    )


def _give(beside: Beside, private: Path) -> None:
    """Put the files there that a stage gives; once a program has run it may have moved anything."""
    for name, text in beside.files.items():
        path = private / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _given(
    command: Command, beside: Beside, private: Path, report: Path, workspace: Workspace
) -> dict[str, str]:
    """The variables that a stage and a runner give, and where what they give is found."""
    folder = str(private / "given")
    path = shlex.quote(str(report))
    env = {n: v.replace(GIVEN, folder).replace(REPORT, path) for n, v in beside.env.items()}
    if command.beside or beside.files:
        env |= {"MUSTER_GIVEN": folder, "MUSTER_TREE": str(workspace.tree)}
    return env


def _left(beside: Beside, private: Path, workspace: Workspace, run_dir: Path) -> str | None:
    """The report that a stage wants; kept where no program reaches it, and longer than those."""
    kept = run_dir / "left"
    root = private / "given" if beside.report.startswith(GIVEN) else workspace.tree
    path = root / beside.report.removeprefix(GIVEN).lstrip("/")
    data = read_small(kept, _LARGEST_LEFT)
    if data is None and path.resolve().is_relative_to(root.resolve()):
        data = read_small(path, _LARGEST_LEFT)
        if data is not None:
            kept.write_bytes(data)
    return None if data is None else data.decode("utf-8", "replace")


def _index(job: Job, command: Command) -> tuple[str, ...]:
    """Where a setup command may go besides; its network has a gate also where nothing is let."""
    if not command.save_layer:
        return ()
    return (*((job.settings.setup_network or ()) if command.reaches_index else ()), _NOWHERE)


def _clear(tools: Tools, workspace: Workspace, scratch: Path) -> None:
    tools.workspaces.discard(workspace)
    shutil.rmtree(scratch, ignore_errors=True)


def _nothing(_data: bytes) -> None:
    """The output is read from the run directory when the run is over."""


def _folder(command: Command) -> str:
    name = "".join(c if c.isalnum() else "-" for c in command.name)
    said = command.command + (command.beside.digest if command.beside else "")
    return f"{name}-{command.commit[:12]}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _read(
    command: Command,
    run_id: str,
    run_dir: Path,
    report: Path,
    runner: Runner | None,
    exit_: Exit,
    root: str,
) -> CheckResult:
    output = _end(run_dir, _MOST_OUTPUT)
    left = read_small(report, _LARGEST_REPORT)
    said = _said(runner, Ran(left, output, partial(_whole, run_dir), root))
    output = output if said.output is None else said.output
    return CheckResult(
        name=command.name,
        command=command.command,
        exit_code=exit_.code,
        why=str(exit_.why),
        seconds=round(max(0.0, exit_.ended_at - exit_.started_at), 3),
        run_id=run_id,
        tail=output[-_TAIL:],
        tests=said.tests,
        output=output,
        root=root,
    )


def _end(run_dir: Path, most: int) -> str:
    reader = RunDir(run_dir)
    page = reader.log(max(0, reader.log_size() - most), most)
    return "".join(item.text for item in page.items)


def _whole(run_dir: Path) -> str | None:
    """All of standard output, where all of it was kept."""
    reader, data = RunDir(run_dir), b""
    size = reader.size("out")
    while len(data) < size:
        piece = reader.read("out", len(data), size - len(data))
        if piece.truncated or not piece.data:
            return None
        data += piece.data
    return data.decode("utf-8", "replace")


def _said(runner: Runner | None, ran: Ran) -> Said:
    """How single tests ended; nothing of what cannot be read."""
    try:
        return (runner.read if runner is not None else by_junit)(ran)
    except Invalid:
        return Said(None)
    except Exception:  # a stranger's runner
        log.exception("a test runner could not read what was left")
        return Said(None)
