"""What an agent can look up about muster: one skill, in its private home and never in the tree.

Programs show a model the skill's description, and its text when the model asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SKILL = """\
---
name: muster
description: How to reach muster, which started you - report progress, ask a person, lock paths \
against other agents, propose further tasks, hand in your result - by its MCP tools or by files.
---

# Reaching muster

muster started you on one task, in a copy of the repository made for you alone. What you leave in
the files is taken and checked when you end; what you say here is shown to people at once.

## By tools, where the MCP server `muster` is among yours

- `claim_work`: your task again, with the paths to stay within and why it was refused before.
- `report_progress`: one sentence at each step worth knowing.
- `ask_person`: only for what a person must decide. When the answer says `answered: false`, call it
  again with the same question. `declined` means: decide, and say what you assumed.
- `take_locks`, `release_locks`, `list_locks`: before you change files that others may change too.
- `propose_subtasks`: for work that your task needs or leaves and that is not yours.
- `finish`: what was done, what was left, what you assumed; then end.

## By files, in the folder that the variable MUSTER_MAILBOX names

Write each file under another ending and rename it into place. ID is what MUSTER_TASK holds.

- `tasks/ID.json`: your task, as `{"id", "prompt"}`.
- `status/ID.json`: `{"text": "what you do now", "percent": 50}`; replace it as often as you like.
- `results/ID.json`: `{"task_id": "ID", "status": "completed", "output": "what was done"}`; the
  status is `completed`, `failed` or `blocked`.
- `events/NAME.json`: `{"type": "build.finished", "payload": {}}`, a fact of a kind of your own.
- `rejected/`: what was not taken, with the reason beside it.
"""


def skill_in(folder: Path) -> Mapping[Path, str]:
    """The file to write for a program that looks for skills in `folder`."""
    return {folder / "skills" / "muster" / "SKILL.md": SKILL}
