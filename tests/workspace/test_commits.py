"""Commits that muster writes itself are those that `git commit-tree` would write."""

from __future__ import annotations

import pytest

from muster.domain.errors import GitFailed, Invalid
from muster.workspace.commits import Author, write_commit
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror
from workspace.project import REPO, WHEN

NAMES = (
    *("A Person", "  Ünïcode 人 ", "<a> \"b\" 'c'", "line\nend", "O'Neil, jr;", ":x:", "tab\tin"),
    *("\\back\\", "a..b", "Dot jr.", ".dot", "\x01ctrl\x02", "\x7fdel", "a\rb", "\udce9raw"),
)
EMAILS = ("p@example.org", "", "<p@example.org>", " a b ", "ü@ü", "x>y\n", "dot.")
MESSAGES = (
    *("Work\n", "no line end", "", "\n\nblank first", "trailing  \n\n\n", "# not a comment\n"),
    *("Ünïcode 人\n", "nul\0in", "\ufffe no character", "\ufdd0", "\U0001ffff", "\udce9 lone"),
    *("gpgsig x\n y", "cr\r\n", "\ufeffbom", "x" * 100_000),
)
TIMES = (WHEN, 0, 999, 1000, 4_102_444_800_000, 1 << 44)


def by_git(mirror: Mirror, tree, parents, message: str, author: Author, committer: Author) -> str:
    words = [word for parent in parents for word in ("-p", parent)]
    place = Place(mirror.path, env=author.env("AUTHOR") | committer.env("COMMITTER"))
    text = message.replace("\0", "").encode("utf-8", "replace") or b"\n"
    return mirror.git.run(place, "commit-tree", tree, *words, stdin=text).decode().strip()


def same(mirror: Mirror, parents, message: str, author: Author, committer: Author) -> None:
    """The id is a digest of every byte, so that equal ids are equal commits."""
    tree = mirror.tree_of(parents[0])
    mine = write_commit(mirror, tree, parents, message, author, committer)
    assert mine == by_git(mirror, tree, parents, message, author, committer)
    mirror.git.run(mirror.place, "fsck", "--strict", "--no-dangling", mine)


def test_odd_names_and_addresses(sample):
    mirror = sample.workspaces.mirror(REPO)
    for name in NAMES:
        for email in EMAILS:
            person = Author(name, email, WHEN)
            tree = mirror.tree_of(sample.commit)
            mine = write_commit(mirror, tree, [sample.commit], "m\n", person)
            assert mine == by_git(mirror, tree, [sample.commit], "m\n", person, person), person


def test_odd_messages_and_times(sample):
    mirror = sample.workspaces.mirror(REPO)
    other = Author("Someone Else", "e@example.org", WHEN + 5000)
    for message in MESSAGES:
        same(mirror, [sample.commit], message, Author("A", "a@example.org", WHEN), other)
    for when in TIMES:
        same(mirror, [sample.commit], "m\n", Author("A", "a@example.org", when), other)


def test_several_parents(sample):
    mirror = sample.workspaces.mirror(REPO)
    one = sample.work({"a": "1\n"})
    author = Author("A", "a@example.org", WHEN)
    same(mirror, [sample.commit, one], "m\n", author, author)
    same(mirror, [one, sample.commit, one], "m\n", author, author)


def test_usual_ones_take_no_process_and_are_whole_objects_that_nobody_changes(sample):
    mirror = sample.workspaces.mirror(REPO)
    tree = mirror.tree_of(sample.commit)
    before = mirror.git.started
    made = write_commit(mirror, tree, [sample.commit], "m\n", Author("Ünï 人", "a@b", WHEN))
    assert write_commit(mirror, tree, [sample.commit], "m\n", Author("Ünï 人", "a@b", WHEN)) == made
    assert mirror.git.started == before
    path = mirror.path / "objects" / made[:2] / made[2:]
    assert path.stat().st_mode & 0o777 == 0o444
    mirror.git.run(mirror.place, "fsck", "--strict")


def test_one_without_a_time_has_one_time(sample):
    mirror = sample.workspaces.mirror(REPO)
    made = write_commit(
        mirror, mirror.tree_of(sample.commit), [sample.commit], "m\n", Author("A", "a@b")
    )
    author, committer = sample.git_in_mirror("log", "-1", "--format=%at %ct", made).split()
    assert author == committer != "0"


def test_a_tree_or_parent_that_is_not_there_is_refused(sample):
    mirror = sample.workspaces.mirror(REPO)
    tree, author = mirror.tree_of(sample.commit), Author("A", "a@b", WHEN)
    with pytest.raises(GitFailed):
        write_commit(mirror, "1" * 40, [sample.commit], "m\n", author)
    with pytest.raises(GitFailed):
        write_commit(mirror, tree, ["1" * 40], "m\n", author)
    with pytest.raises(GitFailed):
        write_commit(mirror, tree, [tree], "m\n", author)
    with pytest.raises(Invalid, match="cannot be the author"):
        write_commit(mirror, tree, [sample.commit], "m\n", Author(" .", "a@b", WHEN))
