"""What an agent's program is told and given: the job for its driver, the order for its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.agents.base import Driver
from muster.agents.base import Job as AgentJob
from muster.agents.options import words as texts
from muster.domain.agent import Agent, Role
from muster.domain.errors import Invalid
from muster.domain.ids import token_of
from muster.domain.permission import Permissions
from muster.domain.playbook import role_of
from muster.domain.secret_names import secrets_in
from muster.engine.logins import lend
from muster.engine.mailbox import Mailbox
from muster.engine.reach import Wanted, reach_of
from muster.engine.resume import Past, moved, put
from muster.engine.tools import Job, Tools, limits_of
from muster.runtimes.base import RunSpec, Runtime
from muster.vault import environment
from muster.workspace.base import Workspace

_SHORTEST_SECRET = 6
_LEAST = 0.01
"""US dollars; a purse that was spent a moment ago is watched, and not asked for."""
_LONGEST_WAIT = 30 * 24 * 3600.0
"""Seconds that a run may wait for people besides the time it is given to work."""
_NO_DOOR: Mapping[str, str] = {}


def permissions_of(job: Job, driver: Driver, options: Mapping[str, Any]) -> Permissions:
    """Who answers the agent when it asks.

    Raises:
        Invalid: it is to ask, and cannot be made to.
    """
    wanted = Permissions(options.get("permissions") or job.settings.permissions)
    can = driver.capabilities.two_way and driver.capabilities.permissions
    if wanted is not Permissions.BYPASS and not can:
        raise Invalid(
            f"'{driver.name}' cannot be made to ask, and permissions = {wanted}",
            hint="give the task to another agent, or let this one do all that its place allows:"
            ' permissions = "bypass" in its [agents.NAME]',
        )
    return wanted


def door_to(tools: Tools, runtime: Runtime, agent_id: str) -> dict[str, str]:
    """Where the agent reaches muster, with a token of its own that opens its own task only.

    The same after a restart, and written down nowhere: a program that has begun can still be told.

    Nothing on another machine: whoever listens at the address there is a stranger.
    """
    if not tools.url or not runtime.distance.loopback:
        return {}
    return {"MUSTER_URL": tools.url, "MUSTER_TOKEN": token_of(tools.key, agent_id)}


def private(tools: Tools, agent_id: str) -> Path:
    """What belongs to an agent and is neither its workspace nor its run's record."""
    return tools.run_dir(agent_id) / "agent"


def mailbox_of(tools: Tools, job: Job, agent_id: str) -> Mailbox:
    """Where an agent says something by files."""
    return Mailbox(private(tools, agent_id) / "mailbox", job.task.label, job.task.manages)


def agent_job(
    tools: Tools,
    job: Job,
    agent: Agent,
    workspace: Workspace,
    options: dict[str, Any],
    prompt: str,
    past: Past | None,
    door: Mapping[str, str] = _NO_DOOR,
) -> AgentJob:
    """The job as the driver hears of it; `past` is whose session it goes on with.

    The `prompt` is not from the file: the agent may have put anything in its place.
    """
    folder = private(tools, agent.id)
    prompt_file = folder / "prompt.md"
    return AgentJob(
        run_id=agent.id,
        prompt=prompt,
        workspace=workspace.tree,
        home=private(tools, (past and past.home) or agent.id) / "home",
        prompt_file=prompt_file,
        result_file=folder / "result.json",
        environ=tools.settings.lendable,
        options=options,
        model=_model(job, options),
        budget_usd=_may_spend(job, options),
        resume_session=past.agent.session_id if past else None,
        resume_usage=past.agent.usage if past else None,
        fork=past is not None and past.fork,
        moved=moved(tools, past, workspace) if past else (),
        attempt=job.task.attempt,
        mcp_url=f"{door['MUSTER_URL']}/mcp" if door else "",
        hooks_url=f"{door['MUSTER_URL']}/hooks" if door else "",
        mcp_token=door.get("MUSTER_TOKEN", ""),
        # As it was started: a setting that changed since does not change the program.
        two_way=agent.hears is not None,
        ask=agent.permissions is not Permissions.BYPASS,
        contained=tools.runtime(agent.runtime).distance.contains,
    )


