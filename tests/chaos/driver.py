"""Kill the server again and again while clients submit, then prove that nothing was lost.

Run by hand: `python tests/chaos/driver.py --tasks 1000 --kills 60`; CI runs a shorter form. The
seed is printed, so that a run can be repeated.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

AGENT = """
import os, random, sys, time
task, ledger = os.environ["MUSTER_TASK"], os.environ["LEDGER"]
def note(word):
    with open(os.path.join(ledger, task), "a") as file:
        file.write(f"{word} {os.getpid()} {time.monotonic()}\\n")
note("start")
time.sleep(random.uniform(0.05, 0.5))
with open(f"{task}.txt", "w") as file:
    file.write(task)
note("end")
"""

GIT = (
    "git",
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.org",
    "-c",
    "init.defaultBranch=main",
)


@dataclass
class Field:
    """Everything of one chaos run on disk, and the server under fire."""

    root: Path
    env: dict[str, str]
    server: subprocess.Popen | None = None
    acknowledged: dict[str, str] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    adopted: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def home(self) -> Path:
        return self.root / "home"

    def prepare(self, concurrent: int) -> None:
        repo, ledger = self.root / "repo", self.root / "ledger"
        for folder in (self.home, repo, ledger):
            folder.mkdir()
        (self.root / "agent.py").write_text(AGENT)
        (self.home / "config.toml").write_text(
            'disk_floor_mb = 1\nport = 0\ntest_command = "true"\nautonomy = "full"\n'
            'runtime = "process"\n'  # its agents keep a ledger that all of them write to
            f"max_concurrent = {concurrent}\n[agents.work]\n"
            f'driver = "command"\ncommand = ["{sys.executable}", "-I", "{self.root}/agent.py"]\n'
            f'env = {{ LEDGER = "{ledger}" }}\n'
        )
        (repo / "readme").write_text("hello\n")
        for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
            subprocess.run([*GIT, *args], cwd=repo, check=True)

    def start(self) -> None:
        began = time.monotonic()
        (self.home / "server.json").unlink(missing_ok=True)
        log = (self.root / "server.log").open("ab")
        self.server = subprocess.Popen(
            [sys.executable, "-m", "muster", "--home", str(self.home), "up", "--port", "0"],
            stderr=log, stdout=log, env=self.env,
        )  # fmt: skip
        log.close()
        while True:
            if self.server.poll() is not None:
                raise SystemExit(f"the server did not start: see {self.root}/server.log")
            try:
                health = self.call("GET", "/api/health")
                break
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                time.sleep(0.02)
            if time.monotonic() - began > 60:
                raise SystemExit("the server did not answer within 60 s")
        self.adopted += health["engine"]["adopted"]
        self.restarts.append(time.monotonic() - began)

    def kill(self) -> None:
        assert self.server is not None
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def call(self, method: str, path: str, body: object = None, key: str | None = None):
        where = json.loads((self.home / "server.json").read_text())["url"]
        connection = http.client.HTTPConnection(where.removeprefix("http://"), timeout=20)
        token = (self.home / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            document = json.loads(answer.read() or b"null")
        finally:
            connection.close()
        if answer.status >= 500:
            raise OSError(f"{answer.status} {document}")
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {document}")
        return document

    def insist(self, method: str, path: str, body: object = None, key: str | None = None):
        """Call until the server, which may be dead just now, has answered."""
        end = time.monotonic() + 120
        while True:
            try:
                return self.call(method, path, body, key)
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


def submit(field_: Field, count: int, seed: int) -> None:
    """One client: submit tasks, each with its key, and remember what was acknowledged."""
    rng = random.Random(seed)
    for _ in range(count):
        key = str(uuid.UUID(int=rng.getrandbits(128)))
        body = {"project": "repo", "description": f"make a file {key}", "agent": "work",
                "type": "chore"}  # fmt: skip
        made = field_.insist("POST", "/api/tasks", body, key)
        with field_.lock:
            field_.acknowledged[key] = made["id"]
        time.sleep(rng.uniform(0, 0.1))


def all_tasks(field_: Field) -> list[dict]:
    found: list[dict] = []
    after = ""
    while True:
        page = field_.insist("GET", f"/api/tasks?limit=200{after}")
        found += page["items"]
        if not page["next"]:
            return found
        after = f"&after={page['next']}"


def marked_processes(home: Path) -> list[int]:
    """Processes of agents of this home, found by their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                env = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"MUSTER_RUN_ID=" in env and str(home).encode() in env:
                found.append(int(entry.name))
    return found


def kill_agents(home: Path) -> int:
    """SIGKILL every agent and every shim of this home."""
    victims = set(marked_processes(home))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                folder = os.readlink(entry / "cwd")
            except OSError:
                continue
            if b"muster" in words and (str(home) in folder or str(home).encode() in words):
                victims.add(int(entry.name))
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(victims)


