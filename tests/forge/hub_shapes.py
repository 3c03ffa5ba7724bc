"""What GitHub answers, in its own shapes: names and types as its published description has them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

MOMENT = "2026-01-02T03:04:05Z"
_OF_USERS = (
    *("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos"),
    *("events", "received_events"),
)
_OF_REPOSITORIES = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits"),
    *("compare", "contents", "contributors", "deployments", "downloads", "events", "forks"),
    *("git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues"),
    *("keys", "labels", "languages", "merges", "milestones", "notifications", "pulls", "releases"),
    *("stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees"),
)


def node(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}{number}".encode()).decode()


def user(api: str, site: str, login: str) -> dict[str, Any]:
    """A simple user."""
    number = sum(map(ord, login)) + 1000
    url = f"{api}/users/{login}"
    return {
        "login": login, "id": number, "node_id": node("U", number),
        "avatar_url": f"{site}/avatars/{login}", "gravatar_id": "", "url": url,
        "html_url": f"{site}/{login}", "type": "User", "site_admin": False,
        **{f"{name}_url": f"{url}/{name}" for name in _OF_USERS},
    }  # fmt: skip


def whole_user(api: str, site: str, login: str) -> dict[str, Any]:
    """The user that a token belongs to."""
    nothing = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    return {
        **user(api, site, login), **nothing, **counts,
        "created_at": MOMENT, "updated_at": MOMENT,
    }  # fmt: skip


def repository(
    api: str, site: str, name: str, number: int, private: bool, branch: str, push: bool
) -> dict[str, Any]:
    owner, short = name.split("/")
    url = f"{api}/repos/{name}"
    counts = (
        *("forks_count", "stargazers_count", "watchers_count", "size", "open_issues_count"),
        *("subscribers_count", "network_count", "forks", "open_issues", "watchers"),
    )
    return {
        "id": number, "node_id": node("R", number), "name": short, "full_name": name,
        "owner": user(api, site, owner), "private": private, "html_url": f"{site}/{name}",
        "description": None, "fork": False, "url": url,
        **{f"{part}_url": f"{url}/{part}" for part in _OF_REPOSITORIES},
        "git_url": f"git://{site.split('//')[1]}/{name}.git",
        "ssh_url": f"git@{site.split('//')[1]}:{name}.git",
        "clone_url": f"{site}/{name}.git", "svn_url": f"{site}/{name}", "mirror_url": None,
        "homepage": None, "language": None, **dict.fromkeys(counts, 0),
        "default_branch": branch, "has_issues": True, "has_projects": True, "has_wiki": True,
        "has_pages": False, "has_discussions": False, "archived": False, "disabled": False,
        "visibility": "private" if private else "public",
        "pushed_at": MOMENT, "created_at": MOMENT, "updated_at": MOMENT, "license": None,
        "permissions": {
            "admin": False, "maintain": False, "push": push, "triage": push, "pull": True,
        },
    }  # fmt: skip


def pull(
    api: str, site: str, name: str, row: Mapping[str, Any], repo: Mapping[str, Any]
) -> dict[str, Any]:
    """A pull request as lists have it; `row` has what differs."""
    number = row["number"]
    url = f"{api}/repos/{name}/pulls/{number}"
    page = f"{site}/{name}/pull/{number}"
    issue = f"{api}/repos/{name}/issues/{number}"
    owner = name.split("/")[0]
    found = {
        "url": url, "id": 70000 + number, "node_id": node("PR", number), "html_url": page,
        "diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "issue_url": issue,
        "commits_url": f"{url}/commits", "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{api}/repos/{name}/pulls/comments{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": f"{api}/repos/{name}/statuses/{row['head']}",
        "number": number, "state": row["state"], "locked": False, "title": row["title"],
        "user": user(api, site, row["author"]), "body": row["body"], "labels": [],
        "milestone": None, "created_at": MOMENT, "updated_at": MOMENT,
        "closed_at": None if row["state"] == "open" else MOMENT,
        "merged_at": MOMENT if row["merged"] else None,
        "merge_commit_sha": row["merge_commit"], "assignee": None, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "draft": row["draft"],
        "author_association": "COLLABORATOR", "auto_merge": None, "active_lock_reason": None,
    }  # fmt: skip
    for side, branch, commit in (
        ("head", row["branch"], row["head"]), ("base", row["base"], row["base_commit"]),
    ):  # fmt: skip
        found[side] = {
            "label": f"{owner}:{branch}", "ref": branch, "sha": commit,
            "user": user(api, site, owner), "repo": dict(repo),
        }  # fmt: skip
    places = {
        "self": url, "html": page, "issue": issue, "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments", "commits": f"{url}/commits",
        "review_comment": found["review_comment_url"], "statuses": found["statuses_url"],
    }  # fmt: skip
    found["_links"] = {key: {"href": value} for key, value in places.items()}
    return found


def whole_pull(listed: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A pull request as its own address has it."""
    return {
        **listed, "merged": listed["merged_at"] is not None, "rebaseable": None,
        "maintainer_can_modify": False, **more,
    }  # fmt: skip


