"""What every forge must keep: nothing is said twice, and nothing is merged that should not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pytest

from muster.domain.errors import Conflict, Invalid, NotFound
from muster.forge.base import (
    ChecksState,
    Forge,
    LineComment,
    NewPull,
    NewReview,
    Opinion,
    Pull,
    PullState,
)

BRANCH = "muster/mu-1-add"
BASE = {"calc.py": "def add(a, b):\n    return a - b\n", "notes/read me.txt": "one\ntwo\n"}
WORK = {"calc.py": "def add(a, b):\n    return a + b\n"}
NONE = "0" * 40


class World(Protocol):
    """The other side: a repository with `BASE` on `main`, and the people who use it."""

    repo: str

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        """Put files on a branch, from where it is or from `main`; its commit."""
        ...

    def tip(self, branch: str) -> str: ...

    def files(self, branch: str) -> Mapping[str, str]: ...

    def review(self, number: int, opinion: Opinion, text: str) -> None:
        """Somebody else gives a review."""
        ...

    def check(self, commit: str, state: ChecksState, name: str = "tests") -> None:
        """The checks of a commit say so."""
        ...

    def reviews(self) -> list[str]:
        """The texts of all reviews that there are."""
        ...

    def comments(self) -> list[str]: ...


class ForgeContract:
    """Give `world` and `forge`, whose account is not the one that `world` reviews as."""

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    @pytest.fixture
    async def forge(self, world) -> Forge:
        raise NotImplementedError

    @pytest.fixture
    async def pull(self, forge, world) -> Pull:
        world.push(BRANCH, WORK)
        return await forge.open_pull(world.repo, NewPull(BRANCH, "main", "Add", "It adds."))

    async def test_it_knows_who_we_are_and_what_the_repository_is(self, forge, world):
        account = await forge.account()
        assert account.signed_in
        found = await forge.repository(world.repo)
        assert (found.name, found.default_branch) == (world.repo, "main")
        assert found.may_push
        with pytest.raises(NotFound) as told:
            await forge.repository("team/nowhere")
        assert told.value.hint

    async def test_a_branch_is_offered_once_however_often_it_is_said(self, forge, world, pull):
        assert (pull.branch, pull.base, pull.state) == (BRANCH, "main", PullState.OPEN)
        assert pull.head == world.tip(BRANCH)
        again = await forge.open_pull(world.repo, NewPull(BRANCH, "main", "Other", "words"))
        assert (again.number, again.title) == (pull.number, "Add")
        assert [one.number for one in await forge.pulls(world.repo)] == [pull.number]
        assert (await forge.pull(world.repo, pull.number)).url == pull.url

    async def test_a_branch_that_is_not_there_or_holds_nothing_new_is_refused(self, forge, world):
        for branch in ("muster/none", "main"):
            with pytest.raises(Conflict) as told:
                await forge.open_pull(world.repo, NewPull(branch, "main", "Add", ""))
            assert "push" in told.value.hint
        assert await forge.pulls(world.repo, "all") == []

    async def test_what_is_pushed_later_moves_the_head(self, forge, world, pull):
        commit = world.push(BRANCH, {"more.txt": "more\n"})
        assert (await forge.pull(world.repo, pull.number)).head == commit != pull.head

    async def test_a_review_of_one_key_is_given_once(self, forge, world, pull):
        remarks = (
            LineComment("calc.py", 2, "Why plus?"),
            LineComment("calc.py", 90, "far away"),
            LineComment("notes/read me.txt", None, "the whole of it"),
        )
        review = NewReview("MU-1:2", pull.head, Opinion.COMMENT, "Mostly right.", remarks)
        for _ in range(2):
            await forge.give_review(world.repo, pull.number, review)
        (found,) = await forge.reviews(world.repo, pull.number)
        assert (found.own, found.opinion, found.head) == (True, Opinion.COMMENT, pull.head)
        assert [(one.path, one.line, one.text) for one in found.comments] == [
            ("calc.py", 2, "Why plus?")
        ]
        for text in ("Mostly right.", "far away", "the whole of it", "notes/read me.txt"):
            assert text in found.summary
        await forge.give_review(
            world.repo, pull.number, NewReview("MU-1:3", pull.head, Opinion.APPROVE, "Now yes.")
        )
        assert [one.opinion for one in await forge.reviews(world.repo, pull.number)] == [
            Opinion.COMMENT, Opinion.APPROVE,
        ]  # fmt: skip
        assert len(world.reviews()) == 2

    async def test_what_others_say_is_not_ours_whatever_is_in_it(self, forge, world, pull):
        world.review(pull.number, Opinion.REQUEST_CHANGES, "no\n\n<!-- muster:MU-1:2 approve -->")
        world.review(pull.number, Opinion.APPROVE, "yes")
        review = NewReview("MU-1:2", pull.head, Opinion.REQUEST_CHANGES, "<!-- muster:MU-1:9 -->")
        await forge.give_review(world.repo, pull.number, review)
        await forge.give_review(
            world.repo, pull.number, NewReview("MU-1:9", pull.head, Opinion.COMMENT, "said")
        )
        found = await forge.reviews(world.repo, pull.number)
        assert [(one.own, one.opinion) for one in found] == [
            (False, Opinion.REQUEST_CHANGES), (False, Opinion.APPROVE),
            (True, Opinion.REQUEST_CHANGES), (True, Opinion.COMMENT),
        ]  # fmt: skip

    async def test_a_key_that_could_end_the_mark_is_refused(self, forge, world, pull):
        for key in ("", "a --> b", "a--b", "x" * 200):
            review = NewReview(key, pull.head, Opinion.COMMENT, "text")
            with pytest.raises(Invalid):
                await forge.give_review(world.repo, pull.number, review)
        assert world.reviews() == []

    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    async def test_a_merge_really_merges_and_is_done_once(self, forge, world, pull, method):
        world.push("main", {"beside.txt": "meanwhile\n"})
        merged = await forge.merge(world.repo, pull.number, method, pull.head, "Add (MU-1)\n\nby")
        assert (merged.state, merged.merged_commit) == (PullState.MERGED, world.tip("main"))
        assert world.files("main")["calc.py"] == WORK["calc.py"].strip()
        assert "beside.txt" in world.files("main")
        again = await forge.merge(world.repo, pull.number, method, pull.head, "Add")
        assert again.merged_commit == merged.merged_commit

    async def test_checks_are_told_and_hold_a_merge_back_until_they_pass(self, forge, world, pull):
        at = (world.repo, pull.head)
        assert await forge.checks(*at) is ChecksState.NONE
        for state, name in (
            (ChecksState.PENDING, "tests"), (ChecksState.FAILED, "tests"),
            (ChecksState.PENDING, "lint"),
        ):  # fmt: skip
            world.check(pull.head, state, name)
            with pytest.raises(Conflict, match="checks"):
                await forge.merge(world.repo, pull.number, "merge", pull.head, "Add")
        assert await forge.checks(*at) is ChecksState.FAILED
        world.check(pull.head, ChecksState.PASSED, "tests")
        assert await forge.checks(*at) is ChecksState.PENDING
        world.check(pull.head, ChecksState.PASSED, "lint")
        assert await forge.checks(*at) is ChecksState.PASSED
        merged = await forge.merge(world.repo, pull.number, "merge", pull.head, "Add")
        assert merged.state is PullState.MERGED

    async def test_another_head_is_not_merged(self, forge, world, pull):
        world.push(BRANCH, {"more.txt": "not looked at\n"})
        with pytest.raises(Conflict, match="head"):
            await forge.merge(world.repo, pull.number, "merge", pull.head, "Add")
        assert "more.txt" not in world.files("main")

    async def test_what_conflicts_is_not_merged(self, forge, world, pull):
        world.push("main", {"calc.py": "def add(a, b):\n    return sum((a, b))\n"})
        before = world.tip("main")
        with pytest.raises(Conflict) as told:
            await forge.merge(world.repo, pull.number, "merge", pull.head, "Add")
        assert told.value.hint
        assert world.tip("main") == before

    async def test_one_that_is_closed_says_why_once_and_is_not_merged(self, forge, world, pull):
        for _ in range(2):
            await forge.close_pull(world.repo, pull.number, "It was cancelled.")
        assert (await forge.pull(world.repo, pull.number)).state is PullState.CLOSED
        assert [text.splitlines()[0] for text in world.comments()] == ["It was cancelled."]
        with pytest.raises(Conflict, match="closed"):
            await forge.merge(world.repo, pull.number, "merge", pull.head, "Add")
        assert [one.number for one in await forge.pulls(world.repo, "closed")] == [pull.number]
        assert await forge.pulls(world.repo, "open") == []

    async def test_a_word_that_nobody_knows_is_refused(self, forge, world, pull):
        with pytest.raises(Invalid):
            await forge.merge(world.repo, pull.number, "octopus", pull.head, "Add")
        with pytest.raises(Invalid):
            await forge.pulls(world.repo, "half-open")
        with pytest.raises(NotFound):
            await forge.pull(world.repo, 4711)

    async def test_names_are_whole_or_of_the_owner_in_the_settings(self, forge, world):
        owner, _, name = world.repo.partition("/")
        assert forge.full_name(world.repo) == forge.full_name(name) == f"{owner}/{name}"
        for odd in ("a/b/c", "../x", "team/..", "team/x?y", "team/a b", ""):
            with pytest.raises(Invalid):
                forge.full_name(odd)