def unmount_below(folder: Path) -> None:
    """Let go of the workspaces that the last server had no time to close."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed([p for p in points if p.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", point], check=False)


def ledger_faults(root: Path, tasks: list[dict], with_agents: bool) -> list[str]:
    """What the agents' own notes say against us: runs doubled, missing or overlapping."""
    faults = []
    for task in tasks:
        path = root / "ledger" / task["label"]
        words = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        starts = [w for w in words if w[0] == "start"]
        ends = [w for w in words if w[0] == "end"]
        if not with_agents and (len(starts), len(ends)) != (1, 1):
            faults.append(f"{task['label']} started {len(starts)} and ended {len(ends)} times")
        if not ends:
            faults.append(f"{task['label']} never ended")
        for earlier, later in pairwise(starts):
            finished = [e for e in ends if e[1] == earlier[1]]
            if finished and float(finished[0][2]) > float(later[2]):
                faults.append(f"{task['label']} had two attempts at once")
    return faults


def judge(field_: Field, with_agents: bool) -> list[str]:
    """Everything that is wrong at the end; empty when all promises were kept."""
    tasks = all_tasks(field_)
    ids = {t["id"] for t in tasks}
    faults = [f"lost: {i}" for i in set(field_.acknowledged.values()) - ids]
    faults += [f"phantom: {i}" for i in ids - set(field_.acknowledged.values())]
    doubled = Counter(field_.acknowledged.values())
    faults += [f"two keys, one task: {i}" for i, n in doubled.items() if n > 1]
    faults += [
        f"{t['label']} is {t['status']}: {t['reason']}" for t in tasks if t["status"] != "completed"
    ]
    faults += ledger_faults(field_.root, tasks, with_agents)
    revs, after = [], 0
    while page := field_.insist("GET", f"/api/events?limit=200&after={after}")["items"]:
        revs += [e["rev"] for e in page]
        after = revs[-1]
    if revs != list(range(1, len(revs) + 1)):
        faults.append("the events have gaps or repeats")
    names = subprocess.run(
        [*GIT, "ls-tree", "--name-only", "main"], cwd=field_.root / "repo", check=True,
        capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    faults += [f"{t['label']} is not on main" for t in tasks if f"{t['label']}.txt" not in names]
    status = subprocess.run(
        [*GIT, "status", "--porcelain"], cwd=field_.root / "repo", check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    again = field_.insist("POST", "/api/projects/repo/try", {"settings": {}})
    print(f"decisions made again: {again['same']} of {again['decisions']} the same", flush=True)
    if again["same"] != again["decisions"] or again["decisions"] < len(tasks):
        faults.append(f"decisions cannot be made again: {again}")
    if status:
        faults.append(f"the user's checkout is dirty: {status[:200]}")
    if left := marked_processes(field_.home):
        faults.append(f"processes left: {left}")
    return faults


def run(tasks: int, kills: int, seed: int, agents_too: bool, concurrent: int = 6) -> list[str]:
    """One chaos run; the faults it found."""
    print(f"chaos: {tasks} tasks, {kills} kills, seed {seed}, agents too: {agents_too}", flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        field_ = Field(Path(folder), dict(os.environ))
        field_.prepare(concurrent)
        field_.start()
        field_.call("POST", "/api/projects", {"path": str(field_.root / "repo"), "name": "repo"})
        field_.call("POST", "/api/queue/settings", {"max_concurrent": concurrent})
        clients = [
            threading.Thread(target=submit, args=(field_, tasks // 3 + (n < tasks % 3), seed + n))
            for n in range(3)
        ]
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(rng.uniform(0.1, 2.0))
            field_.kill()
            if agents_too:
                kill_agents(field_.home)
            field_.start()
        for client in clients:
            client.join()
        faults = settle(field_, tasks, agents_too)
        field_.server.send_signal(signal.SIGTERM)
        field_.server.wait(20)
        kill_agents(field_.home)
        unmount_below(Path(folder))
        if faults:
            print((Path(folder) / "server.log").read_text()[-6000:], file=sys.stderr)
    slow = sorted(field_.restarts)[int(len(field_.restarts) * 0.95)]
    print(f"restart to healthy p95 {slow:.2f} s; {field_.adopted} running tasks adopted")
    return faults


def settle(field_: Field, tasks: int, agents_too: bool) -> list[str]:
    """Wait until every task has ended, as long as something still moves; then judge."""
    last, since = None, time.monotonic()
    while True:
        counts = Counter(t["status"] for t in all_tasks(field_))
        ended = sum(counts[s] for s in ("completed", "failed", "cancelled", "waiting"))
        if ended >= tasks:
            return judge(field_, agents_too)
        if counts != last:
            last, since = counts, time.monotonic()
        if time.monotonic() - since > 60:
            return [f"stuck: {dict(counts)}", *judge(field_, agents_too)]
        time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--agents-too", action="store_true", help="kill the agents as well")
    given = parser.parse_args()
    faults = run(given.tasks, given.kills, given.seed, given.agents_too)
    for fault in faults[:50]:
        print(f"FAULT {fault}")
    print(f"{len(faults)} faults with seed {given.seed}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
