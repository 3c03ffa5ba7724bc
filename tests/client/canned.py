"""The API's shapes with everything filled in; every text a stranger can write is `text`."""

from __future__ import annotations

from typing import Any

MORNING = "2026-11-21T09:30:00.123Z"
LATER = "2026-11-21T09:33:12.000Z"


def agent(text: str = "says hello", **changes: Any) -> dict[str, Any]:
    return {
        "id": "coding-1f3a9c02", "task_id": "tsk_1", "task_label": "MU-1", "project_id": "prj_1",
        "attempt": 1, "role": "coding", "driver": "rehearsal", "runtime": "process",
        "status": "failed", "outcome": "crashed", "reason": text, "exit_code": 1,
        "input_tokens": 12300, "output_tokens": 4100, "cost_usd": 0.12, "cpu_seconds": 1.5,
        "max_rss_bytes": 50 << 20, "session_id": text, "workspace": text, "last_line": text,
        "permissions": "ask", "hears": True,
        "created_at": MORNING, "started_at": MORNING, "ended_at": LATER, "rev": 7, **changes,
    }  # fmt: skip


def task(text: str = "Add a retry", **changes: Any) -> dict[str, Any]:
    return {
        "id": "tsk_1", "label": "MU-1", "number": 1, "project_id": "prj_1", "project": "sample",
        "title": text, "description": f"{text}\n\nMore of {text}", "type": "feature",
        "priority": 5, "status": "waiting", "stage": "waiting", "reason": text,
        "autonomy": "confirm", "agent": "rehearsal", "runtime": "process", "playbook": "solo",
        "model": None, "budget_usd": 2.0, "timeout_minutes": None, "attempt": 2, "tries": 2,
        "max_attempts": 3, "needs": ["tsk_0"], "needs_labels": ["MU-0"], "branch": text,
        "base_commit": "a" * 40, "result_commit": "b" * 40, "merged_commit": None,
        "cost_usd": 0.12, "input_tokens": 12300, "output_tokens": 4100, "paths": [text],
        "wish": None, "parent_id": None, "errand": None, "image": None, "list_position": None,
        "acceptance_id": None, "step": None, "rounds": 0, "cause_id": None,
        "fork_of": None, "fork_point": None,
        "added": 10, "removed": 2, "files_changed": 3,
        "live_agent": None, "breakpoint_id": "bp_1", "created_at": MORNING,
        "updated_at": MORNING, "started_at": MORNING, "finished_at": None, "rev": 9, **changes,
    }  # fmt: skip


def finding(text: str, severity: str = "veto") -> dict[str, Any]:
    run = {
        "name": text, "exit_code": 1, "why": text, "seconds": 1.25, "passed": 41, "failed": 2,
        "run_id": "r1", "tail": text,
    }  # fmt: skip
    evidence = {
        "command": text, "runs": [run, {**run, "exit_code": None}],
        "broken": [f"{text} {n}" for n in range(10)], "fixed": [text], "missing": [],
    }  # fmt: skip
    return {"code": "tests.broken", "severity": severity, "text": text, "evidence": evidence}


def verdict(text: str, step: str = "retry") -> dict[str, Any]:
    decision = {"step": step, "reasons": [text], "question": text, "kind": "merge", "options": []}
    return {
        "id": "vrd_1", "task_id": "tsk_1", "attempt": 1, "agent_id": "coding-1f3a9c02",
        "passed": False, "confidence": 0.75, "findings": [finding(text), finding(text, "ok")],
        "decision": decision, "created_at": MORNING, "sure": sure(text),
    }  # fmt: skip


def sure(text: str, **changes: Any) -> dict[str, Any]:
    bend = {"slope": 1.0, "shift": 0.1, "outcomes": 31, "wrong": 9}
    return {
        "value": 0.75, "for": [{"text": f"{text}.", "share": 1.47}, {"text": text, "share": 0.3}],
        "against": [{"text": text, "share": -0.5}], "abstains": "", "features": {"coverage": 0.5},
        "logit": 1.1, "prior": text, "calibration": bend, **changes,
    }  # fmt: skip


def token(text: str = "anna", **changes: Any) -> dict[str, Any]:
    return {
        "id": "tok_1", "name": text, "roles": ["lead", text], "state": "living",
        "created_at": MORNING, "created_by": text, "used_at": None, "expires_at": LATER,
        "revoked_at": None, **changes,
    }  # fmt: skip


