"""How soon a follower hears: what an agent says, that it has ended, and of any event."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.figures import Figure, Plan, percentile
from benchmarks.server import Server, ended, one_task, own_agent, running

ENDS, POSTS, LINES = 20, 100, 200
BAR_MS, SAID_MS = 50.0, 10.0
_LATE = 10
"""Lines that were said before anybody listened and come afterwards, at most."""
# The last thing the agent does is to say when it is, with a word of the shell's own: no fork.
AGENT = 'echo x > "$MUSTER_TASK.txt"; echo "$EPOCHREALTIME" > "$LEDGER/$MUSTER_TASK"'

# A line now and then, each with the time it is written at; it ends once nobody wants more.
TALKS = 'while [ ! -e "$LEDGER/enough" ]; do echo "$EPOCHREALTIME"; sleep 0.02; done; echo x > x'


def measure(plan: Plan) -> list[Figure]:
    """From an agent's end to its new status, and from a posted event, to a client's eyes."""
    config = own_agent("clocked", ("/bin/bash", "-c", AGENT), LEDGER="{root}/ledger")
    config += own_agent("talks", ("/bin/bash", "-c", TALKS), LEDGER="{root}/ledger")
    heard: list[float] = []
    recorded: list[float] = []
    posted: list[float] = []
    answered: list[float] = []
    with running(config) as server:
        ledger = server.root / "ledger"
        ledger.mkdir()
        for _ in range(plan.rounds):
            for _ in range(plan.of(ENDS, 2)):
                whole, after_exit = _one_end(server, ledger)
                heard.append(whole)
                recorded.append(after_exit)
            came, answers = _posts(server, plan.of(POSTS, 5))
            posted += came
            answered += answers
        said = _lines(server, ledger, plan.of(LINES, 5))
    output = "a line of an agent to a follower of its output"
    end, event = "agent's last act to status at a follower", "posted event to a follower"
    return [
        Figure(f"{output}: p95", percentile(said, 0.95), "ms", SAID_MS, note=f"{len(said)} lines"),
        Figure(f"{output}: p50", percentile(said, 0.5), "ms"),
        Figure(f"{end}: p95", percentile(heard, 0.95), "ms", BAR_MS, note=f"{len(heard)} ends"),
        Figure(f"{end}: p50", percentile(heard, 0.5), "ms"),
        Figure("the shim's record of the end to a follower: p95", percentile(recorded, 0.95), "ms"),
        Figure(f"{event}: p50", percentile(posted, 0.5), "ms", note=f"{len(posted)} events"),
        Figure(f"{event}: p95", percentile(posted, 0.95), "ms"),
        Figure("posted event to its answer: p50", percentile(answered, 0.5), "ms"),
    ]


def _one_end(server: Server, ledger: Path) -> tuple[float, float]:
    """Milliseconds from the agent's own last word, and from the shim's, to `task.validating`."""
    _, task, heard = one_task(server, "clocked")
    at = next(a.at for a in heard if a.event["type"] == "task.validating")
    said = float((ledger / task["label"]).read_text().replace(",", "."))
    recorded = (server.home / "runs" / task["agents"][-1]["id"] / "exit.json").stat().st_mtime
    return (at - said) * 1000, (at - recorded) * 1000


def _lines(server: Server, ledger: Path, count: int) -> list[float]:
    """Milliseconds from each line of an agent to its arrival at a client."""
    subscriber = server.listen()
    try:
        made = server.submit("talks")
        subscriber.wait(lambda seen: any(a.event["type"] == "agent.started" for a in seen))
        agent = next(a.event for a in subscriber.arrivals if a.event["type"] == "agent.started")
        output = server.listen_to(agent["subject"])
        since = time.time()
        try:
            output.wait(lambda seen: sum(a.at > since for a in seen) > count + _LATE)
        finally:
            output.close()
        (ledger / "enough").touch()
        ended(subscriber, [made["id"]])
    finally:
        subscriber.close()
    words = [(a.at, w) for a in output.arrivals for w in str(a.event.get("text", "")).split()]
    times = [(at, float(word.replace(",", "."))) for at, word in words]
    # What was said before anybody listened came all at once.
    return [(at - said) * 1000 for at, said in times if said > since][:count]


def _posts(server: Server, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each post to its arrival, and to its answer; one after another."""
    subscriber = server.listen()
    sent: dict[str, float] = {}
    answers = []
    try:
        for number in range(count):
            name = str(number)
            sent[name] = time.time()
            body = {"type": "bench.tick", "subject": name, "payload": {}}
            server.call("POST", "/api/events", body)
            answers.append((time.time() - sent[name]) * 1000)
        # A workspace of the agents before may be closed meanwhile, which is an event too.
        subscriber.wait(lambda seen: sum(a.event["subject"] in sent for a in seen) >= count)
    finally:
        subscriber.close()
    ticks = [a for a in subscriber.arrivals if a.event["subject"] in sent]
    return [(a.at - sent[a.event["subject"]]) * 1000 for a in ticks], answers
