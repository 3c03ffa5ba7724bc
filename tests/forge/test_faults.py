"""GitHub refuses, limits, stalls and hangs up: a clear error or tried again, and never twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.forge import BRANCH, WORK
from forge.hubs import REPO, GitHubWorld, Time, forge_on
from forge.loopback_github import TOKEN, Hub, running_hub
from muster.domain.errors import (
    Away,
    Conflict,
    Invalid,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
    Unavailable,
)
from muster.forge.base import Access, NewPull, NewReview, Opinion, PullState
from muster.forge.github import GitHubForge

PULLS = f"/repos/{REPO}/pulls"
NEW = NewPull(BRANCH, "main", "Add", "It adds.")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(tmp_path / "hub") as made:
        yield made


@pytest.fixture
def world(hub) -> GitHubWorld:
    return GitHubWorld(hub)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def forge(hub, world, time):
    made = forge_on(hub.url, hub.token, time)
    yield made
    await made.close()


@pytest.fixture
async def pull(forge, world, hub):
    world.push(BRANCH, WORK)
    found = await forge.open_pull(REPO, NEW)
    hub.requests.clear()
    return found


def asked(hub: Hub) -> list[str]:
    return [request.line for request in hub.requests]


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "said"),
    [
        (401, {"message": "Bad credentials"}, {}, NotSignedIn, "github_token"),
        (403, {"message": "Resource not accessible"}, {"X-Accepted-OAuth-Scopes": "repo"},
         NotAllowed, "repo"),
        (403, {"message": "SSO"}, {"X-GitHub-SSO": "required; url=https://x.example/sso"},
         NotAllowed, "x.example"),
        (404, {"message": "Not Found"}, {}, NotFound, "name is right"),
        (409, {"message": "Git Repository is empty."}, {}, Conflict, "empty"),
        (422, {"message": "Validation Failed", "errors": [{"field": "x", "code": "invalid"}]}, {},
         Invalid, "x invalid"),
        (418, {"message": f"a \x1b[31mteapot {TOKEN}"}, {}, Refused, "teapot"),
    ],
)  # fmt: skip
async def test_a_refusal_is_told_in_its_own_kind_and_not_tried_again(
    hub, forge, status, body, headers, kind, said
):
    hub.order("GET /repos/*", status=status, body=body, headers=headers, times=9)
    with pytest.raises(kind) as told:
        await forge.repository(REPO)
    assert said in told.value.detail + told.value.hint
    assert told.value.hint
    assert TOKEN not in repr(told.value.problem())
    assert "\x1b" not in told.value.detail
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 503}, {"cut": 0}, {"cut": 40}, {"cut": 200, "heard": True}],
    ids=str,
)
async def test_what_can_be_asked_again_is_asked_again(hub, forge, time, fault):
    hub.order("GET /repos/*", times=2, **fault)
    assert (await forge.repository(REPO)).name == REPO
    assert len(hub.requests) == 3
    assert len(time.waited) == 2
    assert time.waited[0] < time.waited[1] < 2


async def test_one_that_never_comes_back_is_told_after_a_few_tries(hub, forge):
    hub.order("GET /repos/*", status=502, times=99)
    with pytest.raises(Unavailable, match="502") as told:
        await forge.repository(REPO)
    assert told.value.status == 503
    assert len(hub.requests) == 4


async def test_nobody_waits_for_one_that_does_not_answer(hub, world, time):
    forge = forge_on(hub.url, hub.token, time, answer=0.2, tries=2)
    hub.order("GET /repos/*", hold=True, times=99)
    with pytest.raises(Away, match="did not answer"):
        await forge.repository(REPO)
    await forge.close()


async def test_nobody_there_is_told(hub, time):
    forge = forge_on("http://127.0.0.1:9", hub.token, time)
    with pytest.raises(Away, match="cannot be reached") as told:
        await forge.repository(REPO)
    assert "github_api_url" in told.value.hint
    assert len(time.waited) == 3
    await forge.close()


FAULTS_OF_WRITES = [
    {"cut": 0}, {"cut": 0, "heard": True}, {"cut": 90, "heard": True}, {"status": 502},
    {"status": 502, "heard": True}, {"hold": True, "heard": True}, {"hold": True},
]  # fmt: skip


@pytest.fixture(params=FAULTS_OF_WRITES, ids=str)
def fault(request):
    return request.param


@pytest.fixture
async def hasty(hub, world, time, fault):
    """It waits a fifth of a second for an answer where none will come."""
    made = forge_on(hub.url, hub.token, time, answer=0.3 if fault.get("hold") else 30.0)
    yield made
    await made.close()


async def test_a_pull_request_whose_answer_is_lost_is_opened_once(hub, world, hasty, fault):
    world.push(BRANCH, WORK)
    hub.order(f"POST {PULLS}", **fault)
    found = await hasty.open_pull(REPO, NEW)
    assert [row["number"] for row in hub.pulls(REPO)] == [found.number]


async def test_a_review_whose_answer_is_lost_is_given_once(hub, pull, hasty, fault):
    hub.order(f"POST {PULLS}/1/reviews", **fault)
    await hasty.give_review(REPO, 1, NewReview("MU-1:1", pull.head, Opinion.COMMENT, "said"))
    assert len(hub.reviews(REPO)) == 1


async def test_a_merge_whose_answer_is_lost_is_done_once(hub, world, pull, hasty, fault):
    hub.order(f"PUT {PULLS}/1/merge", **fault)
    merged = await hasty.merge(REPO, 1, "squash", pull.head, "Add")
    assert (merged.state, merged.merged_commit) == (PullState.MERGED, world.tip("main"))
    assert world.bare.ahead(world.bare.git("rev-parse", "main~1"), "main") == 1


async def test_a_closing_word_whose_answer_is_lost_is_said_once(hub, pull, hasty, fault):
    hub.order(f"POST /repos/{REPO}/issues/1/comments", **fault)
    await hasty.close_pull(REPO, 1, "Not wanted.")
    assert len(hub.comments(REPO)) == 1
    assert hub.pulls(REPO)[0]["state"] == "closed"


async def test_one_that_was_opened_by_another_hand_meanwhile_is_taken(hub, world, forge):
    world.push(BRANCH, WORK)
    hub.order(f"GET {PULLS}", status=200, body=[])
    hub.act("anna", "POST", PULLS, {"title": "Mine", "head": BRANCH, "base": "main"})
    assert (await forge.open_pull(REPO, NEW)).title == "Mine"
    assert len(hub.pulls(REPO)) == 1


async def test_a_short_limit_is_waited_for_and_the_request_made_then(hub, world, forge, time):
    world.push(BRANCH, WORK)
    reset = str(int(time.now) + 20)
    hub.order(f"POST {PULLS}", status=403, body={"message": "API rate limit exceeded"},
              headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})  # fmt: skip
    await forge.open_pull(REPO, NEW)
    assert time.waited == [20.5]
    assert len(hub.pulls(REPO)) == 1


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "7"}, {"Retry-After": "Fri, 15 Jan 2027 08:00:07 GMT"}]
)
async def test_a_secondary_limit_is_waited_for_and_makes_us_slower(
    hub, world, forge, time, headers
):
    world.push(BRANCH, WORK)
    hub.order(f"POST {PULLS}", status=403, headers=headers,
              body={"message": "You have exceeded a secondary rate limit"})  # fmt: skip
    pull = await forge.open_pull(REPO, NEW)
    assert time.waited == [7.5]
    for key in ("a", "b"):
        await forge.give_review(REPO, 1, NewReview(key, pull.head, Opinion.COMMENT, "said"))
    assert time.waited == [7.5, 1.0, 1.0]


async def test_nothing_is_made_slower_that_was_not_asked_to_be(pull, forge, time):
    for key in ("a", "b"):
        await forge.give_review(REPO, 1, NewReview(key, pull.head, Opinion.COMMENT, "said"))
    assert time.waited == []


async def test_a_long_limit_is_told_with_its_end_and_nobody_asks_before(hub, forge, time):
    hub.order("GET /repos/*", status=429, headers={
        "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.now) + 1800),
    })  # fmt: skip
    for _ in range(2):
        with pytest.raises(Away, match="2027-01-15 08:30:00 UTC") as told:
            await forge.repository(REPO)
        assert told.value.extra["retry_after"] == 1800
    assert len(hub.requests) == 1
    time.now += 1801
    assert (await forge.repository(REPO)).name == REPO


async def test_a_limit_without_an_end_is_a_minute(hub, forge, time):
    hub.order("GET /repos/*", status=429)
    with pytest.raises(Away):
        await forge.repository(REPO)
    time.now += 61
    assert (await forge.repository(REPO)).name == REPO


async def test_to_look_again_costs_nothing_while_nothing_changed(hub, world, pull, forge):
    async def look():
        await forge.pull(REPO, 1)
        await forge.reviews(REPO, 1)
        await forge.checks(REPO, pull.head)

    await look()
    await look()  # whether it can be merged is known by now
    before = hub.rate_left
    await look()
    assert hub.rate_left == before
    world.review(1, Opinion.APPROVE, "yes")
    assert [one.author for one in await forge.reviews(REPO, 1)] == ["anna"]
    assert hub.rate_left == before - 1


async def test_lists_are_read_page_by_page_and_no_further_than_asked(hub, world, forge):
    world.push("muster/1", WORK)
    row = {"state": "open", "title": "t", "body": None, "draft": False, "author": "anna",
           "branch": "muster/1", "base": "main", "head": world.tip("main"),
           "base_commit": world.tip("main"), "merged": "", "merge_commit": None}  # fmt: skip
    world.hub.rest.repos[REPO].pulls += [{**row, "number": n} for n in range(1, 251)]
    hub.requests.clear()
    found = await forge.pulls(REPO, limit=220)
    assert [one.number for one in found] == list(range(250, 30, -1))
    assert len(hub.requests) == 3


async def test_a_page_that_leads_elsewhere_is_not_followed(hub, forge):
    hub.order(f"GET {PULLS}", status=200, body=[],
              headers={"Link": '<http://127.0.0.1:9/steal?page=2>; rel="next"'})  # fmt: skip
    assert await forge.pulls(REPO) == []


async def test_a_renamed_repository_is_found_but_never_on_another_host(hub, forge):
    hub.order("GET /repos/team/old", status=301, headers={"Location": f"{hub.url}/repos/{REPO}"})
    assert (await forge.repository("team/old")).name == REPO
    hub.order("GET /repos/team/old", status=301, headers={"Location": "http://127.0.0.1:9/x"})
    with pytest.raises(Refused, match="another address"):
        await forge.repository("team/old")
    hub.order("GET /repos/*", status=302, times=99, headers={"Location": f"{hub.url}/repos/a/b"})
    with pytest.raises(Refused, match="circles"):
        await forge.repository("team/old")


@pytest.mark.parametrize("body", ["text", [], {"number": "seven"}, {"number": True}])
async def test_an_answer_that_is_none_is_told(hub, forge, body):
    hub.order("GET *", status=200, body=body or [[]], times=9)
    with pytest.raises(Away, match="oddly"):
        await forge.pull(REPO, 7)


async def test_an_answer_without_an_end_is_not_read_to_its_end(hub, world, time):
    forge = forge_on(hub.url, hub.token, time, tries=1, largest=100_000)
    hub.order("GET *", status=200, body={"full_name": "x" * 200_000})
    with pytest.raises(Away, match="more than 100000 bytes"):
        await forge.repository(REPO)
    await forge.close()


async def test_a_token_that_is_missing_or_refused_is_told_by_the_account(hub, time):
    for token, why in (("", "no token"), ("ghp_wrong", "Bad credentials")):
        forge = forge_on(hub.url, token, time)
        account = await forge.account()
        assert not account.signed_in
        assert why in account.why
        assert "github_token" in account.mend
        with pytest.raises(MusterError):
            await forge.reviews(REPO, 1)
        await forge.close()


async def test_the_token_is_shown_nowhere(hub, forge, pull, caplog):
    caplog.set_level(logging.DEBUG)
    account = await forge.account()
    remote = await forge.remote(REPO)
    assert remote.headers["Authorization"].startswith("Basic ")
    assert (account.login, account.scopes) == ("muster-bot", ("repo",))
    access = Access(hub.url, TOKEN)
    for shown in (repr(access), repr(account), repr(remote), repr(forge), vars(forge), caplog.text):
        assert TOKEN not in str(shown)
        assert "Basic " not in str(shown)


@pytest.mark.parametrize(
    "url",
    [
        *("http://github.example.com/api/v3", "https://me:pw@example.com", "ftp://example.com"),
        *("https://", "https://example.com/?x=1", "github.com", "https://[::1", "https://a b.com"),
    ],
)
def test_an_address_that_would_lose_the_token_is_refused(url):
    with pytest.raises(Invalid) as told:
        GitHubForge(Access(url, TOKEN))
    assert told.value.hint
    assert TOKEN not in str(told.value)


def test_a_token_with_a_line_end_is_refused():
    with pytest.raises(Invalid, match="github_token"):
        GitHubForge(Access("https://api.github.com", "ghp_x\nHost: elsewhere"))


@pytest.mark.parametrize(
    ("api", "url", "name"),
    [
        ("https://api.github.com", "https://github.com/team/app.git", "team/app"),
        ("https://api.github.com", "https://me:pw@github.com/team/app", "team/app"),
        ("https://api.github.com", "git@github.com:team/app.git", "team/app"),
        ("https://api.github.com", "ssh://git@github.com:22/team/app.git", "team/app"),
        ("https://api.github.com", "https://github.com.evil.example/team/app.git", None),
        ("https://api.github.com", "https://gitlab.com/team/app.git", None),
        ("https://api.github.com", "/srv/github.com/team/app.git", None),
        ("https://api.github.com", "https://github.com/team/app/wiki", None),
        ("https://api.github.com", "https://[::1", None),
        ("https://api.one.ghe.com", "git@one.ghe.com:team/app.git", "team/app"),
        ("https://ghe.example:8443/api/v3", "https://ghe.example:8443/team/app", "team/app"),
        ("https://ghe.example:8443/api/v3", "https://ghe.example/team/app", None),
    ],
)
def test_a_remote_names_a_repository_only_on_its_own_host(api, url, name):
    assert GitHubForge(Access(api)).named_by(url) == name


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("https://api.github.com", "https://github.com/team/app.git"),
        ("https://api.one.ghe.com/", "https://one.ghe.com/team/app.git"),
        ("https://ghe.example:8443/api/v3/", "https://ghe.example:8443/team/app.git"),
    ],
)
async def test_git_goes_to_the_host_of_the_api(api, url):
    assert (await GitHubForge(Access(api)).remote("team/app")).url == url
