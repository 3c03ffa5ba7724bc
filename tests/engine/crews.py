"""A crew of scripted agents: one small program plays every role, by what it is told its role is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.houses import shell

REPORTS: dict[str, dict[str, Any]] = {
    "starter": {
        "decision": "plan",
        "analysis": "A function is missing.",
        "plan": [{"title": "Write it with a test", "details": "", "files": ["made.py"]}],
    },
    "reviewer": {"verdict": "approve", "summary": "Fine.", "comments": []},
    "deployer": {"deployed": True, "commit": "COMMIT", "environment": "test", "notes": "done"},
    "verifier": {"passed": True, "checks": [{"name": "health", "passed": True, "detail": "200"}]},
    "auditor": {"summary": "Looked.", "issues": []},
}
CHANGES = {
    "verdict": "request_changes",
    "summary": "Not yet.",
    "comments": [{"path": "made.py", "line": 1, "text": "Say why.", "severity": "must"}],
}
BROKEN = {
    "passed": False,
    "checks": [{"name": "health", "passed": False, "detail": "500"}],
    "summary": "It does not answer.",
}
ISSUES = {
    "summary": "Two things.",
    "issues": [
        {"title": f"Issue {n}", "description": "d", "type": "bug", "severity": "high"}
        for n in (1, 2)
    ],
}

FILES = {"README.md": "A sample.\n", "test_sample.sh": "grep -q sample README.md\n"}
TESTS = 'for t in test_*.sh; do sh "$t" || exit 1; done'
"""A project whose tests are shell scripts, so that its test runs take milliseconds."""

_PLAY = """
echo "$MUSTER_ROLE $MUSTER_TASK $MUSTER_ATTEMPT $NAME" >> "$LOG"
if [ "$MUSTER_ROLE" = coding ]; then
  [ -e "$SAYS/nothing-$(grep -c "^coding " "$LOG")" ] && exit 0
  n=$(ls made-* 2>/dev/null | wc -l)
  echo "$MUSTER_TASK $n" > "made-$MUSTER_TASK-$n.txt"
  echo "grep -q '$MUSTER_TASK $n' made-$MUSTER_TASK-$n.txt" > "test_$MUSTER_TASK-$n.sh"
  exit 0
fi
said="$SAYS/$MUSTER_ROLE-$(grep -c "^$MUSTER_ROLE " "$LOG").json"
[ -e "$said" ] || said="$SAYS/$MUSTER_ROLE.json"
[ -e "$said" ] || exit 0
commit=$(git rev-parse HEAD)
sed "s/COMMIT/$commit/" "$said" > "$MUSTER_RESULT.part" && mv "$MUSTER_RESULT.part" "$MUSTER_RESULT"
"""


def crew(root: Path, **said: Any) -> dict[str, Any]:
    """The own agents `coder` and `judge`, two programs by name, that play every role.

    `said` has what a role reports, by its name, or by `role_N` for its N-th run; a role that says
    None ends without a word. What ran is a line each in `root/ran`.
    """
    folder = root / "says"
    folder.mkdir(parents=True, exist_ok=True)
    for name, report in {**REPORTS, **said}.items():
        if report is not None:
            document = {"status": "completed", "output": "see data", "data": report}
            (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(document))
    words = f"LOG='{root / 'ran'}'; SAYS='{folder}';"
    return {name: shell(f"NAME={name}; {words}{_PLAY}") for name in ("coder", "judge")}


def ran(root: Path) -> list[str]:
    """Who ran, in order: role and agent."""
    lines = (root / "ran").read_text().splitlines() if (root / "ran").exists() else []
    return [f"{role} {name}" for role, _, _, name in (line.split() for line in lines)]