def _model(job: Job, options: Mapping[str, Any]) -> str | None:
    """The model that the program is to ask: one that was chosen for a task is its coder's."""
    chosen = job.task.model if job.player is None else None
    return chosen or options.get("model") or (job.settings.model if job.player is None else None)


def budget_of(job: Job, options: Mapping[str, Any]) -> float | None:
    """What an agent may cost in US dollars: the limit of its task, else the agent's or project's.

    None for a manager that has a purse, which says all that there is to say.
    """
    if job.task.manages and job.purse is not None:
        return None
    limits = (job.task.budget_usd, options.get("budget_usd"), job.settings.budget_usd)
    return next((float(limit) for limit in limits if limit is not None), None)


def _may_spend(job: Job, options: Mapping[str, Any]) -> float | None:
    """The same, and no more than its purse has: what the program is asked to keep to itself."""
    purse = [] if job.purse is None else [max(_LEAST, job.purse.left)]
    own = budget_of(job, options)
    return min([*purse, *([] if own is None else [own])], default=None)


def _role_words(job: Job) -> dict[str, str]:
    """What a program that reads no prompt needs to know of its role."""
    role, own = role_of(job.task), job.settings
    words = {"MUSTER_ROLE": str(role)}
    if role is Role.DEPLOYER:
        words["MUSTER_DEPLOY_COMMAND"] = own.deploy_command or ""
    if role is Role.VERIFIER:
        words["MUSTER_VERIFY_COMMAND"] = own.verify_command or ""
    return words


def seconds_of(job: Job, options: Mapping[str, Any]) -> float:
    """How long the agent may work; a manager waits for others unless it is given a time."""
    if job.task.manages and not job.task.timeout_minutes:
        return _LONGEST_WAIT
    own = options.get("timeout_minutes")
    return 60 * float(job.task.timeout_minutes or own or job.settings.timeout_minutes)


def order_of(
    tools: Tools,
    job: Job,
    driver: Driver,
    wanted: AgentJob,
    workspace: Workspace,
    door: dict[str, str],
    past: Past | None = None,
) -> RunSpec:
    """The order for the place, with the files that the program is to find written.

    `past` is whose session it goes on with.

    Raises:
        Invalid, Refused: as the driver's launch.
    """
    launch = driver.launch(wanted)
    for path, text in launch.files.items():
        put(wanted.home, path, text)
    first, count = workspace.ports
    # The folder of its home first: with the same place among them it has the same path elsewhere.
    folders = (wanted.home.parent, private(tools, wanted.run_id))
    own = tuple(dict.fromkeys(map(str, folders)))
    env = environment(
        tools.settings.environ,
        wanted.home,
        {
            "MUSTER_TASK": job.task.label,
            "MUSTER_ATTEMPT": str(job.task.attempt),
            **_role_words(job),
            "MUSTER_MAILBOX": str(mailbox_of(tools, job, wanted.run_id).folder),
            "MUSTER_PORT_BASE": str(first),
            "MUSTER_PORT_COUNT": str(count),
            "GIT_AUTHOR_NAME": job.settings.git_user_name,
            "GIT_AUTHOR_EMAIL": job.settings.git_user_email,
            "GIT_COMMITTER_NAME": job.settings.git_user_name,
            "GIT_COMMITTER_EMAIL": job.settings.git_user_email,
            **door,
            **launch.env,
        },
    )
    lent = lend(launch.logins, wanted.home, tools.run_dir(wanted.run_id))
    options = wanted.options
    needs = Wanted(
        network=(*launch.network, *texts(options, "network")),
        readable=(*launch.readable, *texts(options, "readable")),
        writable=lent.shown,
    )
    seconds = seconds_of(job, wanted.options) + (_LONGEST_WAIT if wanted.ask else 0.0)
    known = {s for s in launch.secrets if len(s) >= _SHORTEST_SECRET}
    known |= {door["MUSTER_TOKEN"]} if door else set()
    known |= lent.secrets
    return RunSpec(
        run_id=wanted.run_id,
        argv=launch.argv,
        cwd=str(workspace.tree),
        env=env,
        stdin=launch.stdin,
        interactive=launch.interactive,
        limits=limits_of(job, seconds),
        secrets=tuple(sorted(known | set(secrets_in(tools.settings.environ)))),
        follows=str(tools.run_dir(past.home)) if past and past.home else "",
        **reach_of(tools, job, workspace, own, env, needs),
    )
