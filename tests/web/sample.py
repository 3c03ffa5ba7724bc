"""A fleet in the middle of its day: something in every state, as the screenshots show it."""

from __future__ import annotations

from tests.client import canned

from web.fleet import FakeFleet, stamp, stamp_of_today

# ruff: noqa: E501, RUF001 (what a machine says, as it says it)
OUTPUT = """\
\x1b[2m12:09:41\x1b[0m \x1b[35m●\x1b[0m \x1b[1;97mCap the jitter so a retry never waits longer than 30 s\x1b[0m
\x1b[2m         └\x1b[0m Edit \x1b[34msrc/payments/retry.py\x1b[0m  \x1b[32m+6\x1b[0m \x1b[31m−2\x1b[0m

\x1b[2m12:10:03\x1b[0m \x1b[32m$\x1b[0m pytest tests/payments -q
\x1b[32m................................................\x1b[0m   [100%]
\x1b[32m48 passed\x1b[0m \x1b[2min 11.84s\x1b[0m

\x1b[2m12:11:20\x1b[0m \x1b[35m●\x1b[0m Review round 2 came back clean. What is left is the unique index,
           so two retries can never write the same key twice.

\x1b[2m12:13:52\x1b[0m \x1b[32m$\x1b[0m alembic upgrade 0042 --sql \x1b[2m| tail -4\x1b[0m
\x1b[34mCREATE UNIQUE INDEX CONCURRENTLY\x1b[0m uq_payments_idem
  \x1b[34mON\x1b[0m payments (merchant_id, idempotency_key)
  \x1b[34mWHERE\x1b[0m idempotency_key \x1b[34mIS NOT NULL\x1b[0m;

\x1b[2m12:14:06\x1b[0m \x1b[33m◆\x1b[0m \x1b[33mReady for review\x1b[0m  all checks of the task are green
"""
PATCH = """\
--- a/src/payments/retry.py
+++ b/src/payments/retry.py
@@ -38,8 +38,11 @@ async def deliver(request, policy):
     \"\"\"Send until it is taken or the policy gives up.\"\"\"
     key = request.idempotency_key or new_key(request)
-    for attempt in range(3):
+    for attempt in range(policy.max_attempts):
+        delay = min(policy.base * 2 ** attempt, policy.cap)
+        await sleep(delay * uniform(0.5, 1.0))
         response = await send(request, key=key)
-        if response.ok:
+        if response.ok or response.status == 409:
             return response
     raise GaveUp(request, key)
"""
TEST_PATCH = """\
--- /dev/null
+++ b/tests/payments/test_retry.py
@@ -0,0 +1,6 @@
+async def test_a_retry_keeps_its_key(server):
+    server.fails(2)
+    await deliver(order(), Policy(max_attempts=3))
+    assert len(server.keys) == 1
+
+
"""
DIFF = {
    "base": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "head": "a81f3c2d55b0c1e09d6c6f2d1c3a5b7e9f012345",
    "added": 142,
    "removed": 38,
    "files": [
        {
            "path": "src/payments/retry.py",
            "old_path": None,
            "status": "modified",
            "added": 31,
            "removed": 9,
            "binary": False,
            "truncated": False,
            "patch": PATCH,
        },
        {
            "path": "tests/payments/test_retry.py",
            "old_path": None,
            "status": "added",
            "added": 96,
            "removed": 0,
            "binary": False,
            "truncated": False,
            "patch": TEST_PATCH,
        },
        {
            "path": "uv.lock",
            "old_path": None,
            "status": "modified",
            "added": 15,
            "removed": 29,
            "binary": False,
            "truncated": False,
            "patch": "@@ -1 +1 @@\n-a\n+b\n",
        },
    ],
}
FINDINGS = [
    {
        "code": "tests.kept",
        "severity": "ok",
        "text": "48 of 48 tests pass on a clean copy, and none of the base’s tests broke",
        "evidence": {
            "command": "pytest -q",
            "runs": [
                {"name": "base", "exit_code": 0, "why": "", "seconds": 11.2, "passed": 44,
                 "failed": 0, "run_id": "r1", "tail": "44 passed in 11.20s\n"},
                {"name": "result", "exit_code": 0, "why": "", "seconds": 11.8, "passed": 48,
                 "failed": 0, "run_id": "r2", "tail": "48 passed in 11.84s\n"},
                {"name": "base + result’s tests", "exit_code": 1, "why": "as it must", "seconds": 9.1,
                 "passed": 44, "failed": 4, "run_id": "r3", "tail": "4 failed, 44 passed\n"},
            ],
            "broken": [],
            "fixed": ["tests/payments/test_retry.py::test_a_retry_keeps_its_key"],
            "missing": [],
        },
    },
    {"code": "lint.delta", "severity": "ok", "text": "Lint and types are as clean as before",
     "evidence": {}},
    {"code": "paths.outside", "severity": "note",
     "text": "One file outside the plan was touched: uv.lock", "evidence": {"paths": ["uv.lock"]}},
]  # fmt: skip


