"""The routes of the loopback GitHub: requests checked against their schema, real git below."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge import hub_shapes as shapes
from forge.hub_git import Bare

TEXT, FLAG, WHOLE, ITEMS = str, bool, int, list
_EVENTS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


@dataclass
class Call:
    """A request as a route sees it: who asks, for what, under which address."""

    api: str
    site: str
    login: str
    query: Mapping[str, str]
    body: Any


@dataclass
class Reply:
    status: int
    data: Any
    items: bool = False


class No(Exception):
    """A refusal."""

    def __init__(self, status: int, message: str, *errors: Any) -> None:
        super().__init__(message)
        self.status = status
        self.data = shapes.problem(status, message, *errors)


@dataclass
class Repo:
    """A repository with all that people see of it besides its commits."""

    name: str
    bare: Bare
    number: int
    private: bool
    branch: str
    writers: set[str]
    readers: set[str]
    methods: set[str] = field(default_factory=lambda: {"merge", "squash", "rebase"})
    pulls: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    review_comments: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)


def checked(
    body: Any, must: Mapping[str, type], may: Mapping[str, type | tuple[Any, ...]]
) -> dict[str, Any]:
    """A request's body, when each of its fields is known and of its type."""
    if not isinstance(body, dict):
        raise No(400, "Problems parsing JSON")
    known = {**must, **may}
    for name in must:
        if name not in body:
            raise No(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    for name, value in body.items():
        if name not in known:
            raise No(422, f'Invalid request.\n\n"{name}" is not a permitted key.')
        kind = known[name]
        wrong_flag = isinstance(value, bool) and kind is not FLAG
        if wrong_flag or not isinstance(value, kind):
            raise No(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is wrong.")
    return body


class Rest:
    """All routes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repos: dict[str, Repo] = {}
        self.lock = threading.RLock()
        self._last = 100
        self._unknown: set[tuple[str, int, str, str]] = set()
        one, many = r"/repos/([^/]+/[^/]+)", r"/repos/([^/]+/[^/]+)/pulls"
        self.routes: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = [
            (method, re.compile(pattern), verb)
            for method, pattern, verb in (
                ("GET", "/user", self._user),
                ("GET", "/rate_limit", self._rate),
                ("GET", one, self._repository),
                ("GET", many, self._list_pulls),
                ("POST", many, self._open_pull),
                ("GET", rf"{many}/(\d+)", self._pull),
                ("PATCH", rf"{many}/(\d+)", self._change_pull),
                ("GET", rf"{many}/(\d+)/files", self._files),
                ("GET", rf"{many}/(\d+)/reviews", self._list_reviews),
                ("POST", rf"{many}/(\d+)/reviews", self._review),
                ("GET", rf"{many}/(\d+)/comments", self._list_review_comments),
                ("PUT", rf"{many}/(\d+)/merge", self._merge),
                ("GET", rf"{one}/issues/(\d+)/comments", self._list_comments),
                ("POST", rf"{one}/issues/(\d+)/comments", self._comment),
                ("GET", rf"{one}/commits/([0-9a-f]+)/status", self._status),
                ("GET", rf"{one}/commits/([0-9a-f]+)/check-runs", self._runs),
                ("POST", rf"{one}/statuses/([0-9a-f]+)", self._set_status),
            )
        ]

    def do(self, method: str, path: str, call: Call) -> Reply:
        with self.lock:
            for verb, pattern, route in self.routes:
                if verb == method and (found := pattern.fullmatch(path)):
                    try:
                        return route(call, *found.groups())
                    except No as no:
                        return Reply(no.status, no.data)
        return Reply(404, shapes.problem(404, "Not Found"))

    def next_id(self) -> int:
        self._last += 1
        return self._last

    # --- who ---

    def _user(self, call: Call) -> Reply:
        if not call.login:
            raise No(401, "Requires authentication")
        return Reply(200, shapes.whole_user(call.api, call.site, call.login))

    def _rate(self, call: Call) -> Reply:
        left = {"limit": 5000, "used": 0, "remaining": 5000, "reset": 2**31}
        return Reply(200, {"resources": {"core": left, "search": left}, "rate": left})

    # --- repositories ---

    def repo(self, call: Call, name: str, write: bool = False) -> Repo:
        found = next((r for n, r in self.repos.items() if n.lower() == name.lower()), None)
        sees = found and (not found.private or call.login in found.readers | found.writers)
        if found is None or not sees:
            raise No(404, "Not Found")
        if write and call.login not in found.writers:
            raise No(403, "Resource not accessible by personal access token")
        return found

    def _repository(self, call: Call, name: str) -> Reply:
        return Reply(200, self._repo_shape(call, self.repo(call, name)))

    def _repo_shape(self, call: Call, repo: Repo) -> dict[str, Any]:
        may = call.login in repo.writers
        of = (call.api, call.site, repo.name, repo.number, repo.private, repo.branch, may)
        return shapes.repository(*of)

    # --- pull requests ---

    def _row(self, repo: Repo, number: str) -> dict[str, Any]:
        row = next((p for p in repo.pulls if p["number"] == int(number)), None)
        if row is None:
            raise No(404, "Not Found")
        return self.fresh(repo, row)

    def fresh(self, repo: Repo, row: dict[str, Any]) -> dict[str, Any]:
        """The row as the branches are now."""
        if row["state"] == "open":
            row["head"] = repo.bare.tip(row["branch"]) or row["head"]
            row["base_commit"] = repo.bare.tip(row["base"]) or row["base_commit"]
        return row

    def shape(self, call: Call, repo: Repo, row: dict[str, Any]) -> dict[str, Any]:
        of = self._repo_shape(call, repo)
        return shapes.pull(call.api, call.site, repo.name, row, of)

    def whole(self, call: Call, repo: Repo, row: dict[str, Any]) -> dict[str, Any]:
        bare, can = repo.bare, None
        if row["state"] == "open":
            # It is worked out after the first who asks.
            key = (repo.name, row["number"], row["head"], row["base_commit"])
            if key in self._unknown:
                can = bare.merged_tree(row["base_commit"], row["head"]) is not None
            self._unknown.add(key)
        changes = bare.changes(row["base_commit"], row["head"]) if row["state"] == "open" else []
        mine = [c for c in repo.review_comments if c["number"] == row["number"]]
        more = {
            "mergeable": can,
            "mergeable_state": {None: "unknown", True: "clean", False: "dirty"}[can],
            "merged_by": shapes.user(call.api, call.site, row["merged"]) if row["merged"] else None,
            "comments": sum(c["number"] == row["number"] for c in repo.comments),
            "review_comments": len(mine), "commits": bare.ahead(row["base_commit"], row["head"]),
            "additions": sum(c.added for c in changes),
            "deletions": sum(c.removed for c in changes), "changed_files": len(changes),
        }  # fmt: skip
        return shapes.whole_pull(self.shape(call, repo, row), more)

    def _list_pulls(self, call: Call, name: str) -> Reply:
        repo = self.repo(call, name)
        state = call.query.get("state", "open")
        rows = [self.fresh(repo, row) for row in repo.pulls]
        rows = [row for row in rows if state in {"all", row["state"]}]
        if head := call.query.get("head"):
            rows = [row for row in rows if f"{name.split('/')[0]}:{row['branch']}" == head]
        if base := call.query.get("base"):
            rows = [row for row in rows if row["base"] == base]
        rows.sort(key=lambda row: -row["number"])
        return Reply(200, [self.shape(call, repo, row) for row in rows], items=True)

    def _open_pull(self, call: Call, name: str) -> Reply:
        repo = self.repo(call, name)
        texts = {"title": TEXT, "head": TEXT, "base": TEXT}
        may = {
            "body": (TEXT, type(None)), "draft": FLAG, "maintainer_can_modify": FLAG,
            "head_repo": TEXT, "issue": WHOLE,
        }  # fmt: skip
        body = checked(call.body, texts, may)
        branch = body["head"].rpartition(":")[2]
        head, base = repo.bare.tip(branch), repo.bare.tip(body["base"])
        for side, tip in (("head", head), ("base", base)):
            if tip is None:
                wrong = {"resource": "PullRequest", "field": side, "code": "invalid"}
                raise No(422, "Validation Failed", wrong)
        custom = {"resource": "PullRequest", "code": "custom"}
        if not repo.bare.ahead(str(base), str(head)):
            said = f"No commits between {body['base']} and {branch}"
            raise No(422, "Validation Failed", {**custom, "message": said})
        for row in repo.pulls:
            if (row["state"], row["branch"], row["base"]) == ("open", branch, body["base"]):
                said = f"A pull request already exists for {name.split('/')[0]}:{branch}."
                raise No(422, "Validation Failed", {**custom, "message": said})
        row = {
            "number": len(repo.pulls) + 1, "state": "open", "title": body["title"],
            "body": body.get("body"), "draft": body.get("draft", False), "author": call.login,
            "branch": branch, "base": body["base"], "head": head, "base_commit": base,
            "merged": "", "merge_commit": None,
        }  # fmt: skip
        repo.pulls.append(row)
        return Reply(201, self.whole(call, repo, row))

    def _pull(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        return Reply(200, self.whole(call, repo, self._row(repo, number)))

    def _change_pull(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name, write=True)
        texts = dict.fromkeys(("title", "body", "state", "base"), TEXT)
        body = checked(call.body, {}, {**texts, "maintainer_can_modify": FLAG})
        row = self._row(repo, number)
        if body.get("state") not in {None, "open", "closed"}:
            raise No(422, "Validation Failed", {"field": "state", "code": "invalid"})
        row |= body
        return Reply(200, self.whole(call, repo, row))

    def _files(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        row = self._row(repo, number)
        changes = repo.bare.changes(row["base_commit"], row["head"])
        of = (call.api, call.site, name, row["head"])
        return Reply(200, [shapes.file_change(*of, one) for one in changes], items=True)

    def _merge(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name, write=True)
        texts = dict.fromkeys(("commit_title", "commit_message", "sha", "merge_method"), TEXT)
        body = checked(call.body, {}, texts)
        row, method = self._row(repo, number), body.get("merge_method", "merge")
        if row["state"] != "open" or row["draft"]:
            raise No(405, "Pull Request is not mergeable")
        if method not in repo.methods:
            raise No(405, f"{method.capitalize()} merges are not allowed on this repository.")
        if body.get("sha", row["head"]) != row["head"]:
            raise No(409, "Head branch was modified. Review and try the merge again.")
        title = body.get("commit_title") or f"Merge pull request #{number} from {row['branch']}"
        message = f"{title}\n\n{body.get('commit_message', '')}".strip()
        new = repo.bare.merge(row["base"], row["head"], method, message)
        if new is None:
            raise No(405, "Pull Request is not mergeable")
        row |= {"state": "closed", "merged": call.login, "merge_commit": new}
        said = {"sha": new, "merged": True, "message": "Pull Request successfully merged"}
        return Reply(200, said)

    # --- what is said ---

    def _list_reviews(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        self._row(repo, number)
        rows = [one for one in repo.reviews if one["number"] == int(number)]
        return Reply(200, [shapes.review(call.api, call.site, name, r) for r in rows], items=True)

    def _review(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        texts = dict.fromkeys(("commit_id", "body", "event"), TEXT)
        body = checked(call.body, {}, {**texts, "comments": ITEMS})
        row, event = self._row(repo, number), body.get("event", "")
        if event and event not in _EVENTS:
            raise No(422, "Unprocessable Entity", f"Variable $event is invalid: {event}")
        if event in {"REQUEST_CHANGES", "COMMENT"} and not body.get("body"):
            raise No(422, "Unprocessable Entity", "Review Body can't be blank")
        if row["author"] == call.login and event in {"APPROVE", "REQUEST_CHANGES"}:
            doing = "approve" if event == "APPROVE" else "request changes on"
            raise No(422, "Unprocessable Entity", f"Can not {doing} your own pull request")
        commit = body.get("commit_id", row["head"])
        if not repo.bare.has(commit):
            raise No(422, "Unprocessable Entity", "The commit is not part of the pull request")
        remarks = [self._remark(repo, row, one) for one in body.get("comments", [])]
        key = self.next_id()
        common = {"number": int(number), "login": call.login, "commit": commit}
        made = {**common, "id": key, "body": body.get("body", ""),
                "state": _EVENTS.get(event, "PENDING")}  # fmt: skip
        repo.reviews.append(made)
        for one in remarks:
            repo.review_comments.append({**common, **one, "id": self.next_id(), "review": key})
        return Reply(200, shapes.review(call.api, call.site, name, made))

    def _remark(self, repo: Repo, row: dict[str, Any], given: Any) -> dict[str, Any]:
        texts = dict.fromkeys(("side", "start_side"), TEXT)
        numbers = dict.fromkeys(("line", "position", "start_line"), WHOLE)
        body = checked(given, {"path": TEXT, "body": TEXT}, {**texts, **numbers})
        for change in repo.bare.changes(row["base_commit"], row["head"]):
            for found in _HUNK.finditer(change.patch) if change.name == body["path"] else ():
                first, many = int(found[1]), int(found[2] or 1)
                if first <= body.get("line", 0) < first + many:
                    line, path = body["line"], body["path"]
                    return {"path": path, "line": line, "body": body["body"], "hunk": found[0]}
        raise No(422, "Unprocessable Entity", "Line must be part of the diff")

    def _list_review_comments(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        rows = [one for one in repo.review_comments if one["number"] == int(number)]
        of = (call.api, call.site, name)
        return Reply(200, [shapes.review_comment(*of, one) for one in rows], items=True)

    def _list_comments(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        rows = [one for one in repo.comments if one["number"] == int(number)]
        of = (call.api, call.site, name)
        return Reply(200, [shapes.issue_comment(*of, one) for one in rows], items=True)

    def _comment(self, call: Call, name: str, number: str) -> Reply:
        repo = self.repo(call, name)
        body = checked(call.body, {"body": TEXT}, {})
        self._row(repo, number)
        row = {"id": self.next_id(), "number": int(number), "login": call.login, **body}
        repo.comments.append(row)
        return Reply(201, shapes.issue_comment(call.api, call.site, name, row))

    # --- checks ---

    def _status(self, call: Call, name: str, sha: str) -> Reply:
        repo = self.repo(call, name)
        last = {one["context"]: one for one in repo.statuses if one["sha"] == sha}
        states = {one["state"] for one in last.values()}
        state = "failure" if states & {"failure", "error"} else "pending"
        state = "success" if states == {"success"} else state
        url = f"{call.api}/repos/{name}/commits/{sha}"
        of = self._repo_shape(call, repo)
        rows = [shapes.status(call.api, call.site, name, one) for one in last.values()]
        return Reply(
            200,
            {
                "state": state, "statuses": rows, "sha": sha, "total_count": len(rows),
                "repository": of, "commit_url": url, "url": f"{url}/status",
            },
        )  # fmt: skip

    def _set_status(self, call: Call, name: str, sha: str) -> Reply:
        repo = self.repo(call, name, write=True)
        texts = dict.fromkeys(("target_url", "description", "context"), (TEXT, type(None)))
        body = checked(call.body, {"state": TEXT}, texts)
        row = {"id": self.next_id(), "sha": sha, "context": "default", **body}
        repo.statuses.append(row)
        made = shapes.status(call.api, call.site, name, row)
        return Reply(201, {**made, "creator": shapes.user(call.api, call.site, call.login)})

    def _runs(self, call: Call, name: str, sha: str) -> Reply:
        repo = self.repo(call, name)
        last = {one["name"]: one for one in repo.runs if one["sha"] == sha}
        rows = [shapes.check_run(call.api, call.site, name, one) for one in last.values()]
        return Reply(200, {"total_count": len(rows), "check_runs": rows}, items=True)


def page_of(reply: Reply, query: Mapping[str, str], url: str) -> tuple[Any, str]:
    """One page of a list, and its Link header."""
    if not reply.items:
        return reply.data, ""
    size = min(100, max(1, int(query.get("per_page", "30"))))
    page = max(1, int(query.get("page", "1")))
    rows = reply.data["check_runs"] if isinstance(reply.data, dict) else reply.data
    part = rows[(page - 1) * size : page * size]
    last = max(1, -(-len(rows) // size))
    link = ""
    if page < last:
        others = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
        link = ", ".join(
            f'<{url}?{others}&page={number}>; rel="{rel}"'
            for rel, number in (("next", page + 1), ("last", last))
        )
    return (({**reply.data, "check_runs": part} if isinstance(reply.data, dict) else part), link)


def as_bytes(data: Any) -> bytes:
    return b"" if data is None else json.dumps(data).encode()
