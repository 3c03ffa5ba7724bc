"""A server's queue is killed again and again; what the events say is held against the model."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from chaos.driver import Field, all_tasks, kill_agents, unmount_below
from house.patience import PATIENCE
from store.queue_model import Model

LONG = os.environ.get("MUSTER_LONG", "") not in {"", "0"}
TASKS, KILLS, FLEET = (200, 20, 8) if LONG else (40, 3, 8)
WORKS = 'echo start >> "$LEDGER/$MUSTER_TASK"; echo x > "$MUSTER_TASK.txt"'
STANDS = {"preparing": "held", "running": "held", "validating": "checked", "merging": "checked"}
ENDED = {"completed", "failed", "cancelled", "waiting"}


class Busy(Field):
    """A home with two agents: one that works, and one that fails."""

    def prepare(self, concurrent: int) -> None:
        super().prepare(concurrent)
        own = "\n".join(
            f"[agents.{name}]\ndriver = \"command\"\ncommand = ['/bin/sh', '-c', '''{script}''']\n"
            f'env = {{ LEDGER = "{self.root}/ledger" }}'
            for name, script in (("works", WORKS), ("fails", f"{WORKS}; exit 3"))
        )
        config = self.home / "config.toml"
        above, _, _ = config.read_text().partition("[agents.work]")
        config.write_text(f'{above}max_attempts = 1\nevidence = "none"\n{own}\n')


class Person:
    """Who submits tasks, lists and moves them, pauses, and resumes what a failure has stopped."""

    def __init__(self, field: Busy, rng: random.Random) -> None:
        self.field, self.rng = field, rng
        self.priorities: dict[int, int] = {}
        self.fails: set[int] = set()
        self.needs: dict[int, set[int]] = {}

    def submit(self) -> None:
        for number in range(1, TASKS + 1):
            some = self.rng.choice((0, 0, 0, 1, 2))
            near = list(range(max(1, number - 8), number))
            self.needs[number] = set(self.rng.sample(near, min(some, len(near))))
            self.priorities[number] = self.rng.choice((1, 5, 5, 5, 9))
            if self.rng.random() < 0.08:
                self.fails.add(number)
            body = {"project": "repo", "description": "do it", "type": "chore",
                    "agent": "fails" if number in self.fails else "works",
                    "priority": self.priorities[number],
                    "after": [f"MU-{n}" for n in self.needs[number]]}  # fmt: skip
            assert self.field.call("POST", "/api/tasks", body)["number"] == number
            if self.rng.random() < 0.6:
                self.field.call(
                    "POST", f"/api/queue/add/MU-{number}", {"position": number // 2 + 1}
                )

    def meddle(self) -> None:
        """Whatever a person does to a queue that is at work, and may be dead just now."""
        self.field.insist("POST", "/api/queue/settings", {"paused": True})
        open_ones = [t["label"] for t in self.field.insist("GET", "/api/queue")["items"]]
        self.rng.shuffle(open_ones)
        for label in open_ones[:1]:
            self._try(f"queue/add/{label}", {"position": self.rng.randint(1, TASKS)})
        self._try("queue/order", {"tasks": open_ones})
        for task in all_tasks(self.field):
            if task["status"] in {"queued", "blocked"} and self.rng.random() < 0.2:
                self._try(f"tasks/{task['label']}", {"priority": self.rng.randint(0, 9)}, "PATCH")
        self.field.insist("POST", "/api/queue/settings", {"paused": False})

    def _try(self, path: str, body: dict[str, Any], method: str = "POST") -> None:
        """Act on what may have ended since it was read; then it is refused, which is right."""
        with suppress(SystemExit):
            self.field.insist(method, f"/api/{path}", body)

    def expected(self, number: int) -> str:
        """How a task ends: with what it needs, and by its agent."""
        ends = {self.expected(n) for n in self.needs[number]}
        return "completed" if ends <= {"completed"} and number not in self.fails else "failed"


def all_events(field: Busy) -> Iterator[dict[str, Any]]:
    after = 0
    while page := field.insist("GET", f"/api/events?limit=200&after={after}")["items"]:
        yield from page
        after = page[-1]["rev"]


class Replay:
    """The model as the events lead it: who started though it was another's turn, or beyond 8."""

    def __init__(self, priorities: dict[int, int]) -> None:
        self.model = Model(FLEET, {"repo": FLEET})
        self.faults: list[str] = []
        self._priorities = priorities
        self._numbers: dict[str | None, int] = {}

    def take(self, event: dict[str, Any]) -> None:
        said, kind = event["payload"], event["type"]
        number = self._numbers.get(event["task_id"], 0)
        if kind == "task.created":
            number = self._numbers[event["task_id"]] = said["number"]
            needs = {self._numbers[id] for id in said["needs"]}
            self.model.add(number, "repo", self._priorities[number], needs)
        elif kind == "task.changed":
            self.model.tasks[number].priority = said["priority"]
        elif kind.startswith("queue."):
            self._queue(said, number)
        elif kind == "task.preparing":
            self._start(event["rev"], number)
        elif kind.startswith("task.") and said.get("to"):
            self.model.tasks[number].stage = STANDS.get(said["to"], said["to"])

    def _start(self, rev: int, number: int) -> None:
        turn = self.model.may_start()
        if turn[:1] != [number]:
            self.faults.append(f"{rev}: MU-{number} started before {turn[:3]}")
        task = self.model.tasks[number]
        task.stage, task.attempts = "held", task.attempts + 1
        if len(self.model.in_stage("held")) > FLEET:
            self.faults.append(f"{rev}: {self.model.in_stage('held')} at once")

    def _queue(self, said: dict[str, Any], number: int) -> None:
        """What a change of the queue says of the list, or of what holds it."""
        model = self.model
        if "order" in said:
            model.places = [int(label.removeprefix("MU-")) for label in said["order"]]
        elif "position" in said:
            rest = [n for n in model.shown() if n != number]
            at = said["position"] - 1
            model.places = [*rest[:at], number, *rest[at:]]
        model.paused = said.get("paused", model.paused)
        if "stopped_by" in said:
            model.stopped_by = self._numbers.get(said["stopped_by"])