def _working(fleet: FakeFleet) -> None:
    rows = [
        (482, "Add retry with idempotency to the payments webhook", "claude", 24, "", 142, 38, 1.84),
        (497, "Stop the flaky login test from racing the session store", "codex", 8.7,
         "pytest tests/auth -q  41/48", 36, 12, 0.52),
        (501, "Split the CSV importer into reader and mapper", "claude", 31,
         "src/importer/mapper.py", 418, 265, 2.37),
        (503, "Cache the search index between worktrees", "gemini", 3.3,
         "docs/search/indexing.md", 9, 0, 0.11),
        (505, "Show the queue position on the status page", "opencode", 12.8,
         "npm run build", 88, 17, 0.64),
    ]  # fmt: skip
    for number, title, agent, minutes, said, added, removed, cost in rows:
        task = fleet.add_task(
            title, "executing", number=number, agent=agent, added=added, removed=removed,
            files_changed=6, cost_usd=cost, budget_usd=3.0, started_at=stamp(minutes),
        )  # fmt: skip
        fleet.add_agent(task["id"], OUTPUT, last_line=said, started_at=stamp(minutes), driver=agent)


def _queue(fleet: FakeFleet) -> None:
    first = "tsk_0482"
    fleet.add_task("Harden token refresh against clock skew", number=513, priority=8)
    for number, title in (
        (514, "Document the webhook retry contract"),
        (515, "Backfill idempotency keys for old payments"),
    ):
        fleet.add_task(title, "blocked", number=number, needs=[first])
    for number, title in (
        (516, "Replace moment.js in the admin panel"),
        (517, "Trim the Docker image below 300 MB"),
        (518, "Say which setting won in config explain"),
    ):
        fleet.add_task(title, number=number, priority=3)


def _asks(fleet: FakeFleet) -> None:
    fleet.add_task("Verify checkout on staging after deploy", "monitoring", number=489, attempt=3,
                   tries=3, added=54, removed=20, files_changed=3, cost_usd=1.2,
                   started_at=stamp(34))  # fmt: skip
    fleet.add_task("Rate limiter v2: sliding window with bursts", "monitoring", number=476,
                   agent="codex", added=312, removed=88, files_changed=9, cost_usd=3.02,
                   started_at=stamp(46))  # fmt: skip
    fleet.add_task("Audit log: sign every entry", "monitoring", number=493, agent="gemini",
                   added=203, removed=41, files_changed=9, cost_usd=1.71,
                   reason="tests on a clean copy, 2 of 4 runs", started_at=stamp(22))  # fmt: skip
    fleet.add_task("Round prices the way the invoices do", "monitoring", number=507,
                   added=31, removed=9, files_changed=2, cost_usd=0.44,
                   started_at=stamp(18))  # fmt: skip
    fleet.judge("tsk_0482", FINDINGS)
    fleet.ask("tsk_0482", "merge", "All checks passed. May it be merged into main?",
              holds_back=2, created_at=stamp(12),
              evidence={"branch": "muster/tsk_0482", "merges_into": "main"})  # fmt: skip
    fleet.ask("tsk_0507", "conflict", "main has changed the same lines since this task began.",
              holds_back=1, created_at=stamp(7),
              evidence={"paths": [{
                  "path": "src/billing/rounding.py",
                  "ours": "def round_price(p):\n    return p.quantize(CENT, ROUND_HALF_EVEN)\n",
                  "theirs": "def round_price(price):\n    return price.quantize(CENT, ROUND_HALF_UP)\n",
                  "base": "def round_price(p):\n    return round(p, 2)\n",
                  "conflict": "<<<<<<< main\n    return p.quantize(CENT, ROUND_HALF_EVEN)\n=======\n"
                              "    return price.quantize(CENT, ROUND_HALF_UP)\n>>>>>>> MU-507\n",
              }]})  # fmt: skip
    fleet.ask("tsk_0489", "exhausted", "Three attempts failed on the same test: "
              "e2e/checkout.spec.ts. The reviewer thinks it is the cookie domain, not the change.",
              created_at=stamp(5), evidence={"broken": ["e2e/checkout.spec.ts"]})  # fmt: skip
    fleet.ask("tsk_0476", "merge", "6 checks passed with confidence 0.91.", created_at=stamp(2))


