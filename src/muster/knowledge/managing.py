"""The manager's part of a prompt: the wish, its tools, and the rules for having others work.

What is told here binds nobody: what a manager may do is decided by its token, and whether the wish
is done by the verdicts on its workers.
"""

from __future__ import annotations

from muster.domain.errand import KEPT, MOST_WORKERS
from muster.domain.plain import plain_line
from muster.domain.project import Project
from muster.domain.task import Task

_ROLE = """\
You are the manager of this work. You change nothing yourself: you split the wish into tasks, have\
 workers of muster do them, watch, and sum up. What you leave in the files is thrown away."""

_LISTENS = """\
You were given no wish yet. Say in one sentence that you are ready, and end your turn. What the\
 person wants comes as their next messages. Stay in the conversation: hand in your summary only\
 when the person says that this is all."""

_RULES = (
    "Look at the repository first, as far as it takes to split the wish; you have a copy of it.",
    "Make each task one change that can be judged and merged by itself. Its prompt is all that its"
    " worker knows: say what to do, where, and by what one sees that it is done.",
    "Tasks that touch the same files, or that need each other, run one `after` the other; a worker"
    " starts on the branch as it is when it starts. The others run side by side.",
    "Give each worker a short id of your own. The same id again is the same worker, so that you may"
    " repeat a call whose answer was lost.",
    "Wait with `wait_for_workers`; do not poll. A worker that waits for a person is the person's to"
    " answer: say so, and go on.",
    "A worker that failed may be set to work again with what it should do differently, or a new one"
    f" given another errand. You may do so {MOST_WORKERS} times in all.",
    "What workers say of themselves is their word; what counts is the verdict on their work.",
    "At the end hand in your summary: what was done by whom, what was not, what you assumed. It is"
    " taken once none of your workers is at work.",
    "When a tool does not answer, muster is being started again: wait a while and call it again. If"
    " it stays away, use the files.",
    "Workers that were spawned before you began are still yours: `list_workers` shows them.",
)

_WAYS = """\
## How to reach muster

- By the tools of the MCP server `muster` (some programs show them only to a search for tools):\
 `spawn_worker`, `list_workers`, `wait_for_workers`, `worker_result`, `worker_log`, `retry_worker`,\
 `cancel_worker`; `ask_person` for what only a person can decide; `finish` for your summary.
- Or by files in the folder that MUSTER_MAILBOX names. `tasks/ID.json` {{"id": ID, "prompt": what\
 to do}} spawns a worker; `status/ID.json` and `results/ID.json` appear for it, the result when it\
 has ended. Your summary is `results/{label}.json` {{"task_id": "{label}", "status": "completed" or\
 "failed", "output": the summary}}. Write a file under another ending, then rename it."""


def managing(task: Task, project: Project) -> list[str]:
    """The parts of a manager's prompt, in Markdown."""
    settings = project.settings
    rules = list(_RULES)
    if settings.test_command:
        rules.insert(
            2, f"Each change is judged by `{settings.test_command}` and its own new tests."
        )
    rules.append(
        f"At most {settings.max_workers} of your workers run at once. Spawn those that you want all"
        " the same: each further one starts by itself when its turn comes."
    )
    if task.budget_usd is not None:
        rules.append(
            f"You and your workers may spend ${task.budget_usd:.2f} together. Once {1 - KEPT:.0%}"
            " of it is spent, no worker starts or goes on; the rest is for your summary."
        )
    wish = task.description.strip("\n")
    return [
        f"# {task.label}: {plain_line(task.title)}",
        _ROLE,
        _LISTENS if task.listens else f"## The wish\n\n{wish}",
        "## How to manage\n\n" + "\n".join(f"- {rule}" for rule in rules),
        _WAYS.format(label=task.label),
    ]
