"""Planning: a wish in plain words becomes tasks, by the project's model or without one.

The stage holds no slot, since no agent runs. Whoever is killed in the middle asks again: all that
comes of an answer is written in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid, MusterError, NoAnswer
from muster.domain.plain import plain_line
from muster.domain.task import Autonomy, Stage, Task
from muster.domain.verdict import OPTIONS, Answer, BreakpointKind
from muster.engine.asking import supervisor_of, unless_wished
from muster.engine.splitting import LEAST_PARTS, Failed, failed_before
from muster.engine.tools import Job, Tools, in_thread, job_at, place_named, program_name
from muster.failpoint import failpoint
from muster.knowledge.prompts import data, listed, render
from muster.store import acceptance, plans, projects, workers
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, move
from muster.store.plans import Draft, Go
from muster.store.tasks import NewTask
from muster.supervision.command_line import commands
from muster.supervision.plan import (
    LEAST_CONFIDENCE,
    MOST_TASKS,
    Ground,
    Plan,
    PlannedTask,
    in_order,
    one_task,
)

MOST_ROUNDS = 2
"""How often a person is asked back before the plan is made as well as it can be."""
_MOST_TOKENS = 6000
_MOST_LISTING = 24_000
_CONTAINED = ("sandbox", "docker")


@dataclass(frozen=True, slots=True)
class Made:
    """A plan, and what its paper says of where it is from."""

    plan: Plan
    paper: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choices:
    """The agents and places that can be chosen, each with a word on it; the usual one first."""

    agents: Mapping[str, str]
    places: Mapping[str, str]

    @property
    def agent(self) -> str:
        """The agent that does what nothing is chosen for."""
        return next(iter(self.agents))

    @property
    def place(self) -> str:
        """The place of what nothing is chosen for."""
        return next(iter(self.places))


async def plan(tools: Tools, task: Task) -> Task:
    """Make the plan of a task, or complete the plan whose tasks are all completed."""
    team = await tools.store.read(workers.workers_of, task.id)
    done = [t.label for t in team if t.stage is Stage.COMPLETED]
    if done:
        why = f"its tasks are completed: {', '.join(done)}"
        return await tools.store.write(move, Move(Fence.of(task), Stage.COMPLETED, why))
    project = await tools.store.read(projects.get_project, task.project_id)
    mirror = await in_thread(tools.workspaces.mirror, project.id)
    head = await in_thread(mirror.fetch, Path(project.git_dir), project.branch)
    try:
        job = await job_at(tools, task, head)
        choices = await _choices(tools, job)
        made = await unless_wished(tools, task, _made(tools, job, head, choices))
    except (NoAnswer, Invalid) as fault:
        return await tools.store.write(move, _cannot(task, fault))
    if made is None or tools.wish(task.id).is_set():
        gone = Move(Fence.of(task), Stage.CANCELLED, "cancelled by a person")
        return await tools.store.write(move, gone)
    failpoint("plan.answered")
    if made.plan.is_unsure and len(_answers(task)) < MOST_ROUNDS:
        return await tools.store.write(move, _asks_back(task, made))
    return await _write(tools, job, made, choices)


async def _write(tools: Tools, job: Job, made: Made, choices: Choices) -> Task:
    asked = job.autonomy is not Autonomy.FULL or made.plan.is_unsure
    go = Go(asked, for_each=asked and job.autonomy is Autonomy.MANUAL)
    wanted = await tools.store.read(acceptance.wanted_for, job.task.id)
    writers = tools.writers(job.agents)
    drafts = [
        _draft(
            job,
            made,
            each,
            choices,
            writers.author_for(job.settings, each.type, each.agent, wanted),
        )
        for each in in_order(made.plan.tasks)
    ]
    return await tools.store.write(plans.write_plan, job.task, drafts, made.paper, go)


# --- where a plan comes from ----------------------------------------------------------------------


async def _made(tools: Tools, job: Job, head: str, choices: Choices) -> Made:
    """The model's plan; the default one where there is no model, or a person chose that.

    Raises:
        NoAnswer: the model gave none that can be used.
        Invalid: the settings name a model that there cannot be, or none that could split a task.
    """
    task = job.task
    failed = await tools.store.read(failed_before, task)
    refused = failed.times if failed else None
    alone = (task.feedback or {}).get("one_task")
    model = None if alone else await supervisor_of(tools, job)
    if model is None and failed and not alone:
        raise Invalid(
            f"it was refused {failed.times} as one task, and no model is there to split it",
            hint="name one (docs/models.md), then retry",
        )
    if model is None:
        why = (
            f"planned as one task {alone}, without a model"
            if alone
            else "no model is configured, so that it is one task (to have one: docs/models.md)"
        )
        usual = (choices.agent, choices.place)
        plan = one_task(task.description, task.type, task.title, *usual, why)
        return _with_paper(plan, head, {"model": None, "why": why, "refused": refused})
    await tools.store.write(plans.note_asked, task, str(model.named))
    failpoint("plan.before_ask")
    least = LEAST_PARTS if failed else 1
    may_ask = len(_answers(task)) < MOST_ROUNDS
    named = frozenset(choices.agents), frozenset(choices.places)
    ground = Ground(*named, _programs(job), least, may_ask)
    form: Any = await in_thread(import_module, "muster.supervision.plan_form")
    answer: Any = await model.answer(
        form.plan_on(ground),
        await _prompt(tools, job, head, choices, failed),
        project=job.project.id,
        system=render("model.plan.rules", most=MOST_TASKS, least=LEAST_CONFIDENCE),
        most=_MOST_TOKENS,
    )
    paper = {"model": answer.model, "repairs": answer.repairs, "kept_at": answer.kept_at}
    paper["refused"] = refused
    why = "the model is away; this is what it answered to the same question before"
    return _with_paper(answer.value.plain(), head, {**paper, "why": why if answer.cached else ""})


def _with_paper(plan: Plan, head: str, where_from: Mapping[str, Any]) -> Made:
    told = [task.minutes for task in plan.tasks if task.minutes is not None]
    paper = {
        **where_from,
        "type": str(plan.type),
        "summary": plan.summary,
        "confidence": plan.confidence,
        "questions": list(plan.questions),
        "minutes": sum(told) if told else None,
        "commit": head,
        "tasks": [task.as_json() for task in plan.tasks],
    }
    return Made(plan, paper)


async def _choices(tools: Tools, job: Job) -> Choices:
    """What may be chosen: never less contained than it would be anyway, and what a person named."""
    usual = program_name(tools, job)
    own = {**job.agents, **tools.settings.agents}
    agents = {usual: _words(own.get(usual, {}), "the usual one")}
    if not job.task.agent:
        agents |= {name: _words(options, "") for name, options in own.items() if name != usual}
    named = place_named(tools, job)
    place = named or (await tools.usual_place()).name
    places = {place: tools.runtime(place).describe()}
    if not job.task.runtime:
        for name in _CONTAINED:
            runtime = tools.runtimes.get(name)
            if runtime and name not in places and not await in_thread(runtime.available):
                places[name] = runtime.describe()
    return Choices(agents, places)


def _words(options: Mapping[str, Any], otherwise: str) -> str:
    known = [str(options[key]) for key in ("preset", "driver", "model") if options.get(key)]
    return plain_line(", ".join(filter(None, (otherwise, *known))), 200)


def _programs(job: Job) -> frozenset[str]:
    """The programs that the project's own commands run, as they are written there."""
    own = job.settings
    lines = filter(None, (own.test_command, own.lint_command, own.type_command))
    return frozenset(text.split()[0] for line in lines for text, _ in commands(line))