def _trail(fleet: FakeFleet) -> None:
    for minutes, type, text, state in (
        (24, "task.created", "Accepted: Add retry with idempotency to the payments webhook", "note"),
        (24, "workspace.opened", "Workspace made (overlay) at 4b825dc", "note"),
        (23, "agent.starting", "Attempt 1 given to claude (process)", "note"),
        (19, "agent.ended", "Agent ended: completed", "ok"),
        (18, "checkpoint.taken", "Checkpoint 1: attempt 1", "note"),
        (16, "verdict.reached", "3 tests fail that passed before: the retry kept no key", "fail"),
        (16, "decision.made", "Decision: retry. The failing output goes into the prompt", "note"),
        (15, "agent.starting", "Attempt 2 given to claude (process)", "note"),
        (13, "checkpoint.taken", "Checkpoint 2: attempt 2", "note"),
        (12, "verdict.reached", "48 of 48 tests pass; lint and types as clean as before", "ok"),
        (12, "breakpoint.raised",
         "Waits for a person: All checks passed. May it be merged into main?", "wait"),
    ):  # fmt: skip
        fleet.tell("tsk_0482", type, text, state, minutes)
    fleet.details["tsk_0482"]["checkpoints"] += [
        {"task_id": "tsk_0482", "n": n, "attempt": n, "label": label, "commit": commit,
         "created_at": stamp(minutes)}
        for n, label, commit, minutes in (
            (1, "First attempt", "11c9a0de77", 18),
            (2, "Tests green", "a81f3c2d55", 13),
        )
    ]  # fmt: skip


def _done(fleet: FakeFleet) -> None:
    for n, title in enumerate((
        "Prune merged worktrees nightly", "Retry GitHub 502s on push", "Typed config for the queue",
        "Fix dark theme in e-mails", "Faster cold start for agents", "Lock file: release on crash",
        "Index embeddings in batches",
    )):  # fmt: skip
        fleet.add_task(title, "completed", number=460 + n, finished_at=stamp_of_today(1 + 7 * n))
    fleet.add_task(
        "Upgrade the ORM in one go", "failed", number=470, finished_at=stamp_of_today(20)
    )


def busy_fleet() -> FakeFleet:
    """Something of everything."""
    fleet = FakeFleet()
    fleet.add_project("payments", autonomy="confirm")
    _working(fleet)
    _queue(fleet)
    _asks(fleet)
    _trail(fleet)
    _done(fleet)
    fleet.counted = canned.metrics("payments")
    fleet.tasks["tsk_0482"].update(attempt=2, tries=2, result_commit=DIFF["head"])
    fleet.end_agent(fleet.tasks["tsk_0482"]["live_agent"]["id"])
    agent = fleet.details["tsk_0482"]["agents"][0]
    agent["ended_at"] = stamp(13)
    fleet.diffs["tsk_0482"] = DIFF
    fleet.details["tsk_0482"]["verdicts"].insert(0, {
        **fleet.details["tsk_0482"]["verdicts"][0], "id": "vrd_first", "attempt": 1,
        "passed": False, "confidence": 0.44, "created_at": stamp(16),
        "findings": [{"code": "tests.broken", "severity": "veto",
                      "text": "3 tests fail that passed before",
                      "evidence": {"command": "pytest -q", "broken": ["tests/test_a.py::test_b"]}}],
        "decision": {"step": "retry", "reasons": ["3 tests broke"], "question": "", "kind": "",
                     "options": []},
    })  # fmt: skip
    fleet.details["tsk_0482"]["verdicts"][1]["attempt"] = 2
    fleet.figures = {
        "agents_busy": 5,
        "agents_limit": 8,
        "finished_last_hour": 7,
        "finished_series": [3, 4, 3, 5, 6, 5, 7, 6, 8, 7, 8, 7],
        "merge_median_seconds": 2280,
        "merge_series": [3600, 3400, 3500, 3000, 2900, 2950, 2600, 2700, 2400, 2300, 2280],
        "spent_today_usd": 41.8,
        "budget_usd": 80.0,
        "queue_clears_seconds": 6600,
        "done_today": 31,
    }
    return fleet
