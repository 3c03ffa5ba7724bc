"""The forge `github`: github.com, and GitHub Enterprise at an address of its own.

REST of version 2022-11-28. What muster said is known again by a hidden mark in its text, pull
requests by their branch; so nothing is said twice, whatever was not heard.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from muster.domain.errors import Conflict, Invalid, NotAllowed, NotSignedIn
from muster.domain.guard import commit_id, is_ref_name
from muster.forge import github_answers as answers
from muster.forge import github_names as names
from muster.forge import github_reviews as said
from muster.forge.base import (
    Access,
    Account,
    ChecksState,
    NewPull,
    NewReview,
    Pull,
    PullState,
    Remote,
    Repository,
    Review,
)
from muster.forge.github_calls import SET_TOKEN, Calls
from muster.forge.github_limits import Pace
from muster.forge.github_wire import Answer, PerhapsHeard

_MOST_ITEMS = 3000
_LONGEST_TITLE = 250
_METHODS = ("merge", "squash", "rebase")
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")
_TRIES = 3


class GitHubForge:
    """GitHub under one token."""

    name = "github"

    def __init__(self, access: Access, pace: Pace | None = None) -> None:
        """Know where it is; nothing is asked yet.

        Raises:
            Invalid: the address or the token cannot be one.
        """
        if access.token and not _TOKEN.fullmatch(access.token):
            raise Invalid("github_token holds what no token does", hint="put the token alone there")
        url = names.checked_api(access.api_url)
        self._access = Access(url, access.token, access.owner)
        self._git = names.git_base(url)
        self._calls = Calls(self._access, pace or Pace())
        self._login = ""

    def full_name(self, repo: str) -> str:
        """`repo` as `owner/name`."""
        return names.full_name(repo, self._access.owner)

    def named_by(self, url: str) -> str | None:
        """The repository that a git remote's URL names here."""
        return names.named_by(url, self._access.api_url)

    async def account(self) -> Account:
        """Who we are there, and whether the token does."""
        if not self._access.token:
            return Account(False, why="no token is set", mend=SET_TOKEN)
        try:
            answer = await self._calls.get("/user")
        except NotSignedIn as no:
            return Account(False, why=no.detail, mend=no.hint)
        except NotAllowed:
            # An app's installation is nobody; its token does all the same.
            answer = await self._calls.get("/rate_limit")
        self._login = answers.words(answers.table(answer.data), "login")
        scopes = answer.headers.get("x-oauth-scopes", "")
        return Account(
            True,
            self._login,
            tuple(scope.strip() for scope in scopes.split(",") if scope.strip()),
            rate_left=_count(answer, "x-ratelimit-remaining"),
            rate_resets_at=_count(answer, "x-ratelimit-reset"),
        )

    async def repository(self, repo: str) -> Repository:
        """The repository of this name."""
        return answers.repository(await self._calls.get(self._path(repo)), self._git)

    async def remote(self, repo: str) -> Remote:
        """Where git carries commits to; the token goes to GitHub's own host alone."""
        headers: dict[str, str] = {}
        if self._access.token:
            pair = base64.b64encode(f"x-access-token:{self._access.token}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return Remote(f"{self._git}/{self.full_name(repo)}.git", headers)

    async def open_pull(self, repo: str, new: NewPull) -> Pull:
        """Offer a branch; the one that is open for it already is given back, with its title."""
        path = self._path(repo, "/pulls")
        body = {
            "title": new.title[:_LONGEST_TITLE],
            "head": new.branch,
            "base": new.base,
            "body": said.bounded(new.body),
            "draft": new.draft,
        }
        owner = self.full_name(repo).partition("/")[0]

        async def look() -> Pull | None:
            query = {"state": "open", "head": f"{owner}:{new.branch}", "base": new.base}
            async for found in self._calls.items(path, 1, **query):
                return answers.pull(found)
            return None

        async def make() -> Pull:
            try:
                return answers.pull((await self._calls.send("POST", path, body)).data)
            except Invalid as no:
                found = await look() if "already exists" in no.detail else None
                if found is None:
                    raise _not_offered(no, new) from no
                return found

        return await self._calls.once(look, make)

    async def pull(self, repo: str, number: int) -> Pull:
        """A pull request as it is now."""
        return answers.pull((await self._calls.get(self._path(repo, f"/pulls/{number}"))).data)

    async def pulls(self, repo: str, state: str = "open", limit: int = 100) -> list[Pull]:
        """The newest pull requests."""
        if state not in {"open", "closed", "all"}:
            raise Invalid(f"state '{state}' is not known", hint="open, closed or all")
        query = {"state": state, "sort": "created", "direction": "desc"}
        most = max(1, min(limit, _MOST_ITEMS))
        found = self._calls.items(self._path(repo, "/pulls"), most, **query)
        return [answers.pull(one) async for one in found]

    async def checks(self, repo: str, commit: str) -> ChecksState:
        """What statuses and check runs say of a commit."""
        at = self._path(repo, f"/commits/{commit_id(commit)}")
        combined = await self._calls.get(f"{at}/status", per_page="1")
        runs = self._calls.items(f"{at}/check-runs", _MOST_ITEMS, filter="latest")
        return answers.checks(combined, [run async for run in runs])

    async def give_review(self, repo: str, number: int, review: NewReview) -> None:
        """Say what a reviewer found, once for each key."""
        said.mark(review.key)
        at = self._path(repo, f"/pulls/{number}")
        pull = await self.pull(repo, number)
        login = await self._who()
        own = said.same_login(pull.author, login)
        # Of another head than the pull request's own we do not know what its lines are.
        shown = await self._shown(at) if review.comments and pull.head == review.head else {}

        async def look() -> bool | None:
            given = self._calls.items(f"{at}/reviews", _MOST_ITEMS)
            return await self._has_said(given, review.key, login)

        async def make() -> bool:
            try:
                body = said.body_of(review, shown, own)
                await self._calls.send("POST", f"{at}/reviews", body)
            except Invalid as no:
                # It was one's own, by another name; or a line is not as the patch had it.
                ours = own or "your own pull request" in no.detail
                body = said.body_of(review, shown, ours, inline=False)
                await self._calls.send("POST", f"{at}/reviews", body)
            return True

        await self._calls.once(look, make)

    async def reviews(self, repo: str, number: int) -> list[Review]:
        """All reviews, oldest first."""
        at = self._path(repo, f"/pulls/{number}")
        given = [one async for one in self._calls.items(f"{at}/reviews", _MOST_ITEMS)]
        remarks = [one async for one in self._calls.items(f"{at}/comments", _MOST_ITEMS)]
        return said.reviews_of(given, remarks, await self._who())

    async def merge(self, repo: str, number: int, method: str, head: str, message: str) -> Pull:
        """Merge if the head still is `head` and checks passed."""
        if method not in _METHODS:
            raise Invalid(f"'{method}' is no way to merge", hint=f"one of {', '.join(_METHODS)}")
        title, _, rest = message.strip().partition("\n")
        body: dict[str, Any] = {"merge_method": method, "sha": commit_id(head)}
        if title and method != "rebase":
            body |= {"commit_title": title, "commit_message": said.bounded(rest.strip())}

        async def look() -> Pull | None:
            pull = await self.pull(repo, number)
            if pull.state is PullState.MERGED:
                return pull
            await self._refuse_early(repo, pull, head)
            return None

        async def make() -> Pull:
            await self._merge(self._path(repo, f"/pulls/{number}/merge"), body)
            return await self.pull(repo, number)

        return await self._calls.once(look, make)

    async def close_pull(self, repo: str, number: int, comment: str) -> None:
        """Close one that will not be merged, and say why once."""
        if (await self.pull(repo, number)).state is not PullState.OPEN:
            return
        at = self._path(repo, f"/issues/{number}/comments")
        key = f"closed:{hashlib.sha256(comment.encode('utf-8', 'replace')).hexdigest()[:16]}"
        login = await self._who()

        async def look() -> bool | None:
            return await self._has_said(self._calls.items(at, _MOST_ITEMS), key, login)

        async def make() -> bool:
            await self._calls.send("POST", at, {"body": said.signed(comment, said.mark(key))})
            return True

        if comment.strip():
            await self._calls.once(look, make)
        path = self._path(repo, f"/pulls/{number}")
        await self._calls.send("PATCH", path, {"state": "closed"}, again=True)

    async def close(self) -> None:
        """Let go of connections."""
        await self._calls.close()

    # --- inside ---

    def _path(self, repo: str, rest: str = "") -> str:
        return f"/repos/{quote(self.full_name(repo))}{rest}"

    async def _who(self) -> str:
        """Our own name there; empty for an app."""
        if not self._login:
            account = await self.account()
            if not account.signed_in:
                raise NotSignedIn(f"GitHub: {account.why}", hint=account.mend)
        return self._login

    async def _has_said(self, texts: Any, key: str, login: str) -> bool | None:
        """Whether one of the texts is ours with this key; None when not, for `once`."""
        async for text in texts:
            told = answers.table(text)
            author = answers.words(told, "user", "login")
            ours = said.same_login(author, login) or (not login and author.endswith("[bot]"))
            if ours and said.marked(answers.words(told, "body"))[0] == key:
                return True
        return None

    async def _shown(self, at: str) -> Mapping[str, frozenset[int]]:
        """The lines of each file that the pull request's diff shows."""
        files = self._calls.items(f"{at}/files", _MOST_ITEMS)
        found = [answers.table(one) async for one in files]
        return {
            answers.words(one, "filename"): said.lines_of(answers.words(one, "patch"))
            for one in found
        }

    async def _refuse_early(self, repo: str, pull: Pull, head: str) -> None:
        """Refuse what must not be merged, whatever the branch's protection would let pass."""
        if pull.state is PullState.CLOSED:
            raise Conflict(f"pull request {pull.number} is closed", hint="open it again there")
        if pull.head != head:
            raise Conflict(
                f"the head of pull request {pull.number} is {pull.head[:12]} and not {head[:12]}",
                hint="look at what was pushed since",
            )
        state = await self.checks(repo, head)
        if state in {ChecksState.FAILED, ChecksState.PENDING}:
            verb = "have failed" if state is ChecksState.FAILED else "have not ended"
            raise Conflict(f"checks of pull request {pull.number} {verb}", hint=f"see {pull.url}")

    async def _merge(self, path: str, body: Mapping[str, Any]) -> None:
        for _ in range(_TRIES):
            try:
                await self._calls.send("PUT", path, body)
                return
            except Conflict as no:
                # It says so when another was merged a moment ago; nothing is wrong then.
                if "Base branch was modified" not in no.detail:
                    raise
            await self._calls.pause()
        raise PerhapsHeard("the target branch moves too often to merge", hint="try again")


def _not_offered(no: Invalid, new: NewPull) -> Conflict | Invalid:
    if "No commits between" in no.detail:
        return Conflict(
            f"'{new.branch}' has nothing that '{new.base}' has not", hint="push the work first"
        )
    if not is_ref_name(new.branch) or not is_ref_name(new.base):
        return no
    if re.search(r"\b(head|base) invalid\b", no.detail):
        return Conflict(
            f"GitHub has no branch '{new.branch}' or '{new.base}': {no.detail}",
            hint="push the branch first",
        )
    return no


def _count(answer: Answer, header: str) -> int | None:
    text = answer.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None