def outcome(text: str = "totals were off", **changes: Any) -> dict[str, Any]:
    return {
        "verdict_id": "vrd_1", "task_id": "tsk_1", "project_id": "prj_1", "attempt": 1,
        "right": False, "shown": "said", "why": text, "by": text, "confidence": 0.75,
        "created_at": LATER, "rev": 9, **changes,
    }  # fmt: skip


def reliability(text: str = "sample") -> dict[str, Any]:
    return {
        "project_id": text, "outcomes": 1, "right": 0, "wrong": 1, "abstained": 0,
        "brier": 0.5625, "base_brier": 0.0, "ece": 0.75, "auc": None, "bins": [], "target": 0.05,
        "threshold": None, "calibration": None,
    }  # fmt: skip


def question(text: str = "Merge it?", **changes: Any) -> dict[str, Any]:
    conflict = {"path": text, "ours": text, "theirs": text, "base": text, "conflict": text}
    return {
        "id": "bp_1", "task_id": "tsk_1", "task_label": "MU-1", "task_title": text,
        "project_id": "prj_1", "kind": "merge", "question": text,
        "options": ["merge", "retry", "cancel"], "holds_back": 2, "open": True, "answer": None,
        "evidence": {"findings": [finding(text)], "paths": [conflict, text], "more": {"a": text}},
        "note": "", "by": None, "created_at": MORNING, "resolved_at": None, "rev": 9, **changes,
    }  # fmt: skip


def rules(text: str = "stuck") -> dict[str, Any]:
    rule = {
        "name": text, "when": {"files": [text]}, "do": "approve", "role": text, "ask": text,
        "source": "home", "line": 2,
    }  # fmt: skip
    fault = {"file": text, "line": 3, "what": text, "remedy": text}
    return {
        "project": text, "commit": "c" * 40, "trusted": False, "items": [rule],
        "switched_off": {text: "home"}, "ignored": [text], "faults": [fault], "next": None,
    }  # fmt: skip


def playbooks(text: str = "careful") -> dict[str, Any]:
    table = {
        "on": {"task.assigned": "coding", "pr.created": text}, "limits": {"pr.created": 5},
        "reviewers": 2, "waits_for": [text],
    }  # fmt: skip
    fault = {"line": 3, "what": text, "remedy": text}
    shared = {"source": "home", "file": f"{text}.yaml", "about": text}
    return {
        "project": text, "next": None,
        "items": [
            {"name": text, **shared, "table": table, "faults": []},
            {"name": f"{text}-2", **shared, "table": None, "faults": [fault]},
            {"name": "plan", **shared, "source": "built in", "table": None, "faults": []},
        ],
    }  # fmt: skip


def step(text: str = "retry") -> dict[str, Any]:
    return {"step": text, "kind": text, "agent": text, "commit": "c" * 40, "reasons": [text]}


def decided(text: str = "The tests fail.") -> dict[str, Any]:
    policy = {"autonomy": "full", "max_attempts": 3, "fallback_agents": [text]}
    tried = {"attempt": 1, "agent": text, "refusal": text, "harm": 2}
    case = {
        "agent": text, "agent_is_chosen": True, "outcome": text, "tries": 2, "policy": policy,
        "past": [tried], "holds": [{"sentence": text, "ask": text, "role": text}],
    }  # fmt: skip
    return {
        **step(text), "verdict": "vdt_1", "attempt": 2, "agent_id": "coding-1f3a9c02",
        "time": MORNING, "question": text, "confidence": 0.5, "findings": [finding(text)],
        "case": case,
        "again": step(text),
    }  # fmt: skip


def trial(text: str = "sample") -> dict[str, Any]:
    item = {
        "task": text, "attempt": 1, "was": step(text), "would_be": step(text), "time": MORNING,
        "would_hold": [text], "no_longer": [text], "untold": [],
    }  # fmt: skip
    rule = {
        "name": text, "source": "project", "tried": "decisions", "held": 1, "would_hold": 2,
        "untold": 0, "at_work": 3,
    }  # fmt: skip
    rules = {"asked": 3, "not_asked": 1, "unknown": 1, "untold": 0, "items": [rule]}
    return {
        "project": text, "settings": {"max_attempts": "1"}, "decisions": 4, "same": 2,
        "changed": 1, "unknown": 1, "rules": rules, "items": [item], "next": None,
    }  # fmt: skip


