"""Submitting: what a request for a task becomes, and what of it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muster.domain.errors import Invalid, NoRoom, NotFound
from muster.domain.playbook import BEGIN, BUILT_IN, CREW, PLANNED, Playbook
from muster.domain.project import ProjectSettings
from muster.domain.task import MANAGER, PLAN, SOLO, Autonomy, Stage, Task
from muster.domain.verdict import Checkpoint
from muster.service import books
from muster.service.desk import Desk
from muster.service.requests import TaskRequest, refuse_acceptance, task_request
from muster.settings import resolve
from muster.store import judgements, keys, projects, tasks
from muster.store.acceptance import create_with_author, note_wanted
from muster.store.base import Tx
from muster.store.papers import BOOK, REPOS, put_paper
from muster.store.projects import ProjectRow
from muster.store.tasks import NewTask


class Submitting(Desk):
    """How a task comes to be."""

    async def create_task(
        self, body: Mapping[str, Any], key: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Accept a task; with True when an earlier request with this key had made it.

        Raises:
            Invalid, NotFound: something in the body cannot be accepted.
            NoRoom: too little of the disk is free to keep a promise.
        """
        wanted = task_request(body)
        self._refuse_unknown(wanted)
        if not self._own.room_on_disk():
            raise NoRoom(
                "the disk is nearly full, so no new work is accepted",
                hint="free some space where MUSTER_HOME lies; then submit again",
            )
        scoped = f"task {key}" if key else None
        answer, replayed = await self._store.write(
            keys.once, scoped, dict(body), lambda tx: self._create(tx, wanted)
        )
        return answer, replayed

    def _refuse_unknown(self, wanted: TaskRequest) -> None:
        own = self._own
        if wanted.runtime is not None and wanted.runtime not in own.runtime_names:
            known = ", ".join(sorted(own.runtime_names))
            raise Invalid(f"there is no runtime '{wanted.runtime}'", hint=f"runtimes: {known}")

    def _create(
        self,
        tx: Tx,
        wanted: TaskRequest,
        *,
        proposed: bool = False,
        fork: Checkpoint | None = None,
    ) -> dict[str, Any]:
        project = projects.get_project(tx, wanted.project)
        if project.removed:
            raise NotFound(f"the project '{project.name}' was removed", hint="muster init adds it")
        known = {*self._own.agent_names, *project.file_settings.get("agents", {})}
        if wanted.agent is not None and wanted.agent not in known:
            names = ", ".join(sorted(known))
            raise Invalid(f"there is no agent '{wanted.agent}'", hint=f"agents: {names}")
        settings, sources = resolve(self._own.settings, project.overrides, project.file_settings)
        name = wanted.playbook or self._usual_playbook(settings, sources)
        book = None if name == PLAN else books.book_named(name, self._own.settings, project)
        wanted = replace(wanted, playbook=wanted.playbook or (None if name == SOLO else name))
        # A plan starts no agent: its tasks are what a person is asked about.
        manual = (wanted.autonomy or settings.autonomy) is Autonomy.MANUAL
        manual = proposed or (manual and wanted.playbook != PLAN)
        new = NewTask(
            project_id=project.id,
            title=wanted.title,
            description=wanted.description,
            type=wanted.type,
            priority=wanted.priority,
            stage=Stage.PROPOSED if manual else Stage.QUEUED,
            needs=tasks.resolve_refs(tx, wanted.after),
            autonomy=wanted.autonomy,
            agent=wanted.agent,
            runtime=wanted.runtime,
            playbook=wanted.playbook,
            model=wanted.model,
            budget_usd=self._budget(wanted, settings, project.file_settings),
            timeout_minutes=wanted.timeout_minutes,
            paths=wanted.paths,
            image=wanted.image,
            fork=fork,
            acceptance_id=tasks.get_task(tx, fork.task_id).acceptance_id if fork else None,
            step=BEGIN if book and book.routed else None,
        )
        task = create_with_author(
            tx, new, None if fork else self._author(wanted, settings, project)
        )
        note_wanted(tx, task.id, wanted.acceptance)
        self._note_repos(tx, task, wanted, book)
        if book and book.name not in BUILT_IN:
            put_paper(tx, task.id, BOOK, book.as_json())
        if manual:
            judgements.ask_to_start(tx, task)
        return self._task_shape(tx, task)

    def _note_repos(self, tx: Tx, task: Task, wanted: TaskRequest, book: Playbook | None) -> None:
        """Keep which projects a task spans, its own first.

        Raises:
            Invalid: its playbook plans nothing, so that nobody would share it out.
            NotFound: one of them is no project.
        """
        found = [projects.get_project(tx, ref).id for ref in wanted.repos]
        spanned = list(dict.fromkeys((task.project_id, *found)))
        if len(spanned) == 1:
            return
        if book is None or PLANNED not in book.on:
            raise Invalid(
                "a task of several repositories is planned by a starter",
                hint="give it the playbook crew",
            )
        put_paper(tx, task.id, REPOS, {"items": spanned})

    def _usual_playbook(self, settings: ProjectSettings, sources: Mapping[str, str]) -> str:
        """The playbook of a task that names none."""
        events = self._own.settings.multi_agent_events
        return CREW if events and sources["playbook"] == "default" else settings.playbook

    def _author(
        self, wanted: TaskRequest, settings: ProjectSettings, project: ProjectRow
    ) -> str | None:
        """Who writes a task's acceptance tests; nobody for one that others come of: theirs are.

        Raises:
            Invalid: they are asked for where there can be none.
        """
        refuse_acceptance(wanted, settings)
        if wanted.playbook in {MANAGER, PLAN}:
            return None
        writers = self._writers(project)
        return writers.author_for(settings, wanted.type, wanted.agent, wanted.acceptance)

    def _budget(
        self, wanted: TaskRequest, settings: ProjectSettings, of_project: Mapping[str, Any]
    ) -> float | None:
        """What a task may cost where that is fixed now: a manager's is its workers' as well."""
        if wanted.budget_usd is not None or wanted.playbook != MANAGER:
            return wanted.budget_usd
        known = {**of_project.get("agents", {}), **self._own.settings.agents}
        agent = known.get(wanted.agent or settings.agent or self._own.default_agent, {})
        limit = agent.get("budget_usd", settings.budget_usd)
        return None if limit is None else float(limit)
