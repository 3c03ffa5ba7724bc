"""A small report of each role that is right, for agents to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.domain.agent import Role

EXAMPLES: Mapping[Role, Mapping[str, Any]] = {
    Role.STARTER: {
        "decision": "plan",
        "analysis": "Totals are rounded in two places; only format_total() is meant to.",
        "plan": [
            {
                "title": "Round in format_total() alone",
                "details": "Let add() keep the exact sum; test 0.1 + 0.2.",
                "files": ["src/totals.py", "tests/test_totals.py"],
            }
        ],
        "repos": [],
        "risks": ["add() is public: callers may count on rounded sums"],
    },
    Role.REVIEWER: {
        "verdict": "request_changes",
        "summary": "Does what was asked; an empty list is not handled.",
        "comments": [
            {
                "path": "src/totals.py",
                "line": 12,
                "text": "max() raises on an empty list. Return 0 and test it.",
                "severity": "must",
            }
        ],
    },
    Role.DEPLOYER: {
        "deployed": True,
        "commit": "3f1c9e0a7d52b8841c6f0e2b9a7d4c5e6f801234",
        "version": "1.4.2",
        "environment": "staging",
        "url": "https://staging.example.org",
        "notes": "The deploy command ended with 0 after 40 s.",
    },
    Role.VERIFIER: {
        "passed": False,
        "checks": [
            {"name": "health", "passed": True, "detail": "GET /health answered 200"},
            {"name": "totals", "passed": False, "detail": "GET /totals answered 500: KeyError"},
        ],
        "summary": "It runs; totals fail for new accounts.",
    },
    Role.AUDITOR: {
        "summary": "Read the handlers of uploads; one writes outside of its folder.",
        "issues": [
            {
                "title": "Uploads may leave their folder",
                "description": "save() joins the client's file name unchecked. Refuse '..'.",
                "type": "bug",
                "severity": "high",
                "paths": ["src/uploads.py"],
            }
        ],
    },
}