def checkpoint(text: str = "before the agent") -> dict[str, Any]:
    return {
        "task_id": "tsk_1", "n": 1, "attempt": 1, "label": text, "commit": "c" * 40,
        "created_at": MORNING, "rev": 7, "base_commit": "b" * 40, "agent_id": "coding-1f3a9c02",
        "session_id": text, "log_offset": 12, "tries": 1, "feedback": {"note": text},
    }  # fmt: skip


def detail(text: str = "Add a retry", **changes: Any) -> dict[str, Any]:
    steps = [
        {"rev": n, "time": MORNING, "type": "task.queued", "text": f"{text} {n}", "state": state}
        for n, state in ((3, "ok"), (2, "fail"), (1, "note"))
    ]
    more = {
        "agents": [agent(text)], "verdicts": [verdict(text)], "breakpoint": question(text),
        "decisions": [{"attempt": 1, "step": "retry", "reasons": [text], "time": MORNING}],
        "checkpoints": [checkpoint(text)], "trail": steps,
        "outcomes": [outcome(text)],
        "plan": plan(text), "rubric": {"questions": [text], "model": text},
        "parent": task(text, playbook="manager"),
        "workers": [task(text, parent_id="tsk_1", errand=text, acceptance_id="tsk_8")],
        "authors": [task(text, parent_id="tsk_1", id="tsk_8", playbook="acceptance")],
        "acceptance": {
            "task_id": "tsk_9", "label": text, "status": "completed", "tests": 3,
            "visible": [text], "hidden": [text], "judges": ["MU-1"],
        },
        "crew": {
            "step": "reviewer", "rounds": 1, "way": [
                {"step": "coding", "state": "done"}, {"step": "reviewer", "state": "now"},
                {"step": text, "state": "ahead"},
            ],
            "pull": {
                "number": 1, "url": text, "branch": text, "base": text, "head": "c" * 40,
                "forge": text, "repo": text, "state": "open", "merged_commit": None,
            },
            "analysis": {
                "decision": "plan", "analysis": text, "by": text, "risks": [text],
                "plan": [{"title": text, "details": text, "files": [text]}],
                "repos": [], "audit_about": "",
            },
            "reviews": [{
                "verdict": "request_changes", "by": text, "summary": text, "round": 0,
                "comments": [
                    {"path": text, "line": 3, "text": text, "severity": "must"},
                    {"path": text, "line": None, "text": text, "severity": "nit"},
                ],
            }],
            "deployment": {
                "deployed": True, "commit": text, "version": text, "environment": text,
                "url": text, "notes": text, "by": text,
            },
            "events": [{
                "event": 4, "type": "pr.created", "state": "done", "led_to": text, "time": MORNING,
            }],
            "cause": {"id": "tsk_8", "label": "MU-8", "title": text, "status": "failed"},
            "caused": [{"id": "tsk_9", "label": "MU-9", "title": text, "status": "proposed"}],
        },
    }  # fmt: skip
    return {**task(text), **more, **changes}


def event(rev: int = 4, text: str = "hello", **changes: Any) -> dict[str, Any]:
    return {
        "rev": rev, "time": MORNING, "type": "task.queued", "subject": text,
        "payload": {"text": text}, "project_id": "prj_1", "task_id": "tsk_1", "cause": None,
        "processed_at": None, **changes,
    }  # fmt: skip


def event_story(rev: int = 4, text: str = "hello") -> dict[str, Any]:
    led_to = [event(rev + n, text, cause=rev) for n in (1, 2)]
    chain = [event(rev - 2, text), event(rev - 1, text, cause=rev - 2)]
    return {**event(rev, text, cause=rev - 1), "chain": chain, "led_to": led_to}


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "paused": False, "stop_on_failure": True, "max_concurrent": 1, "stopped_by": None,
        "processor": True, **changes,
    }  # fmt: skip


def stopped(text: str = "the tests fail", **changes: Any) -> dict[str, Any]:
    return {
        "task_id": "tsk_1", "task_label": "MU-1", "task_title": text, "project_id": "prj_1",
        "why": text, "since": MORNING, "holds_back": 2, **changes,
    }  # fmt: skip


def inbox(*items: dict[str, Any], stop: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**page(*items), "stopped": stop}


def queue(text: str = "Add a retry") -> dict[str, Any]:
    return {
        "items": [task(text)], "completed": [task(text, status="completed")],
        "settings": settings(stopped_by="tsk_1", paused=True), "stopped": stopped(text),
        "running": 1, "waiting": 2,
    }  # fmt: skip


