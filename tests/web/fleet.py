"""A small honest stand-in for the counter: a fleet in memory that keeps the counter's shapes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.client import canned

from muster.domain.errors import Conflict, Gone, Invalid, NotFound
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.web.replica import midnight

ENDED = {"completed", "failed", "cancelled"}
LIVE = {"starting", "running"}
STAGE_OF = {
    "proposed": "proposed",
    "blocked": "blocked",
    "queued": "queued",
    "planning": "preparing",
    "executing": "running",
    "monitoring": "validating",
    "waiting": "waiting",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


def stamp(minutes_ago: float = 0.0) -> str:
    """A time in the API's form."""
    when = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp_of_today(minutes_ago: float) -> str:
    """The same, but not before today began: the board forgets what ended yesterday."""
    now = datetime.now(UTC)
    # Those of before midnight stay in their order.
    earliest = midnight(now) + timedelta(milliseconds=max(0.0, 1000 - minutes_ago))
    return stamp(min(minutes_ago, (now - earliest).total_seconds() / 60))


class FakeFleet:
    """Tasks, agents, questions and output in memory; every change moves the revision on."""

    def __init__(self) -> None:
        self.rev = 1
        self.oldest = 0
        self.projects: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.acceptance: dict[str, dict[str, Any]] = {}
        self.crews: dict[str, dict[str, Any]] = {}
        self.asks: dict[str, dict[str, Any]] = {}
        self.details: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.diffs: dict[str, dict[str, Any]] = {}
        self.output: dict[str, bytes] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.settings = {
            "paused": False,
            "stop_on_failure": True,
            "max_concurrent": 8,
            "stopped_by": None,
            "processor": True,
        }
        self.stopped: dict[str, Any] | None = None
        self.queue_rev = 0
        self.calls: list[tuple[Any, ...]] = []
        self.figures: dict[str, Any] = {}
        self.counted = canned.no_metrics()
        self._news = asyncio.Event()

    # --- making ---------------------------------------------------------------------------------

    def stir(self) -> int:
        """Something has changed."""
        self.rev += 1
        news, self._news = self._news, asyncio.Event()
        news.set()
        return self.rev

    def add_project(self, name: str = "payments", **settings: Any) -> dict[str, Any]:
        id = f"prj_{len(self.projects) + 1}"
        self.projects[id] = {
            "id": id,
            "name": name,
            "git_dir": f"/srv/{name}/.git",
            "work_tree": f"/srv/{name}",
            "branch": "main",
            "settings": {"autonomy": "confirm", "agent": "claude", "max_attempts": 3, **settings},
            "sources": {},
            "created_at": stamp(9000),
            "rev": self.stir(),
        }
        return self.projects[id]

    def add_task(self, title: str, status: str = "queued", **more: Any) -> dict[str, Any]:
        if not self.projects:
            self.add_project()
        number = more.pop("number", len(self.tasks) + 1)
        project = self.projects[more.pop("project_id", next(iter(self.projects)))]
        needs = more.pop("needs", [])
        task = {
            "id": f"tsk_{number:04d}",
            "label": f"MU-{number}",
            "number": number,
            "project_id": project["id"],
            "project": project["name"],
            "title": title,
            "description": title,
            "type": "feature",
            "priority": 5,
            "status": status,
            "stage": STAGE_OF[status],
            "reason": "",
            "autonomy": "confirm",
            "agent": "claude",
            "runtime": "process",
            "playbook": "solo",
            "model": None,
            "budget_usd": None,
            "timeout_minutes": 120.0,
            "attempt": 0 if status in {"queued", "blocked", "proposed"} else 1,
            "tries": 0 if status in {"queued", "blocked", "proposed"} else 1,
            "max_attempts": 3,
            "needs": needs,
            "needs_labels": [self.tasks[n]["label"] for n in needs],
            "branch": f"muster/tsk_{number:04d}",
            "base_commit": "4b825dc642cb6eb9",
            "result_commit": None,
            "merged_commit": None,
            "cost_usd": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
            "paths": [],
            "wish": None,
            "parent_id": None,
            "errand": None,
            "acceptance_id": None,
            "step": None,
            "rounds": 0,
            "cause_id": None,
            "list_position": None,
            "added": None,
            "removed": None,
            "files_changed": None,
            "live_agent": None,
            "breakpoint_id": None,
            "created_at": stamp(60),
            "updated_at": stamp(1),
            "started_at": None if status in {"queued", "blocked", "proposed"} else stamp(20),
            "finished_at": stamp_of_today(3) if status in ENDED else None,
            "rev": 0,
            **more,
        }
        self.tasks[task["id"]] = task
        self.details[task["id"]] = {"agents": [], "verdicts": [], "checkpoints": [], "trail": []}
        task["rev"] = self.stir()
        return task

    def change(self, task_id: str, **values: Any) -> dict[str, Any]:
        task = {**self.tasks[task_id], **values}
        if "status" in values and "stage" not in values:
            task["stage"] = STAGE_OF[values["status"]]
        task["rev"] = self.stir()
        self.tasks[task_id] = task
        return task

    def add_agent(self, task_id: str, output: str = "", **more: Any) -> dict[str, Any]:
        task = self.tasks[task_id]
        agent = {
            "id": f"coding-{len(self.agents) + 0x1F3A9C00:08x}",
            "task_id": task_id,
            "task_label": task["label"],
            "project_id": task["project_id"],
            "attempt": task["attempt"],
            "role": "coding",
            "driver": task["agent"],
            "runtime": "process",
            "status": "running",
            "outcome": None,
            "reason": "",
            "exit_code": None,
            "input_tokens": 0,
            "output_tokens": 0,
            "cost_usd": 0.0,
            "cpu_seconds": 12.4,
            "max_rss_bytes": 214_000_000,
            "session_id": None,
            "workspace": "/srv/w",
            "last_line": "",
            "hears": None,
            "created_at": stamp(20),
            "started_at": stamp(20),
            "ended_at": None,
            "rev": 0,
            **more,
        }
        self.agents[agent["id"]] = agent
        self.details[task_id]["agents"].append(agent)
        self.output[agent["id"]] = output.encode()
        if agent["status"] in LIVE:
            self.tasks[task_id]["live_agent"] = agent
        self.tasks[task_id]["rev"] = agent["rev"] = self.stir()
        return agent

    def write(self, agent_id: str, text: str) -> None:
        """The agent says something."""
        self.output[agent_id] += text.encode()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def end_agent(self, agent_id: str, exit_code: int = 0) -> None:
        agent = self.agents[agent_id]
        agent.update(status="completed", exit_code=exit_code, ended_at=stamp(), outcome="completed")
        self.tasks[agent["task_id"]]["live_agent"] = None
        self.tasks[agent["task_id"]]["rev"] = agent["rev"] = self.stir()

    def ask(self, task_id: str, kind: str, question: str, **more: Any) -> dict[str, Any]:
        task = self.change(task_id, status="waiting")
        ask = {
            "id": f"bp_{len(self.asks) + 1}",
            "task_id": task_id,
            "task_label": task["label"],
            "task_title": task["title"],
            "project_id": task["project_id"],
            "kind": kind,
            "question": question,
            "options": [str(o) for o in OPTIONS[BreakpointKind(kind)]],
            "evidence": {},
            "holds_back": 0,
            "open": True,
            "answer": None,
            "note": "",
            "by": None,
            "created_at": stamp(5),
            "resolved_at": None,
            "rev": 0,
            **more,
        }
        self.asks[ask["id"]] = ask
        self.tasks[task_id]["breakpoint_id"] = ask["id"]
        ask["rev"] = self.tasks[task_id]["rev"] = self.stir()
        return ask

    def tell(self, task_id: str, type: str, text: str, state: str, minutes_ago: float = 1) -> None:
        """Add a line to a task's trail."""
        line = {"rev": self.stir(), "time": stamp(minutes_ago), "type": type, "text": text}
        self.details[task_id]["trail"].append({**line, "state": state})
        self.tasks[task_id]["rev"] = self.rev

    def judge(self, task_id: str, findings: list[dict[str, Any]], **more: Any) -> None:
        """Add a verdict."""
        bad = any(f["severity"] in {"veto", "abstain"} for f in findings)
        verdict = {
            "id": f"vrd_{task_id}_{len(self.details[task_id]['verdicts'])}",
            "task_id": task_id,
            "attempt": self.tasks[task_id]["attempt"],
            "agent_id": None,
            "passed": not bad,
            "confidence": 0.91,
            "findings": findings,
            "decision": {
                "step": "ask",
                "reasons": ["autonomy is confirm"],
                "question": "",
                "kind": "merge",
                "options": [],
            },
            "created_at": stamp(2),
            **more,
        }
        self.details[task_id]["verdicts"].append(verdict)
        self.tasks[task_id]["rev"] = self.stir()

    # --- the counter ----------------------------------------------------------------------------

    def current_rev(self) -> int:
        return self.rev

    async def wait_change(self, rev: int, seconds: float) -> int:
        if self.rev <= rev:
            news = self._news
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), seconds)
        return self.rev

    async def changed_since(self, rev: int, project: str | None = None) -> dict[str, Any]:
        self.calls.append(("changed_since", rev))
        if rev < self.oldest:
            raise Gone("too old", hint="read again")
        return {
            "rev": self.rev,
            "tasks": [dict(t) for t in self.tasks.values() if t["rev"] > rev],
            "breakpoints": [dict(a) for a in self.asks.values() if a["rev"] > rev],
            "queue": self.queue_rev > rev,
        }

    async def list_projects(self) -> dict[str, Any]:
        return {"items": list(self.projects.values()), "next": None}

    async def list_tasks(
        self,
        project: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> dict[str, Any]:
        wanted = set((status or "").split(",")) - {""}
        found = sorted(self.tasks.values(), key=lambda t: -t["number"])
        found = [t for t in found if not wanted or t["status"] in wanted]
        found = [t for t in found if after is None or t["number"] < after]
        page = found[:limit]
        more = str(page[-1]["number"]) if found[limit:] else None
        return {"items": [dict(t) for t in page], "next": more}

    async def get_task(self, ref: str) -> dict[str, Any]:
        for task in self.tasks.values():
            if ref in (task["id"], task["label"]):
                detail = self.details[task["id"]]
                open_asks = [
                    a for a in self.asks.values() if a["open"] and a["task_id"] == task["id"]
                ]
                return {
                    **task,
                    **{name: list(rows) for name, rows in detail.items()},
                    "decisions": [
                        {
                            "attempt": v["attempt"],
                            "step": v["decision"]["step"],
                            "reasons": v["decision"]["reasons"],
                            "time": v["created_at"],
                        }
                        for v in detail["verdicts"]
                    ],
                    "breakpoint": open_asks[0] if open_asks else None,
                    "parent": self.tasks.get(task["parent_id"] or ""),
                    **self._below(task["id"]),
                    "acceptance": self.acceptance.get(task["id"]),
                }
        raise NotFound(f"there is no task '{ref}'", hint="muster task list shows them")

    def _below(self, task_id: str) -> dict[str, Any]:
        """What came of a task, and the tasks that write tests for that."""
        team = [t for t in self.tasks.values() if t["parent_id"] == task_id]
        return {
            "workers": [t for t in team if t["playbook"] != "acceptance"],
            "authors": [t for t in team if t["playbook"] == "acceptance"],
            "crew": self.crews.get(task_id),
        }

    async def task_diff(self, ref: str) -> dict[str, Any]:
        if ref not in self.diffs:
            raise Conflict("no change yet", hint="wait")
        return self.diffs[ref]

    async def agent_logs(
        self,
        agent_id: str,
        offset: int | None = None,
        limit: int = 65536,
        tail: int | None = None,
    ) -> dict[str, Any]:
        data = self.output[agent_id]
        start = offset if offset is not None else max(0, len(data) - (tail or len(data)))
        piece = data[start : start + limit]
        items = [
            {
                "offset": start,
                "time": stamp(),
                "stream": "out",
                "text": piece.decode("utf-8", "replace"),
            }
        ]
        ended = self.agents[agent_id]["status"] not in LIVE
        end = start + len(piece)
        return {
            "items": items if piece else [],
            "next": end,
            "truncated": None,
            "ended": ended and end >= len(data),
        }

    async def follow_logs(
        self, agent_id: str, offset: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        if agent_id not in self.output:
            raise NotFound(f"there is no agent '{agent_id}'", hint="look at its task")
        position = offset or 0
        while True:
            news = self._news
            page = await self.agent_logs(agent_id, position)
            for item in page["items"]:
                position = page["next"]
                yield {"event": "log", "id": position, "data": item}
            if page["ended"]:
                agent = self.agents[agent_id]
                end = {"exit_code": agent["exit_code"], "why": "", "outcome": agent["outcome"]}
                yield {"event": "end", "id": position, "data": end}
                return
            if not page["items"]:
                await news.wait()

    async def list_breakpoints(self, open_only: bool = True) -> dict[str, Any]:
        found = [dict(a) for a in self.asks.values() if a["open"] or not open_only]
        return {"items": found, "next": None, "stopped": self.stopped}

    async def get_queue(self) -> dict[str, Any]:
        return {
            "stopped": self.stopped,
            "items": [],
            "completed": [],
            "settings": dict(self.settings),
            "running": 0,
            "waiting": 0,
        }

    async def fleet(self, project: str | None = None) -> dict[str, Any]:
        counts: dict[str, int] = {}
        for task in self.tasks.values():
            counts[task["status"]] = counts.get(task["status"], 0) + 1
        return {
            "agents_busy": counts.get("executing", 0),
            "agents_limit": self.settings["max_concurrent"],
            "finished_last_hour": 0,
            "finished_series": [0] * 12,
            "merge_median_seconds": None,
            "merge_series": [],
            "spent_today_usd": sum(t["cost_usd"] for t in self.tasks.values()),
            "budget_usd": None,
            "queue_clears_seconds": None,
            "done_today": counts.get("completed", 0),
            "counts": counts,
            **self.figures,
        }

    # --- acting, as the API does it ---------------------------------------------------------------

    async def metrics(self, project: str | None = None, since: str | None = None) -> dict[str, Any]:
        if since not in {"24h", "7d", "30d", "all"}:
            raise Invalid(f"'{since}' is no time to count from", hint="say 7d")
        return self.counted

    def ask_done(self, id: str) -> None:
        """Somebody else has answered."""
        ask = self.asks[id]
        self.asks[id] = {**ask, "open": False, "answer": "merge", "resolved_at": stamp()}
        self.change(ask["task_id"], status="completed", finished_at=stamp(), breakpoint_id=None)
        self.asks[id]["rev"] = self.rev

    async def resolve_breakpoint(self, id: str, answer: str, note: str = "") -> dict[str, Any]:
        ask = self.asks[id]
        if not ask["open"]:
            raise Conflict(f"it was answered '{ask['answer']}' already", hint="reload the page")
        self.calls.append(("resolve", id, answer, note))
        self.asks[id] = ask = {
            **ask,
            "open": False,
            "answer": answer,
            "note": note,
            "by": "you",
            "resolved_at": stamp(),
        }
        after = {"merge": "completed", "cancel": "cancelled", "fail": "failed"}.get(
            answer, "queued"
        )
        ended = {"finished_at": stamp()} if after in ENDED else {}
        self.change(ask["task_id"], status=after, breakpoint_id=None, **ended)
        ask["rev"] = self.rev
        return ask

    async def create_task(self, body: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        self.calls.append(("create", dict(body), key))
        return self.add_task(body["description"].splitlines()[0])

    async def cancel_task(self, ref: str) -> dict[str, Any]:
        self.calls.append(("cancel", ref))
        return self.change(ref, status="cancelled", live_agent=None, finished_at=stamp())

    async def restore_checkpoint(self, ref: str, n: int) -> dict[str, Any]:
        self.calls.append(("restore", ref, n))
        return self.change(ref, reason=f"put back to checkpoint {n}")

    async def tell_agent(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        self.calls.append(("tell", agent_id, body["text"]))
        agent = self.agents[agent_id]
        if agent["status"] not in LIVE:
            raise Conflict(f"{agent_id} has ended", hint="try the task again")
        return agent

    async def set_queue(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(("queue", dict(body)))
        self.settings.update(body)
        self.queue_rev = self.stir()
        return await self.get_queue()

    async def change_project(self, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(("project", ref, dict(body)))
        self.projects[ref]["settings"].update(body["settings"])
        self.stir()
        return self.projects[ref]


class FakeSession:
    """A sign-in with one token."""

    cookie_name = "muster_session"

    def sign_in(self, token: str) -> str | None:
        return "signed-in" if token == "the-right-token" else None

    def csrf(self, cookie: str) -> str:
        return f"csrf-of-{cookie}"
