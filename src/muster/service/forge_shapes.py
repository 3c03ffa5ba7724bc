"""What a forge tells, as the doors see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from muster.forge.base import Account, ChecksState, LineComment, Pull, Repository, Review


def account_shape(account: Account, api_url: str, owner: str, hears: bool) -> dict[str, Any]:
    """Whether the token does, and for whom; never the token."""
    return {
        "forge": "github",
        "api_url": api_url,
        "owner": owner or None,
        "signed_in": account.signed_in,
        "login": account.login or None,
        "scopes": list(account.scopes),
        "why": account.why,
        "mend": account.mend,
        "rate_left": account.rate_left,
        "rate_resets_at": account.rate_resets_at,
        "webhook": hears,
    }


def repository_shape(found: Repository) -> dict[str, Any]:
    """A repository there."""
    return {
        "name": found.name,
        "default_branch": found.default_branch,
        "clone_url": found.clone_url,
        "url": found.url,
        "private": found.private,
        "may_push": found.may_push,
    }


def pull_shape(repo: str, pull: Pull) -> dict[str, Any]:
    """A pull request."""
    return {
        "repo": repo,
        "number": pull.number,
        "url": pull.url,
        "title": pull.title,
        "state": str(pull.state),
        "branch": pull.branch,
        "base": pull.base,
        "head": pull.head,
        "author": pull.author,
        "mergeable": pull.mergeable,
        "merged_commit": pull.merged_commit,
    }


def whole_pull_shape(
    repo: str, pull: Pull, checks: ChecksState, reviews: Sequence[Review]
) -> dict[str, Any]:
    """A pull request with what its checks and its reviewers say."""
    return {
        **pull_shape(repo, pull),
        "checks": str(checks),
        "reviews": [_review_shape(review) for review in reviews],
    }


def _review_shape(review: Review) -> dict[str, Any]:
    return {
        "id": review.id,
        "author": review.author,
        "opinion": str(review.opinion),
        "head": review.head,
        "summary": review.summary,
        "own": review.own,
        "at": review.at,
        "comments": [_comment_shape(comment) for comment in review.comments],
    }


def _comment_shape(comment: LineComment) -> dict[str, Any]:
    return {"path": comment.path, "line": comment.line, "text": comment.text}