def project(text: str = "sample", **changes: Any) -> dict[str, Any]:
    return {
        "id": "prj_1", "name": text, "git_dir": f"/{text}/.git", "work_tree": f"/{text}",
        "branch": text, "created_at": MORNING, "rev": 1,
        "settings": {"autonomy": "confirm", "test_command": text, "test_paths": [text],
                     "agent": None, "max_attempts": 3},
        "sources": {"autonomy": "default", "test_command": "database"}, **changes,
    }  # fmt: skip


def diff(text: str = "sums.py", **changes: Any) -> dict[str, Any]:
    patch = f"--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-old {text}\n+new {text}\n"
    file = {
        "path": text, "old_path": text, "status": "renamed", "added": 1, "removed": 1,
        "binary": False, "patch": patch, "truncated": False, **changes,
    }  # fmt: skip
    whole = {"base": "a" * 40, "head": "b" * 40, "added": 1, "removed": 1}
    return {**whole, "files": [file], "files_left_out": 0}


def logs(text: str = "hello\n", offset: int = 0) -> dict[str, Any]:
    item = {"offset": offset, "time": MORNING, "stream": "out", "text": text}
    return {"items": [item], "next": offset + len(text), "truncated": None, "ended": True}


def health(text: str = "0.1.0") -> dict[str, Any]:
    return {
        "status": "ok", "version": text, "started_at": MORNING,
        "store": {"backend": "sqlite", "schema": text, "journal_mode": "wal", "synchronous": 2},
        "runtime": {"name": "sandbox", "told": text, "mend": ""},
        "engine": {"running": 1, "active": 1, "queued": 2, "waiting": 1, "adopted": 0},
    }  # fmt: skip


def page(*items: dict[str, Any], next: Any = None) -> dict[str, Any]:
    return {"items": list(items), "next": next}


def plan(text: str) -> dict[str, Any]:
    one = {
        "key": text, "after": [], "checks": [text], "commands": [[text]], "files": [text],
        "minutes": 30.0, "agent": text, "agent_why": text, "isolation": text,
        "isolation_why": text,
    }  # fmt: skip
    return {
        "model": text, "repairs": 0, "kept_at": None, "why": text, "type": "feature",
        "summary": text, "confidence": 0.8, "questions": [], "minutes": 30.0, "commit": "a" * 40,
        "tasks": [one],
    }  # fmt: skip


def spread(count: int = 3) -> dict[str, Any]:
    return {"count": count, "p50_seconds": 12.5, "p95_seconds": 90.0, "total_seconds": 120.0}


def share(done: int = 8) -> dict[str, Any]:
    return {
        "completed": done, "failed": 2, "cancelled": 1, "completion_rate": done / (done + 2),
        "attempts_per_task": 1.3, "mean_seconds": 95.0,
    }  # fmt: skip


def metrics(text: str = "sample") -> dict[str, Any]:
    asked = {
        "asked": 4, "open": 1, "closed_by_events": 0, "answers": {"merge": 3}, "wait": spread(),
    }  # fmt: skip
    cost = {"runs": 12, "cost_usd": 1.25, "input_tokens": 1000, "output_tokens": 100}
    bins = [
        {"low": n / 10, "high": (n + 1) / 10, "count": n, "said": n / 10 + 0.05 if n else None,
         "right": n / 10 if n else None} for n in range(10)
    ]  # fmt: skip
    reliability = {
        "outcomes": 45, "right": 30, "wrong": 15, "abstained": 2, "brier": 0.12, "base_brier": 0.2,
        "ece": 0.04, "auc": 0.9, "bins": bins, "target": 0.05, "threshold": None,
    }  # fmt: skip
    return {
        "project": text, "since": MORNING, "until": LATER,
        "tasks": {
            **share(), "by_project": {text: share()}, "by_type": {"bug": share(3)},
            "by_agent": {text: share()},
            "by_kind": {"work": share(), "plan": {**share(1), "attempts_per_task": None}},
        },
        "attempts": {"1": 9, "2": 2},
        "stages": {"queued": spread(), "running": spread(11)},
        "confidence": [
            {"day": "2026-11-20", "verdicts": 3, "told": 2, "mean": 0.75},
            {"day": "2026-11-21", "verdicts": 3, "told": 0, "mean": None},
        ],
        "reliability": reliability,
        "questions": {**asked, "by_kind": {"merge": asked}, "by_person": {text: spread()}},
        "rules": {text: 2},
        "cost": {**cost, "by_day": {"2026-11-21": cost}, "by_driver": {"claude": cost}},
    }  # fmt: skip


