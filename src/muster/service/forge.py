"""The counter's part for GitHub: what is there, and what a person does there by hand.

A `repo` is a project's id or name, a repository as `owner/name`, or the name of one of the owner's
in the settings, looked for in this order. No answer but one holds the token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from muster.domain.errors import Conflict, Invalid, NeedsRole, NotFound, NotSignedIn
from muster.domain.guard import commit_id, ref_name
from muster.domain.person import ADMIN, SOMEBODY, Person
from muster.domain.task import Task
from muster.domain.telling import text
from muster.forge.base import Forge, NewPull
from muster.service import forge_shapes as shapes
from muster.service import roles
from muster.service.desk import Desk
from muster.store import forge_hints, keys, people_tokens, projects, tasks
from muster.store.base import Tx
from muster.store.projects import ProjectRow
from muster.workspace.forge_repo import remote_at, repo_at
from muster.workspace.remotes import ORIGIN

GITHUB = "github"
_MOST_PULLS = 200
_TITLE_BYTES = 1000
_BODY_BYTES = 60_000


class Forging(Desk):
    """Everything a door can ask about GitHub."""

    async def github_status(self) -> dict[str, Any]:
        """Whether the token does, and for whom."""
        own = self._own.settings
        account = await (await self._github()).account()
        hears = bool(own.github_webhook_secret)
        return shapes.account_shape(account, own.github_api_url, own.github_owner, hears)

    async def github_repository(self, repo: str) -> dict[str, Any]:
        """A repository there."""
        forge = await self._github()
        return shapes.repository_shape(await forge.repository(await self._at(forge, repo)))

    async def github_default_branch(self, repo: str) -> dict[str, Any]:
        """The main branch of a repository there."""
        found = await self.github_repository(repo)
        return {"repo": found["name"], "default_branch": found["default_branch"]}

    async def github_clone_url(
        self, repo: str, authenticated: bool = False, by: Person = SOMEBODY
    ) -> dict[str, Any]:
        """Where git gets a repository; `authenticated` with the token in the URL, for an admin.

        Raises:
            NeedsRole: somebody else wants the token.
            NotSignedIn: no token is set.
        """
        forge = await self._github()
        name = await self._at(forge, repo)
        url = (await forge.remote(name)).url
        if authenticated:
            await self._store.read(_refuse_the_token, by)
            url = _with_credential(url, self._own.settings.github_token)
        return {"repo": name, "url": url, "authenticated": authenticated}

    async def github_push(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Bring a task's work to its own branch there; again is fine.

        Raises:
            Conflict: the task has no work yet, or another has moved the branch.
        """
        task = await self._store.read(tasks.get_task, text(body, "task", 100))
        return await self._pushed(await self._github(), task)

    async def github_open_pull(
        self, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Offer a branch as a pull request: a task's, which is pushed first, or one that is there.

        The one that is open for the branch already is given back.

        Raises:
            Invalid: neither a task nor a repository with a branch and a title is named.
            Conflict: there is nothing to offer.
            KeyReused: the key came with another body before.
        """
        scoped = f"github pr {key}" if key else None
        known = await self._store.read(keys.answered, scoped, dict(body))
        if known is not None:
            return known
        forge = await self._github()
        repo, new = await self._offered(forge, body)
        made = shapes.pull_shape(repo, await forge.open_pull(repo, new))
        answer, _ = await self._store.write(keys.once, scoped, dict(body), lambda _tx: made)
        return answer

    async def github_pull(self, repo: str, number: int) -> dict[str, Any]:
        """A pull request with what its checks and its reviewers say."""
        forge = await self._github()
        name = await self._at(forge, repo)
        pull = await forge.pull(name, number)
        checks = await forge.checks(name, pull.head)
        return shapes.whole_pull_shape(name, pull, checks, await forge.reviews(name, number))

    async def github_pulls(
        self, repo: str, state: str = "open", limit: int = 100
    ) -> dict[str, Any]:
        """The newest pull requests of a repository."""
        forge = await self._github()
        name = await self._at(forge, repo)
        found = await forge.pulls(name, state, max(1, min(limit, _MOST_PULLS)))
        return {"items": [shapes.pull_shape(name, one) for one in found], "next": None}

    async def github_merge(
        self, repo: str, number: int, body: Mapping[str, Any], by: Person = SOMEBODY
    ) -> dict[str, Any]:
        """Merge a pull request whose checks passed, by `merge`, `squash` or `rebase`.

        Raises:
            Conflict: checks failed or have not ended, or its head is not the one that was named.
            NeedsRole: its task waits for the approval of a role.
        """
        forge = await self._github()
        name = await self._at(forge, repo)

        def refuse(tx: Tx) -> None:
            task = forge_hints.task_of_pull(tx, GITHUB, name, number)
            if task is not None:
                roles.refuse_act(tx, task, by, f"merge {task.label}")

        await roles.told(self._store, self._store.read(refuse))
        pull = await forge.pull(name, number)
        head = commit_id(text(body, "head", 64)) if body.get("head") is not None else pull.head
        message = text(body, "message", _BODY_BYTES) if body.get("message") is not None else ""
        method = str(body.get("method") or "merge")
        merged = await forge.merge(name, number, method, head, message)
        await self._store.write(forge_hints.look_soon, GITHUB, name, number)
        return shapes.pull_shape(name, merged)

    async def github_ensure_remote(self, repo: str) -> dict[str, Any]:
        """See that a project's repository names a remote there; one is added, without a credential.

        Raises:
            NotFound: no project is that repository.
        """
        forge = await self._github()
        project = await self._project_at(forge, repo)
        name = await self._repo_of(forge, project)
        url = (await forge.remote(name)).url
        spaces, git_dir = self._own.workspaces, Path(project.git_dir)

        def ensure() -> tuple[str, bool]:
            known = remote_at(forge, spaces.git, git_dir, name)
            if known is not None:
                return known, False
            free = ORIGIN if ORIGIN not in spaces.remotes(git_dir) else GITHUB
            spaces.add_remote(git_dir, free, url)
            return free, True

        remote, added = await asyncio.to_thread(ensure)
        return {
            "project": project.name, "repo": name, "remote": remote, "url": url, "added": added,
        }  # fmt: skip

    # --- inside ---

    async def _github(self) -> Forge:
        return await self._own.forges.of(GITHUB)

    async def _pushed(self, forge: Forge, task: Task) -> dict[str, Any]:
        commit = task.result_commit
        if task.writes_tests or commit is None:
            raise Conflict(
                f"{task.label} has no work that could be pushed", hint="wait for its first attempt"
            )
        project = await self._store.read(self._project, task)
        repo = await self._repo_of(forge, project)
        to = await forge.remote(repo)
        where = (task.repo, to.url, to.headers, commit, task.branch, self._own.settings.environ)
        await asyncio.to_thread(self._own.workspaces.push, *where)
        return {"task": task.label, "repo": repo, "branch": task.branch, "commit": commit}

    async def _offered(self, forge: Forge, body: Mapping[str, Any]) -> tuple[str, NewPull]:
        """What a request offers, and where."""
        draft = body.get("draft") is True
        if body.get("task") is not None:
            task = await self._store.read(tasks.get_task, text(body, "task", 100))
            pushed = await self._pushed(forge, task)
            project = await self._store.read(self._project, task)
            new = NewPull(task.branch, project.branch, task.title, task.description, draft)
            return pushed["repo"], _as_said(new, body)
        if body.get("repo") is None:
            raise Invalid("what is offered is not said", hint="name a task, or repo and branch")
        repo = await self._at(forge, text(body, "repo", 200))
        branch = ref_name(text(body, "branch", 200))
        base = body.get("base") or (await forge.repository(repo)).default_branch
        title = text(body, "title", _TITLE_BYTES)
        return repo, _as_said(NewPull(branch, ref_name(str(base)), title, "", draft), body)

    async def _at(self, forge: Forge, repo: str) -> str:
        """The repository that is meant, as `owner/name`."""
        if "/" in repo:
            return forge.full_name(repo)
        try:
            project = await self._store.read(projects.get_project, repo)
        except NotFound:
            return forge.full_name(repo)
        return await self._repo_of(forge, project)

    async def _repo_of(self, forge: Forge, project: ProjectRow) -> str:
        wanted: str | None = self._settings(project).github_repo
        git, git_dir = self._own.workspaces.git, Path(project.git_dir)
        return await asyncio.to_thread(repo_at, forge, git, git_dir, project.name, wanted)

    async def _project_at(self, forge: Forge, repo: str) -> ProjectRow:
        """The project of an id or a name, or the one that is this repository."""
        if "/" not in repo:
            return await self._store.read(projects.get_project, repo)
        wanted = forge.full_name(repo)
        for project in await self._store.read(projects.list_projects):
            try:
                found = await self._repo_of(forge, project)
            except Invalid:  # it is none of this forge's
                continue
            if found.lower() == wanted.lower():
                return project
        raise NotFound(f"no project is the repository {wanted}", hint="register it: muster init")


def _as_said(new: NewPull, body: Mapping[str, Any]) -> NewPull:
    """A pull request with the title, words and base that the request names."""
    title = text(body, "title", _TITLE_BYTES) if body.get("title") is not None else new.title
    words = text(body, "body", _BODY_BYTES) if body.get("body") is not None else new.body
    base = ref_name(text(body, "base", 200)) if body.get("base") is not None else new.base
    return NewPull(new.branch, base, title, words, new.draft)


def _refuse_the_token(tx: Tx, by: Person) -> None:
    if people_tokens.as_known_now(tx, by).lacks((ADMIN,)):
        raise NeedsRole(
            f"a URL with the token in it is for the first user and the role '{ADMIN}'",
            hint="use the plain URL with a credential of your own",
            roles=[ADMIN],
        )


def _with_credential(url: str, token: str) -> str:
    if not token:
        raise NotSignedIn("no token is set", hint="set github_token")
    scheme, _, rest = url.partition("://")
    return f"{scheme}://x-access-token:{quote(token, safe='')}@{rest}"
