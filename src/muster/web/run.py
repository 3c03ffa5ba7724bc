"""One task's page: its facts, its walk, its trail of decisions, its checks and its change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from muster.domain.agent import LIVE
from muster.domain.task import Status
from muster.web import decisions, patch
from muster.web.board import standing_of
from muster.web.counter import Row
from muster.web.crew import crew_view
from muster.web.parts import Painter, Part, by_id
from muster.web.phrases import humane, visible
from muster.web.plan import graph
from muster.web.replica import Replica
from muster.web.states import LOOKS

PREVIEW_ROWS = 16
_SHAPES = {"ok": ("done", "ok"), "fail": ("failed", "bad"), "note": ("dot", "idle")}
_SEVERITY = {
    "ok": ("done", "ok", "Passed"),
    "note": ("dot", "idle", "Note"),
    "ask": ("asked", "you", "Asks"),
    "abstain": ("asked", "you", "Unknown"),
    "veto": ("failed", "bad", "Refused"),
}
_WORST_FIRST = ("veto", "abstain", "ask", "note", "ok")
_KNOWN = {"command", "runs", "broken", "fixed", "missing"}


COMMIT = re.compile(r"\b([0-9a-f]{10})[0-9a-f]{30}\b")


def headed(text: str, fallback: str) -> tuple[str, str]:
    """A line of the trail as a heading and what follows it."""
    for sign in (": ", ". "):
        head, found, rest = text.partition(sign)
        if found and len(head) <= 48:
            return head, rest
    return (text, "") if len(text) <= 60 else (fallback, text)


def trail(task: Row) -> list[Row]:
    """The trail, newest first; a verdict's line carries its confidence."""
    verdicts = sorted(task["verdicts"], key=lambda v: str(v["created_at"]), reverse=True)
    confidences = iter([v["confidence"] for v in verdicts])
    found = []
    waiting = task["breakpoint"] is not None
    for line in sorted(task["trail"], key=lambda line: int(line["rev"]), reverse=True):
        shape, tone = _SHAPES.get(line["state"], ("asked", "idle"))
        if waiting and line["type"] == "breakpoint.raised":
            shape, tone, waiting = "needs_you", "you", False
        is_verdict = line["type"] == "verdict.reached"
        words = COMMIT.sub(r"\1", visible(line["text"]))
        head, rest = ("Verdict", words) if is_verdict else headed(words, humane(line["type"]))
        if line["type"] == "decision.made":
            # Its reasons are those of the verdict that stands beside it.
            head, rest = words.partition(". ")[0], ""
        found.append(
            {
                **line,
                "shape": shape,
                "tone": tone,
                "head": head,
                "rest": rest,
                "confidence": next(confidences, None) if is_verdict else None,
            }
        )
    return found


def _finding(raw: Row) -> Row:
    shape, tone, word = _SEVERITY.get(raw["severity"], ("dot", "idle", humane(raw["severity"])))
    proof = raw["evidence"] or {}
    return {
        **raw,
        "shape": shape,
        "tone": tone,
        "word": word,
        "command": proof.get("command"),
        "runs": proof.get("runs") or [],
        "tests": [
            (humane(name), list(proof[name]))
            for name in ("broken", "missing", "fixed")
            if proof.get(name)
        ],
        "proof": decisions.evidence({k: v for k, v in proof.items() if k not in _KNOWN}),
    }


def _badness(finding: Row) -> int:
    severity = finding["severity"]
    return _WORST_FIRST.index(severity) if severity in _WORST_FIRST else 0


def _told_once(findings: list[Row]) -> list[Row]:
    """Findings that stand on the same runs: only the first of them shows the runs."""
    told: list[Any] = []
    for finding in findings:
        if finding["runs"] in told:
            finding.update(runs=[], command=None)
        elif finding["runs"]:
            told.append(finding["runs"])
    return findings


def checks(task: Row) -> list[Row]:
    """Every verdict, newest first, its findings worst first."""
    found = sorted(task["verdicts"], key=lambda v: str(v["created_at"]), reverse=True)
    return [
        {
            **verdict,
            "findings": _told_once(sorted(map(_finding, verdict["findings"]), key=_badness)),
        }
        for verdict in found
    ]


