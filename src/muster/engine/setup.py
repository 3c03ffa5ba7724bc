"""A project's setup command: run once for its inputs, its result laid under every workspace."""

from __future__ import annotations

from pathlib import Path

from muster.domain.errors import Refused
from muster.engine.checks import Command, run_command
from muster.engine.tools import Job, Tools, in_thread


async def ensure_layer(
    tools: Tools, job: Job, commit: str, run_dir: Path, *, of_agent: bool
) -> str | None:
    """The key of the layer that the setup command makes at `commit`; None without a command.

    The command runs in a clean workspace that no agent touched. A second caller waits for the
    first. At a commit `of_agent` it runs what an agent wrote, and reaches no more than that one.

    Raises:
        Refused: the command failed; the message has its last words.
    """
    command = job.settings.setup_command
    if not command:
        return None
    # The project's own, also for work that is hidden: nobody's tests are set up.
    repo = job.project.id
    key = await in_thread(tools.workspaces.layer_key, repo, commit, command)
    async with tools.lock(f"layer {key}"):
        if await in_thread(tools.workspaces.has_layer, key):
            return str(key)
        order = Command(
            "setup", command, commit, save_layer=key, reaches_index=not of_agent, repo=repo
        )
        result = await run_command(tools, job, order, run_dir / "checks")
    if result.exit_code != 0:
        raise Refused(
            f"the setup command ended with {result.exit_code}: {result.tail[-800:]}",
            hint="correct it: muster project set setup_command '…'",
        )
    return str(key)
