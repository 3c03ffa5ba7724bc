"""What every test leans on: hermetic surroundings, real repositories, parts that may be absent."""

from __future__ import annotations

import faulthandler
import gc
import math
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from house import left_behind, measuring
from house.parts import PARTS, chromium, is_required, why_absent

# The shared suites explain their failed assertions; they must be named before anybody loads them.
pytest.register_assert_rewrite(
    "contracts.runtime", "contracts.supervised", "contracts.two_way", "contracts.driver",
    "contracts.store", "contracts.workspace",
)  # fmt: skip

NEEDS = "needs_"
LEFT_OUT = pytest.StashKey[int]()
LEFT_BEHIND = pytest.StashKey[list[str]]()
WATCHDOG = pytest.StashKey["Watchdog"]()
LEFT_BEHIND_STATUS = 8
"""pytest's own end at 5; `make test` tries no test again after this one."""
GRACE_SECONDS = float(os.environ.get("MUSTER_GRACE_SECONDS", "120"))
"""How much longer than its limit a test may take to end."""
_SLOWEST = 30
REQUIRED = os.environ.get("MUSTER_REQUIRE", "")
LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
NO_HOME = "/dev/null/name-a-home-in-the-test"
GIT_SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "A Person"),
        ("EMAIL", "person@example.org"),
        ("DATE", "2026-01-02T03:04:05+00:00"),
    )
}

# Hypothesis judges neither the test nor the drawing of examples by how long it took.
UNHURRIED: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
    "print_blob": True,
}
hypothesis.settings.register_profile("short", **UNHURRIED)
hypothesis.settings.register_profile("long", **UNHURRIED, max_examples=5000)
hypothesis.settings.load_profile("long" if LONG else "short")


# --- surroundings ---------------------------------------------------------------------------------


def _make_hermetic(seed: int) -> None:
    """No setting of the person or the machine reaches a test; a home must be named to be used."""
    keep = {"MUSTER_REQUIRE", "MUSTER_LONG", "MUSTER_GRACE_SECONDS"}
    for name in list(os.environ):
        if name.startswith(("MUSTER_", "GIT_")) and name not in keep:
            del os.environ[name]
    for name in ("GITHUB_TOKEN", "GITHUB_OWNER", "GITHUB_API_URL", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    os.environ.update(GIT_SETTINGS)
    os.environ.update(MUSTER_SEED=str(seed), MUSTER_HOME=NO_HOME, TZ="UTC")


def _hear_signals() -> None:
    """A run in the background or under nohup ignores these; the programs it starts would too."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fix the seed, clear the surroundings, and name the markers."""
    given = os.environ.get("MUSTER_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(2**31)
    _make_hermetic(seed)
    _hear_signals()
    left_behind.begin()
    config.stash[LEFT_BEHIND] = []
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(seed)
    config.stash[WATCHDOG] = Watchdog(config)
    config.stash[WATCHDOG].start()
    config.addinivalue_line("markers", "long: takes minutes; runs only under `make test-long`")
    config.addinivalue_line("markers", "by_the_shim: long where another place shows it")
    for part in PARTS.values():
        config.addinivalue_line("markers", f"{NEEDS}{part.name}: needs {part.what}")


def pytest_report_header() -> str:
    """Say how this run can be repeated."""
    required = f"; MUSTER_REQUIRE={REQUIRED}" if REQUIRED else ""
    return f"MUSTER_SEED={os.environ['MUSTER_SEED']} repeats this run's random choices{required}"


# --- hanging --------------------------------------------------------------------------------------


class Watchdog(threading.Thread):
    """Ends the process when a test hangs even while it is being ended.

    pytest's own limits stand down once a test has failed, so that its teardown may hang for ever.
    Beside other workers only this one is lost, and its test is reported as failed.
    """

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._config = config
        self._usual = float(config.getoption("timeout") or config.getini("timeout"))
        self._test = ""
        self._deadline = math.inf

    def watch(self, item: pytest.Item) -> None:
        """Give a test its own limit and then some."""
        own = item.get_closest_marker("timeout")
        limit = float(own.args[0]) if own and own.args else self._usual
        self._test = item.nodeid
        self._deadline = time.monotonic() + limit + GRACE_SECONDS

    def rest(self) -> None:
        """The test is over."""
        self._deadline = math.inf

    def run(self) -> None:
        """Look once a second."""
        while time.monotonic() < self._deadline:
            time.sleep(1)
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=False)
        os.write(2, f"\n{self._test} hangs and does not end; so this process does\n".encode())
        faulthandler.dump_traceback(file=2)
        os._exit(70)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch each test from its setup to the end of its teardown."""
    watchdog = item.config.stash[WATCHDOG]
    watchdog.watch(item)
    measuring.choose(item.path)
    if (examples := getattr(getattr(item, "function", None), "hypothesis", None)) is not None:
        examples.inner_test = measuring.counted(examples.inner_test)
    try:
        return (yield)
    finally:
        measuring.go_on()
        watchdog.rest()


# --- parts that may be absent ---------------------------------------------------------------------


def _needed(keywords: Mapping[str, object]) -> list[str]:
    return [name for name in PARTS if NEEDS + name in keywords]


def _is_long(item: pytest.Item) -> bool:
    elsewhere = getattr(getattr(item, "cls", None), "shim_is_shown_elsewhere", False)
    marks = ("long", "by_the_shim") if elsewhere else ("long",)
    return any(item.get_closest_marker(mark) for mark in marks)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make test-long`."""
    if LONG:
        return
    long = [item for item in items if _is_long(item)]
    config.stash[LEFT_OUT] = len(long)
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not _is_long(item)]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Load the tests, which stay: none of it is garbage, nor to be looked through for any later."""
    if not measuring.is_first():
        measuring.rest()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        measuring.go_on()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where tests left something behind; tell the process that prints the summary."""
    stash, told = session.config.stash, getattr(session.config, "workeroutput", None)
    if not session.config.pluginmanager.hasplugin("dsession"):
        stash[LEFT_BEHIND] += left_behind.found(min(GRACE_SECONDS, 30))
    if told is not None:
        told.update(left_out=stash.get(LEFT_OUT, 0), left_behind=stash[LEFT_BEHIND])
    elif stash[LEFT_BEHIND]:
        session.exitstatus = LEFT_BEHIND_STATUS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it; each worker collects all tests, so that any one of them knows."""
    told = getattr(node, "workeroutput", {})
    node.config.stash[LEFT_OUT] = told.get("left_out", 0)
    node.config.stash[LEFT_BEHIND] += told.get("left_behind", [])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose part is not there, or fail it where that part is required."""
    for name in _needed({mark.name: mark for mark in item.iter_markers()}):
        if not (why := why_absent(name)):
            continue
        said = f"needs {PARTS[name].what}: {why}; to enable: {PARTS[name].enable}"
        if is_required(name, REQUIRED):
            pytest.fail(f"{said} (MUSTER_REQUIRE={REQUIRED})", pytrace=False)
        pytest.skip(said)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where everything is required, a test that was skipped for any reason has failed."""
    if REQUIRED == "all" and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped under MUSTER_REQUIRE=all: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn skips into failures where everything is required."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips itself."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List what did not run here and the command that enables each."""
    skipped: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        for name in _needed(report.keywords):
            if why_absent(name):
                skipped[name] = skipped.get(name, 0) + 1
    long = config.stash.get(LEFT_OUT, 0)
    terminalreporter.section("Skipped here, and how to enable")
    for name, count in sorted(skipped.items()):
        part = PARTS[name]
        terminalreporter.line(f"{count:4d} need {part.what} ({why_absent(name)}): {part.enable}")
    if long:
        terminalreporter.line(f"{long:4d} are long: make test-long")
    if not skipped and not long:
        terminalreporter.line("nothing: every part that a test needs was there")
    _say_where_the_time_went(terminalreporter)
    if left := config.stash[LEFT_BEHIND]:
        terminalreporter.section("Left behind by the tests, which is a failure", red=True)
        for line in left:
            terminalreporter.line(line)


