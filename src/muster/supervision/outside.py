"""What an agent's use of a tool names that is none of its own: others' files, sockets, devices.

A net for what agents write openly, not the wall, which is the place they run in: who hides a path
in a program of its own hides it from this, too. So nothing hangs on it; it is told.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONGEST = 20_000
_MOST_WORDS = 2000
_LONGEST_PLACE = 300
_WORD = re.compile(r"[^\s'\"`;|&<>()\[\]{}=,]+")
_METADATA = ("169.254.169.254", "fd00:ec2::254", "metadata.google.internal")
_SOCKET = re.compile(r"/(?:docker|containerd|podman|crio)\.sock$")
_DEVICE = re.compile(
    r"^/dev/(?:mem|kmem|port|kmsg|kvm|fuse|mapper|sd[a-z]|vd[a-z]|nvme|loop\d|dm-\d|disk)\b"
)
_MAKES_DEVICE = re.compile(r"\bmknod\b[^;|&\n]{0,200}\s[bcu]\s+\d|\bS_IF(?:BLK|CHR)\b")
_PROCESS = re.compile(r"/proc/(?:\d+|\*|\[0-9\]\*?)/(?:environ|mem|root|cwd|fd|maps|cmdline)\b")
_PEOPLE = re.compile(r"/(?:root|home)(?:/|$)|/etc/(?:shadow|gshadow|sudoers|ssh)(?:/|-|\.d|$)")
_FAR, _FAR_RUN = re.compile(r"/muster-far(?:/|$)"), re.compile(r"/muster-far/runs/[0-9a-f]{32}")
"""Over there the folders of runs have names that nobody can guess."""
_GIT_RUNS = re.compile(
    r"\bcore\.(?:hookspath|fsmonitor|sshcommand|editor|pager)\b|\.git/hooks/"
    r"|\bfilter\.[\w-]+\.(?:clean|smudge|process)\b|\bdiff\.[\w-]+\.(?:textconv|command)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Own:
    """What is an agent's own: its `tree`, the other folders it was given, programs on its path.

    `home` is muster's, `person` that of whoever runs muster; both empty where they are not here.
    """

    tree: str
    shown: Sequence[str] = ()
    home: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """Something that is none of its own. `what` is a word for a rule, `place` a stranger's text."""

    what: str
    place: str


def tried(text: str, own: Own) -> list[Tried]:
    """What a command, path or address names, each once and in its order."""
    text = text[:LONGEST]
    found = [*_in_the_whole(text), *_in_words(text, own)]
    return list(dict.fromkeys(found))


def _in_the_whole(text: str) -> Iterator[Tried]:
    for what, pattern in (("git", _GIT_RUNS), ("device", _MAKES_DEVICE), ("process", _PROCESS)):
        if match := pattern.search(text):
            yield _told(what, match.group())


def _in_words(text: str, own: Own) -> Iterator[Tried]:
    for count, match in enumerate(_WORD.finditer(text)):
        if count >= _MOST_WORDS:
            return
        word = match.group()
        if any(host in word for host in _METADATA):
            yield _told("metadata", word)
        elif path := _path(word, own.tree):
            what = _whose(path, own)
            if what:
                yield _told(what, path)


def _path(word: str, tree: str) -> str:
    """The path that a word is, without dots; empty where it is none, or stays where it is."""
    if word.startswith("/"):
        return posixpath.normpath(word.replace("//", "/"))
    if word.startswith("file:///"):
        return posixpath.normpath(word[7:])
    if word.startswith("../") or "/../" in word or word == "..":
        return posixpath.normpath(posixpath.join(tree, word))
    return ""


def _whose(path: str, own: Own) -> str:
    if any(_below(path, top) for top in (own.tree, *own.shown)) or _FAR_RUN.search(path):
        return ""
    for what, pattern in (("agent", _FAR), ("engine", _SOCKET), ("device", _DEVICE)):
        if pattern.search(path):
            return what
    if own.home and _below(path, own.home):
        others = (f"{own.home}/runs", f"{own.home}/workspaces")
        return "agent" if any(_below(path, top) for top in others) else "muster"
    if (own.person and _below(path, own.person)) or _PEOPLE.match(path):
        return "person"
    return ""


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def _told(what: str, place: str) -> Tried:
    return Tried(what, place[:_LONGEST_PLACE])
