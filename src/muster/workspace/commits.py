"""A commit written into the mirror, byte for byte as `git commit-tree` would write it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from muster.domain.errors import Invalid
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror
from muster.workspace.objects import store_object

_CRUD = "".join(map(chr, range(1, 33))) + ",:;<>\"\\'"
_LATEST = 1 << 40
_NO_CHARACTERS = frozenset(
    {*range(0xFDD0, 0xFDF0), *(n << 16 | low for n in range(17) for low in (0xFFFE, 0xFFFF))}
)
"""Code points that git takes for damage, and mends in a way of its own."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a commit, and when: `when` is epoch milliseconds, None for now."""

    name: str
    email: str
    when: int | None = None

    def env(self, role: str) -> dict[str, str]:
        """The variables that tell git so; `role` is AUTHOR or COMMITTER."""
        said = {"NAME": self.name, "EMAIL": self.email, "DATE": f"@{self.seconds} +0000"}
        return {f"GIT_{role}_{what}": value for what, value in said.items()}

    @property
    def seconds(self) -> int:
        """The time in epoch seconds; 0 when none is set."""
        return (self.when or 0) // 1000


def can_be_named(name: str) -> bool:
    """Whether git can write a name: it leaves out what is no part of one."""
    return bool(name.strip(_CRUD + "."))


def write_commit(
    mirror: Mirror,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: Author,
    committer: Author | None = None,
) -> str:
    """Make a commit of a tree; its id. The committer is the author unless another is given.

    Raises:
        Invalid: git cannot write the author's name.
        GitFailed: the tree or a parent is not in the mirror, or the disk is full.
    """
    now = int(time.time() * 1000)
    people = [_dated(person, now) for person in (author, committer or author)]
    text = message.replace("\0", "").encode("utf-8", "replace") or b"\n"
    plain = _plain(tree, parents, text, people)
    if plain is None or not _are_there(mirror, tree, parents):
        env = people[0].env("AUTHOR") | people[1].env("COMMITTER")
        words = [word for parent in parents for word in ("-p", parent)]
        place = Place(mirror.path, env=env)
        return mirror.git.run(place, "commit-tree", tree, *words, stdin=text).decode().strip()
    return store_object(mirror, "commit", plain)


def _dated(person: Author, now: int) -> Author:
    if not can_be_named(person.name) or "\0" in person.name + person.email:
        raise Invalid(
            f"{person.name[:80]!r} cannot be the author of a commit",
            hint="set one: muster project set git_user_name NAME",
        )
    return person if person.when is not None else replace(person, when=now)


def _plain(
    tree: str, parents: Sequence[str], text: bytes, people: Sequence[Author]
) -> bytes | None:
    """The commit as git would write it; None when git has to be asked how."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in dict.fromkeys(parents))]
    for role, person in zip(("author", "committer"), people, strict=True):
        name, email = _cleaned(person.name), _cleaned(person.email)
        if name is None or email is None or not 0 <= person.seconds < _LATEST:
            return None
        lines.append(f"{role} {name} <{email}> {person.seconds} +0000")
    try:
        whole = "\n".join(lines) + "\n\n" + text.decode("utf-8")
        return None if _NO_CHARACTERS.intersection(map(ord, whole)) else whole.encode("utf-8")
    except UnicodeError:
        return None


def _cleaned(text: str) -> str | None:
    """A name or address without what git leaves out; None when gits differ over it."""
    kept = text.strip(_CRUD)
    if kept.strip(_CRUD + ".") != kept:
        return None
    return kept.translate({ord(c): None for c in "\n<>"})


def _are_there(mirror: Mirror, tree: str, parents: Sequence[str]) -> bool:
    wanted = [(tree, "tree"), *((parent, "commit") for parent in parents)]
    found = [(mirror.objects.info(name), kind) for name, kind in wanted]
    return all(object is not None and object.kind == kind for object, kind in found)