class Run:
    """What the page of one task shows at one moment."""

    def __init__(self, replica: Replica, task: Row, run: str, at: datetime) -> None:
        """Choose the run whose output is shown: the one that is named, else the newest."""
        self.task, self.at, self._replica = task, at, replica
        self.asked = decisions.view(task["breakpoint"]) if task["breakpoint"] else None
        self.state = standing_of(task, task["breakpoint"], replica.paused).state
        self.runs = sorted(task["agents"], key=lambda a: (a["attempt"], str(a["created_at"])))
        named = [a for a in self.runs if a["id"] == run]
        self.shown: Row | None = named[0] if named else self.runs[-1] if self.runs else None
        self.named = bool(named)

    @property
    def number(self) -> int:
        """Which run is shown, counted from 1; 0 when there is none."""
        return self.runs.index(self.shown) + 1 if self.shown else 0

    @property
    def elapsed(self) -> tuple[str, str]:
        """When the task's work began, and when it ended."""
        return self.task["started_at"] or "", self.task["finished_at"] or ""

    def parts(
        self, painter: Painter, diff: Row | None, why_no_diff: str, file: str
    ) -> dict[str, Part]:
        """Every part of the page."""
        return by_id(self._parts(painter, diff, why_no_diff, file))

    def _parts(
        self, painter: Painter, diff: Row | None, why_no_diff: str, file: str
    ) -> Iterable[Part]:
        common: dict[str, Any] = {
            "task": self.task,
            "state": self.state,
            "look": LOOKS[self.state],
            "now": self.at,
            "run": self.shown,
            "runs": self.runs,
            "number": self.number,
            "spent": sum(each["cost_usd"] for each in (self.task, *self._below())),
        }
        verdicts = checks(self.task)
        files = patch.files(diff, file) if diff else []
        yield painter.part("t-acts", "part_task_acts.html", **common, around=self._around())
        yield painter.part("t-head", "part_task_head.html", **common)
        yield painter.part("t-plan", "part_plan.html", **common, graph=self._graph())
        yield painter.part("t-trail", "part_trail.html", **common, trail=trail(self.task))
        yield painter.part(
            "t-gate", "part_gate.html", **common, ask=self.asked, verdict=next(iter(verdicts), None)
        )
        yield painter.part("t-crew", "part_crew.html", **common, crew=crew_view(self.task))
        yield painter.part("t-team", "part_team.html", **common, **self._team())
        yield painter.part("t-budget", "part_budget.html", **common)
        yield painter.part("t-points", "part_checkpoints.html", **common)
        yield painter.part(
            "t-counts-diff", "part_tab_count.html", number=len(files) if diff else None
        )
        found = sum(len(v["findings"]) for v in verdicts[:1])
        yield painter.part("t-counts-checks", "part_tab_count.html", number=found or None)
        yield painter.part("t-termbar", "part_termbar.html", **common, live=self.is_live)
        yield painter.part("t-say", "part_say.html", **common, hears=self.hears)
        yield painter.part("t-checks", "part_checks.html", **common, verdicts=verdicts)
        yield painter.part(
            "t-diff", "part_diff.html", **common, diff=diff, files=files, why=why_no_diff
        )
        shown = next((f for f in files if f.lines), None)
        yield painter.part(
            "t-preview",
            "part_preview.html",
            file=shown,
            rows=_around_first_change(shown.lines) if shown else [],
            number=len(files),
        )

    @property
    def is_live(self) -> bool:
        """Whether the run that is shown still runs."""
        return self.shown is not None and self.shown["status"] in LIVE

    @property
    def hears(self) -> bool:
        """Whether the run that is shown can be told something now."""
        return self.shown is not None and self.is_live and self.shown["hears"] is True

    def _below(self) -> Sequence[Row]:
        """What came of the task: its workers, and the tasks that write tests for them."""
        return (*self.task["workers"], *self.task["authors"])

    def _team(self) -> Mapping[str, Any]:
        """The task's manager and its workers, each with how its state looks."""
        asked = self._replica.asked()

        def mate(task: Row) -> Row:
            state = standing_of(task, asked.get(task["id"]), self._replica.paused).state
            return {"task": task, "state": state, "look": LOOKS[state]}

        manager = self.task["parent"]
        workers = [mate(worker) for worker in self.task["workers"]]
        authors = {author["id"]: mate(author) for author in self.task["authors"]}
        return {
            "manager": mate(manager) if manager else None,
            "workers": workers,
            "authors": authors,
        }

    def _graph(self) -> Any:
        known = self._replica.tasks
        before = [known.get(id) or _unknown(id, label) for id, label in self._needs()]
        after = self._replica.waiting_for(self.task["id"])
        asked = self._replica.asked()
        shapes = {
            t["id"]: standing_of(t, asked.get(t["id"]), self._replica.paused).state.value
            for t in (*before, *after)
        }
        return graph(self.task, self.state, before, after, shapes, self.at)

    def _needs(self) -> Iterable[tuple[str, str]]:
        return zip(self.task["needs"], self.task["needs_labels"], strict=False)

    def _around(self) -> Mapping[str, str]:
        """The tasks of the questions before and after this one, by weight."""
        asks = decisions.by_weight(self._replica.asks.values(), self.at)
        ids = list(dict.fromkeys(ask["task_id"] for ask in asks))
        if self.task["id"] not in ids:
            return {"next": ids[0]} if ids else {}
        if len(ids) == 1:
            return {}
        at = ids.index(self.task["id"])
        return {"previous": ids[at - 1], "next": ids[(at + 1) % len(ids)]}


def _unknown(id: str, label: str) -> Row:
    """A task that is needed and ended before today; only what is done lets others begin."""
    return {
        "id": id,
        "label": label,
        "title": "",
        "status": Status.COMPLETED.value,
        "stage": "completed",
        "number": 0,
    }


def _around_first_change(lines: list[patch.Line]) -> list[patch.Line]:
    first = next((n for n, line in enumerate(lines) if line.kind in {"a", "r"}), 0)
    start = max(0, first - 3)
    return [line for line in lines[start : start + PREVIEW_ROWS] if line.kind != "h"]