def analytics(text: str = "claude") -> dict[str, Any]:
    run = {"driver": "claude", "outcome": text, "runs": 3, "seconds": 12.0, "cost_usd": 0.3}
    own = {"by_type": {"bug": share()}, "by_kind": {"work": share()}}
    item = {"agent": text, **share(), **own}
    ends = {"succeeded": 8, "failed": 2, "cancelled": 0, "open": 1, "rate": 0.8}
    used = {"runs": 11, "cost_usd": 1.25, "input_tokens": 100, "output_tokens": 10}
    took = {"count": 9, "p50_seconds": 4.0, "p90_seconds": 70.0, "longest_seconds": 3700.0}
    none = {"count": 0, "p50_seconds": None, "p90_seconds": None, "longest_seconds": None}
    names = (("by_role", "coding"), ("by_driver", text), ("by_type", "bug"))
    return {
        "project": text, "since": MORNING, "until": MORNING, "items": [item], "runs": [run],
        "next": None, "agents": {"completed": 10, text: 1}, "tasks": {"queued": 2},
        "success": {by: {name: ends} for by, name in names},
        "cost": {**used, **{by: {name: used} for by, name in names}},
        "agent_seconds": {**took, "by_role": {"coding": took}},
        "task_seconds": {**took, "by_type": {"bug": took}},
        "retries": {"coding": {"tasks": 9, "retried": 1, "retries": 2},
                    "auditor": {"tasks": 1, "retried": 0, "retries": 0}},
        "review_rounds": {"tasks": 4, "rounds": 3, "most": 2},
        "queue": {"waiting": took, "waited": none},
    }  # fmt: skip


def github_status(text: str = "muster-bot") -> dict[str, Any]:
    return {
        "forge": "github", "api_url": "https://api.github.com", "owner": text, "signed_in": False,
        "login": text, "scopes": [text], "why": text, "mend": text, "rate_left": 12,
        "rate_resets_at": 1_800_000_000, "webhook": False,
    }  # fmt: skip


def github_repository(text: str = "main") -> dict[str, Any]:
    return {
        "name": "team/app", "default_branch": text, "clone_url": text, "url": text,
        "private": True, "may_push": True,
    }  # fmt: skip


def pull(text: str = "Add a retry", **changes: Any) -> dict[str, Any]:
    return {
        "repo": "team/app", "number": 7, "url": text, "title": text, "state": "open",
        "branch": text, "base": text, "head": "a" * 40, "author": text, "mergeable": None,
        "merged_commit": "b" * 40, **changes,
    }  # fmt: skip


def whole_pull(text: str = "Add a retry") -> dict[str, Any]:
    remark = {"path": text, "line": None, "text": text}
    review = {
        "id": "1", "author": text, "opinion": "approve", "head": "a" * 40, "summary": text,
        "own": False, "at": MORNING, "comments": [remark],
    }  # fmt: skip
    return {**pull(text), "checks": "passed", "reviews": [review]}


def no_metrics() -> dict[str, Any]:
    none = {"count": 0, "p50_seconds": None, "p95_seconds": None, "total_seconds": 0.0}
    asked = {"asked": 0, "open": 0, "closed_by_events": 0, "answers": {}, "wait": none}
    cost = {"runs": 0, "cost_usd": 0, "input_tokens": 0, "output_tokens": 0}
    reliability = {
        "outcomes": 0, "right": 0, "wrong": 0, "abstained": 0, "brier": None, "base_brier": None,
        "ece": None, "auc": None, "bins": [], "target": 0.05, "threshold": None,
    }  # fmt: skip
    nothing = {
        "completed": 0, "failed": 0, "cancelled": 0, "completion_rate": None,
        "attempts_per_task": None, "mean_seconds": None,
    }  # fmt: skip
    return {
        "project": None, "since": MORNING, "until": LATER,
        "tasks": {**nothing, "by_project": {}, "by_type": {}, "by_agent": {}, "by_kind": {}},
        "attempts": {}, "stages": {}, "confidence": [], "reliability": reliability,
        "questions": {**asked, "by_kind": {}, "by_person": {}}, "rules": {},
        "cost": {**cost, "by_day": {}, "by_driver": {}},
    }  # fmt: skip