def _say_where_the_time_went(terminalreporter: pytest.TerminalReporter) -> None:
    """The files whose tests took longest, with what each test took together; all workers added."""
    took: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[report.nodeid.partition("::")[0]] += report.duration
    slow = [(file, seconds) for file, seconds in took.most_common(_SLOWEST) if seconds >= 1]
    if slow:
        terminalreporter.section(f"The slowest files, of {sum(took.values()):.0f} s in all")
        for file, seconds in slow:
            terminalreporter.line(f"{seconds:7.1f} s  {file}")


# --- generic fixtures -----------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    left_behind.belongs(tmp_path_factory.getbasetemp())


@pytest.fixture
def seed() -> int:
    """The seed of this run; a test that draws numbers starts its generator from it."""
    return int(os.environ["MUSTER_SEED"])


@pytest.fixture
def chromium_path() -> str:
    """The browser's program; mark the test `needs_chromium`."""
    found = chromium()
    assert found, "mark the test with needs_chromium"
    return found


@pytest.fixture
def claude_path() -> str:
    """The real Claude Code CLI; mark the test `needs_claude`."""
    found = shutil.which("claude")
    assert found, "mark the test with needs_claude"
    return found


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Any]:
    """A Docker engine of the tests' own (`house.dockerd`); mark the test `needs_docker`."""
    with import_module("house.dockerd").dockerd() as engine:
        yield engine


def _unmount_below(folder: Path) -> None:
    """Let go of mounts that a killed server left, innermost first."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return
    points = [line.split()[1] for line in mounts.read_text().splitlines()]
    for point in reversed([p for p in points if p.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


@contextmanager
def _fresh_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mu-"))
    left_behind.belongs(folder)
    yield folder
    _unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh state folder with a path short enough for the sockets below it."""
    with _fresh_home() as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """One such folder for all tests of a file."""
    with _fresh_home() as folder:
        yield folder


def run_git(folder: Path, *args: str) -> str:
    """Run git in a folder, untouched by any configuration outside it; its output, stripped."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *args],
        cwd=folder,
        env=env | GIT_SETTINGS | IDENTITY,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def git() -> Callable[..., str]:
    """Run git hermetically: `git(folder, "log", "--oneline")`."""
    return run_git


SAMPLE = {
    "README.md": "A sample.\n",
    "sums.py": "def add(a, b):\n    return a + b\n",
    "test_sums.py": "from sums import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}


@pytest.fixture
def git_repo(tmp_path: Path) -> Callable[..., Path]:
    """Make a small real repository with one commit: `git_repo("name", files={path: text})`."""

    def make(name: str = "sample", files: Mapping[str, str] = SAMPLE, branch: str = "main") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        run_git(folder, "init", "--quiet", f"--initial-branch={branch}")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        run_git(folder, "add", "--all")
        run_git(folder, "commit", "--quiet", "--allow-empty", "--message", "Start")
        return folder

    return make