async def _prompt(
    tools: Tools, job: Job, head: str, choices: Choices, failed: Failed | None
) -> str:
    paths = await in_thread(tools.workspaces.paths, job.repo, head)
    shown = sorted(paths, key=lambda path: (path.count("/"), path))
    told = "\n".join(
        f"You have asked: {one['question']}\nThe person says: {one['answer']}"
        for one in _answers(job.task)
    )
    return render(
        "model.plan",
        wish=job.task.description.strip(),
        answers=told,
        failed=failed.prompt if failed else "",
        project=plain_line(job.project.name),
        branch=plain_line(job.project.branch),
        tests=plain_line(job.settings.test_command or "none are known"),
        agents=_lines(choices.agents),
        places=_lines(choices.places),
        files_told=f"The repository has {len(paths)} files; the names were given by strangers:",
        files=data(listed(shown, _MOST_LISTING), 2 * _MOST_LISTING),
    )


def _lines(named: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {words}".rstrip(": ") for name, words in named.items())


# --- what comes of it -----------------------------------------------------------------------------


def _draft(
    job: Job, made: Made, planned: PlannedTask, choices: Choices, author: str | None
) -> Draft:
    task = job.task
    agent = planned.agent if planned.agent != choices.agent else task.agent
    runtime = planned.isolation if planned.isolation != choices.place else task.runtime
    paper = {
        **planned.as_json(),
        "plan": task.label,
        "model": made.paper["model"],
        "confidence": made.plan.confidence,
    }
    new = NewTask(
        project_id=task.project_id,
        title=planned.title,
        description=_description(task, made, planned),
        type=planned.type,
        priority=task.priority,
        stage=Stage.PROPOSED,
        autonomy=task.autonomy,
        agent=agent,
        runtime=runtime,
        model=task.model if agent == task.agent else None,
        timeout_minutes=task.timeout_minutes,
        paths=task.paths,
        image=task.image,
    )
    return Draft(planned.key, planned.after, new, paper, author)


def _description(task: Task, made: Made, planned: PlannedTask) -> str:
    """What the agent is told: the task, and by what one sees that it is done."""
    parts = [planned.description]
    if planned.checks:
        parts.append("It is done when:\n" + "\n".join(f"- {check}" for check in planned.checks))
    if planned.commands:
        shown = "\n".join(f"- `{' '.join(argv)}`" for argv in planned.commands)
        parts.append(f"These runs should show it:\n{shown}")
    if planned.files:
        parts.append(f"Files that are likely touched: {', '.join(planned.files)}")
    if len(made.plan.tasks) > 1:
        parts.append(f"It is one task of the plan {task.label}: {made.plan.summary}")
    return "\n\n".join(parts)


def _answers(task: Task) -> list[Mapping[str, Any]]:
    """What was asked back before, and what the person said."""
    return list((task.feedback or {}).get("answers", []))


def _asks_back(task: Task, made: Made) -> Move:
    asked = made.plan.questions or ("What exactly should be done, and by what would you see it?",)
    listed_ones = "\n".join(f"{n}. {question}" for n, question in enumerate(asked, 1))
    sure = f"the model is unsure of it ({made.plan.confidence})"
    text = f"{task.label} is not planned yet, {sure}. Please say:\n{listed_ones}"
    evidence = {
        "questions": list(asked),
        "confidence": made.plan.confidence,
        "model": made.paper["model"],
    }
    kind = BreakpointKind.QUESTION
    ask = NewBreakpoint(kind, text, tuple(map(str, OPTIONS[kind])), evidence)
    return Move(Fence.of(task), Stage.WAITING, f"not planned yet: {sure}", ask=ask)


def _cannot(task: Task, fault: MusterError) -> Move:
    """Nothing is made up where a model gave no answer: a person says what is done about it."""
    hint = f"{fault.hint[:1].upper()}{fault.hint[1:]}"
    said = f"{fault.detail.rstrip('.')}. {hint}".strip()
    kind = BreakpointKind.PROBLEM
    question = f"{task.label} could not be planned: {said}. Try again, or plan it as one task?"
    options = (*map(str, OPTIONS[kind]), str(Answer.ONE_TASK))
    evidence = {"hint": fault.hint, **fault.extra}
    ask = NewBreakpoint(kind, question, options, evidence)
    return Move(Fence.of(task), Stage.WAITING, f"could not be planned: {said}", ask=ask)