def review(api: str, site: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    number, key = row["number"], row["id"]
    page = f"{site}/{name}/pull/{number}#pullrequestreview-{key}"
    of = f"{api}/repos/{name}/pulls/{number}"
    return {
        "id": key, "node_id": node("PRR", key), "user": user(api, site, row["login"]),
        "body": row["body"], "state": row["state"], "html_url": page, "pull_request_url": of,
        "_links": {"html": {"href": page}, "pull_request": {"href": of}},
        "submitted_at": MOMENT, "commit_id": row["commit"], "author_association": "COLLABORATOR",
    }  # fmt: skip


def review_comment(api: str, site: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    key, of = row["id"], f"{api}/repos/{name}/pulls/{row['number']}"
    url = f"{api}/repos/{name}/pulls/comments/{key}"
    page = f"{site}/{name}/pull/{row['number']}#discussion_r{key}"
    return {
        "url": url, "pull_request_review_id": row["review"], "id": key,
        "node_id": node("PRRC", key), "diff_hunk": row["hunk"], "path": row["path"],
        "commit_id": row["commit"], "original_commit_id": row["commit"],
        "user": user(api, site, row["login"]), "body": row["body"], "created_at": MOMENT,
        "updated_at": MOMENT, "html_url": page, "pull_request_url": of,
        "author_association": "COLLABORATOR", "position": row["line"],
        "original_position": row["line"], "line": row["line"], "original_line": row["line"],
        "side": "RIGHT", "start_line": None, "start_side": None, "subject_type": "line",
        "_links": {
            "self": {"href": url}, "html": {"href": page}, "pull_request": {"href": of},
        },
    }  # fmt: skip


def issue_comment(api: str, site: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    key, issue = row["id"], f"{api}/repos/{name}/issues/{row['number']}"
    return {
        "id": key, "node_id": node("IC", key), "url": f"{api}/repos/{name}/issues/comments/{key}",
        "html_url": f"{site}/{name}/pull/{row['number']}#issuecomment-{key}", "body": row["body"],
        "user": user(api, site, row["login"]), "created_at": MOMENT, "updated_at": MOMENT,
        "issue_url": issue, "author_association": "COLLABORATOR",
    }  # fmt: skip


def status(api: str, site: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "url": f"{api}/repos/{name}/statuses/{row['sha']}", "avatar_url": f"{site}/avatars/ci",
        "id": row["id"], "node_id": node("SC", row["id"]), "state": row["state"],
        "description": None, "target_url": None, "context": row["context"],
        "created_at": MOMENT, "updated_at": MOMENT,
    }  # fmt: skip


def check_run(api: str, site: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    ended = row["status"] == "completed"
    return {
        "id": row["id"], "head_sha": row["sha"], "node_id": node("CR", row["id"]),
        "external_id": "", "url": f"{api}/repos/{name}/check-runs/{row['id']}",
        "html_url": f"{site}/{name}/runs/{row['id']}", "details_url": site,
        "status": row["status"], "conclusion": row["conclusion"], "started_at": MOMENT,
        "completed_at": MOMENT if ended else None,
        "output": {
            "title": None, "summary": None, "text": None, "annotations_count": 0,
            "annotations_url": f"{api}/repos/{name}/check-runs/{row['id']}/annotations",
        },
        "name": row["name"], "check_suite": {"id": 1}, "app": None, "pull_requests": [],
    }  # fmt: skip


def file_change(api: str, site: str, name: str, commit: str, change: Any) -> dict[str, Any]:
    return {
        "sha": commit, "filename": change.name, "status": change.status,
        "additions": change.added, "deletions": change.removed,
        "changes": change.added + change.removed, "blob_url": f"{site}/{name}/blob/{change.name}",
        "raw_url": f"{site}/{name}/raw/{change.name}",
        "contents_url": f"{api}/repos/{name}/contents/{change.name}?ref={commit}",
        **({"patch": change.patch} if change.patch else {}),
    }  # fmt: skip


def problem(status: int, message: str, *errors: Any) -> dict[str, Any]:
    return {
        "message": message, **({"errors": list(errors)} if errors else {}),
        "documentation_url": "https://docs.github.com/rest", "status": str(status),
    }  # fmt: skip