def faults_of(field: Busy, person: Person) -> list[str]:
    """What the events, and the agents' own notes, say against us."""
    replay = Replay(person.priorities)
    for event in all_events(field):
        replay.take(event)
    faults = replay.faults
    for number, task in replay.model.tasks.items():
        if task.stage != person.expected(number):
            faults.append(f"MU-{number} is {task.stage}, not {person.expected(number)}")
        begun = not {person.expected(n) for n in task.needs} - {"completed"}
        path = field.root / "ledger" / f"MU-{number}"
        started = len(path.read_text().splitlines()) if path.exists() else 0
        if (task.attempts, started) != (int(begun), int(begun)):
            faults.append(f"MU-{number} was started {task.attempts} times, its agent {started}")
    return faults


def walk(field: Busy, person: Person) -> None:
    """Kill the server each time that some more have ended, until all have."""
    killed, last, since = 0, -1, time.monotonic()
    while (ended := sum(t["status"] in ENDED for t in all_tasks(field))) < TASKS:
        if ended != last:
            last, since = ended, time.monotonic()
        if killed < KILLS and ended >= (killed + 1) * TASKS // (KILLS + 2):
            field.kill()
            field.start()
            killed += 1
            person.meddle()
        elif field.insist("GET", "/api/queue")["stopped"]:
            field.insist("POST", "/api/queue/settings", {"paused": False})
        assert time.monotonic() - since < PATIENCE * 2, f"stuck at {ended} of {TASKS}"
        time.sleep(0.05)
    assert killed == KILLS


@pytest.mark.timeout(1800 if LONG else 600)
def test_a_queue_that_is_killed_keeps_its_order_and_limits_and_loses_nothing(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    field = Busy(tmp_path, dict(os.environ))
    field.prepare(FLEET)
    field.start()
    try:
        field.call("POST", "/api/projects", {"path": str(tmp_path / "repo"), "name": "repo"})
        field.call("POST", "/api/queue/settings", {"max_concurrent": FLEET, "paused": True})
        person = Person(field, random.Random(seed))
        person.submit()
        field.call("POST", "/api/queue/settings", {"paused": False})
        walk(field, person)
        faults = faults_of(field, person)
        if faults:
            sys.stderr.write((tmp_path / "server.log").read_text()[-4000:])
        assert faults == [], f"seed {seed}"
    finally:
        field.kill()
        kill_agents(field.home)
        unmount_below(tmp_path)
