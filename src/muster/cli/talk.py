"""The conversation with a manager in a terminal: lines there, words and workers' fates back."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from muster.cli import out
from muster.cli.line import Line
from muster.cli.look import Ink, some
from muster.cli.reach import reach
from muster.cli.task_page import answer_command
from muster.cli.watch import ENDS, PATIENT, what_now
from muster.client import Muster
from muster.client.shapes import Event, Task
from muster.domain.errors import Conflict, Gone, MusterError

_LOOK, _PIECE = 0.2, 65_536
_LAST_SAID = 10
_HELP = "/workers lists them, /done has it sum up, /cancel ends all of it, /quit leaves"
_DONE = (
    "That is all. Spawn nothing more; wait for the workers that are at work, then hand in your"
    " summary by finish."
)


class Talk:
    """One person's visit to a manager."""

    def __init__(self, line: Line, task: Task, is_new: bool) -> None:
        """Come to a task's manager; a visitor of an old one is told what was said last."""
        self._line = line
        self._task = task
        self._ink = Ink(line.colour)
        self._is_new = is_new
        self._over = threading.Event()
        self._ended = 0
        self._fault: MusterError | None = None
        self._known: dict[str, Task | None] = {task["id"]: None}
        self._left = ""
        self._is_to_end = False

    def until_left(self) -> int:
        """Converse until the person leaves or the task ends; the exit status."""
        label = some(self._task["label"])
        follower = threading.Thread(target=self._follow, name="follow", daemon=True)
        follower.start()
        out.tell(self._line, f"{label}: you speak with its manager; {_HELP}")
        try:
            with reach(self._line, PATIENT) as muster:
                for text in self._lines():
                    if not self._heed(muster, text):
                        break
                else:
                    if self._is_to_end:
                        self._over.wait()
        except KeyboardInterrupt:
            out.tell(self._line, "")
        if self._over.is_set():
            follower.join()
            if self._fault is not None:
                raise self._fault
            with reach(self._line) as muster:
                out.tell(self._line, what_now(muster.get_task(self._task["id"])))
            return self._ended
        out.tell(self._line, f"left {label}; its manager lives on: muster manager goes back to it")
        return 0

    # --- what the person says ---------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        """What is typed, line by line, until there is no more or the task is over."""
        held = b""
        while not self._over.is_set():
            ready, _, _ = select.select([sys.stdin], [], [], _LOOK)
            if not ready:
                continue
            data = os.read(sys.stdin.fileno(), _PIECE)
            *whole, held = (held + data).split(b"\n")
            if not data and held:
                whole, held = [held], b""
            yield from (each.decode("utf-8", "replace").strip() for each in whole)
            if not data:
                return

    def _heed(self, muster: Muster, text: str) -> bool:
        """Do what a line asks for; False when it was the last."""
        match text:
            case "":
                pass
            case "/quit":
                return False
            case "/help":
                out.tell(self._line, _HELP)
            case "/workers":
                self._list(muster)
            case "/cancel":
                muster.cancel_task(self._task["id"])
            case "/done":
                self._say(muster, _DONE)
                self._is_to_end = True
            case _ if text.startswith("/"):
                out.tell(self._line, f"there is no {text.split()[0]}; {_HELP}")
            case _:
                self._say(muster, text)
        return True

    def _say(self, muster: Muster, text: str) -> None:
        """Have it said to the manager, once, as soon as there is one that hears."""
        key = uuid.uuid4().hex
        while not self._over.is_set():
            live = muster.get_task(self._task["id"])["live_agent"]
            if live and live["hears"]:
                try:
                    muster.tell_agent(live["id"], text, key=f"{key} {live['id']}")
                except Conflict:
                    pass  # it ended just now, or its attempt begins
                else:
                    return
            time.sleep(_LOOK)
        out.tell(self._line, "it was not said: the manager has ended")

    # --- what comes back --------------------------------------------------------------------------

    def _follow(self) -> None:
        try:
            with reach(self._line, PATIENT) as muster:
                since = self._before(muster)
                if not self._over.is_set():
                    self._follow_from(muster, since)
        except MusterError as error:
            self._fault = error
        finally:
            self._over.set()

    def _follow_from(self, muster: Muster, since: int) -> None:
        while True:
            try:
                for event in muster.events(after=since):
                    since = int(event.get("rev") or since)
                    self._show(muster, event)
                    if self._over.is_set():
                        return
            except Gone:
                since = muster.get_task(self._task["id"])["rev"]

    def _before(self, muster: Muster) -> int:
        """Tell what a visitor has missed; the event from which everything is shown."""
        if self._is_new:
            return self._task["rev"] - 1
        task = muster.get_task(self._task["id"])
        said: list[Event] = []
        page = muster.list_events(type="agent.said", task=task["id"], limit=200)
        while page["items"]:
            said = [*said, *page["items"]][-_LAST_SAID:]
            page = muster.list_events(
                type="agent.said", task=task["id"], limit=200, after=said[-1]["rev"]
            )
        for event in said:
            self._show(muster, event)
        for worker in task["workers"]:
            self._known[worker["id"]] = worker
            self._tell(self._of(worker))
        self._look_at_the_end(task["status"])
        return max([task["rev"], *(e["rev"] for e in said), *(w["rev"] for w in task["workers"])])

    def _show(self, muster: Muster, event: Event) -> None:
        """Print what concerns this conversation."""
        task_id, kind = event.get("task_id") or "", event["type"]
        own = task_id == self._task["id"]
        if not own and not (kind.startswith(("task.", "breakpoint.raised")) and task_id):
            return
        worker = None if own else self._worker(muster, task_id)
        if not own and worker is None:
            return
        if self._line.json:
            out.json_line(event)
        payload = event["payload"]
        if kind == "agent.said":
            self._tell(f"{self._ink.paint('bold', 'manager')}  {some(payload.get('text'))}")
        elif kind == "agent.starting":
            self._tell(_where(event["subject"], str(payload.get("runtime"))))
        elif kind == "breakpoint.raised":
            self._asked(event, worker)
        elif kind.startswith("task.") and worker is not None:
            now = muster.get_task(task_id)
            if self._left != (text := self._of(now)):
                self._left = text
                self._tell(text)
        elif kind.startswith("task."):
            self._look_at_the_end(kind.removeprefix("task."), str(payload.get("reason") or ""))

    def _worker(self, muster: Muster, task_id: str) -> Task | None:
        """The worker of this manager with that id, if it is one."""
        if task_id not in self._known:
            found = muster.get_task(task_id)
            mine = found["parent_id"] == self._task["id"]
            self._known[task_id] = found if mine else None
        return self._known[task_id]

    def _asked(self, event: Event, worker: Task | None) -> None:
        label = some((worker or self._task)["label"])
        asked = some(event["payload"].get("question"))
        options = event["payload"].get("options") or []
        ways = "\n".join(f"  {answer_command(event['subject'], str(o))}" for o in options)
        self._tell(f"{label} needs you: {asked}\n{ways}")

    def _look_at_the_end(self, status: str, reason: str = "") -> None:
        if status not in ENDS or status == "proposed":
            return
        label = some(self._task["label"])
        self._tell(f"{label}  {self._ink.state(status)}  {some(reason)}".rstrip())
        self._ended = ENDS[status]
        self._over.set()

    def _of(self, worker: Any) -> str:
        called = some(worker["errand"] or worker["title"])
        name = f"{some(worker['label'])} ({called})"
        why = f"  {some(worker['reason'])}" if worker["reason"] else ""
        return f"{name}  {self._ink.state(worker['status'])}{why}"

    def _list(self, muster: Muster) -> None:
        team = muster.get_task(self._task["id"])["workers"]
        self._tell("\n".join(map(self._of, team)) or "no workers yet")

    def _tell(self, text: str) -> None:
        if not self._line.json:
            out.say(self._line, text)
            sys.stdout.flush()


def _where(agent: str, runtime: str) -> str:
    if runtime != "process":
        return f"{agent} runs in {runtime}"
    return (
        f"{agent} runs as a plain process: nothing keeps it and its workers from what you may do"
        " (muster doctor says how to get containers or a sandbox)"
    )
