"""Commits to and from a server by HTTP: only what is named, only onto muster's own branches.

The headers that open it are in the environment of this one git: in no argument, in no file. What
the server says is a stranger's: it is followed nowhere, and its words are bounded.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from muster.domain.errors import Conflict, GitFailed, Invalid, MusterError, NotAllowed, NotFound
from muster.domain.guard import commit_id, own_branch, ref_name
from muster.domain.plain import plain_line
from muster.workspace.compare import is_ancestor
from muster.workspace.git import Answer, Place
from muster.workspace.mirror import Mirror
from muster.workspace.refs import ID

REMOTES = "refs/muster/remotes"
_PUSHED, _PUSHING = "refs/muster/pushed", "refs/muster/pushing"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ALSO_SEEN = ("http_proxy", "https_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")
_MOST_SAID = 64 * 1024
_SECONDS = 600.0
_SETTINGS = {
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
    "fetch.fsckObjects": "true",
    "fetch.writeCommitGraph": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
}
_NO_ENTRY = ("Authentication failed", "could not read Username", "error: 403", "error: 401")
_NO_SUCH = ("not found", "error: 404")


@dataclass(frozen=True, slots=True)
class Server:
    """A repository at a server: its URL, the headers that open it, and how to get out to it.

    Of `environ` the variables of proxies and authorities count; a command may take `seconds`.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = _SECONDS

    @property
    def key(self) -> str:
        """What stands for it in the names of refs."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def ref(self, top: str, branch: str) -> str:
        """A ref of muster's own about a branch there; two branches never share a folder."""
        return f"{top}/{self.key}/{branch.replace('/', '+')}"


def push(mirror: Mirror, server: Server, commit: str, branch: str) -> None:
    """Let a branch of muster's own be at `commit` there; again after a crash is fine.

    What another has put there is not overwritten, unless `commit` stands on it.

    Raises:
        Invalid: the branch is not muster's own, or the URL is none that is pushed to.
        Conflict: another has moved the branch.
        NotAllowed, NotFound: the server does not let us in, or has no such repository.
        GitFailed: git failed; the message has its last words.
    """
    name, new = own_branch(branch), commit_id(commit)
    place = _place(mirror, server)
    pushed, pushing = server.ref(_PUSHED, name), server.ref(_PUSHING, name)
    ours = {mirror.ref(pushed), mirror.ref(pushing)}
    now = _tip(mirror, server, place, name)
    if now != new:
        if now and now not in ours and not _stands_on(mirror, now, new):
            raise _moved(name)
        mirror.keep(pushing, new)
        lease = f"--force-with-lease=refs/heads/{name}:{now or ''}"
        args = ("push", "--quiet", "--no-verify", lease, server.url, f"{new}:refs/heads/{name}")
        answer = mirror.git.ask(place, *args, seconds=server.seconds, limit=_MOST_SAID)
        if answer.code != 0:
            raise _failure("push", answer, server, name)
    mirror.keep(pushed, new)


def fetch(mirror: Mirror, server: Server, branch: str) -> str:
    """Bring a branch of the server's here, below `refs/muster/remotes`; its commit.

    Raises:
        Invalid: the branch cannot be named so, or the URL is none that is fetched from.
        NotFound: there is no such branch or repository.
        NotAllowed: the server does not let us in.
        GitFailed: git failed; the message has its last words.
    """
    name = ref_name(branch)
    place = _place(mirror, server)
    ref = server.ref(REMOTES, name)
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    args = ("fetch", *quiet, "--refmap=", server.url, f"+refs/heads/{name}:{ref}")
    answer = mirror.git.ask(place, *args, seconds=server.seconds, limit=_MOST_SAID)
    if answer.code != 0:
        raise _failure("fetch", answer, server, name)
    found = mirror.ref(ref)
    if found is None:
        raise GitFailed("git fetch left nothing", hint="try again")
    return found


def _tip(mirror: Mirror, server: Server, place: Place, branch: str) -> str | None:
    """Where the branch is there; None when it is not."""
    args = ("ls-remote", "--quiet", server.url, f"refs/heads/{branch}")
    answer = mirror.git.ask(place, *args, seconds=server.seconds, limit=_MOST_SAID)
    if answer.code != 0:
        raise _failure("ls-remote", answer, server, branch)
    for line in answer.out.decode("utf-8", "replace").splitlines():
        commit, _, name = line.partition("\t")
        if name == f"refs/heads/{branch}" and ID.fullmatch(commit):
            return commit
    return None


def _stands_on(mirror: Mirror, old: str, new: str) -> bool:
    return mirror.has(old) and is_ancestor(mirror, old, new)


def _place(mirror: Mirror, server: Server) -> Place:
    try:
        parts = urlsplit(server.url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    here = parts.scheme == "http" and host in _LOOPBACK
    if not host or not (parts.scheme == "https" or here) or parts.username or parts.password:
        raise Invalid(
            "work is carried over https, by a URL without a name in it",
            hint="for example https://github.com/team/app.git",
        )
    if not server.url.isprintable() or " " in server.url:
        raise Invalid("that is no URL of a repository", hint="for example https://host/repo.git")
    lines = [f"{name}: {value}" for name, value in server.headers.items()]
    if not all(line.isprintable() and line.isascii() for line in lines):
        raise Invalid("a header holds what no header does", hint="see that the token is whole")
    told = {"GIT_CONFIG_COUNT": str(len(lines))}
    for at, line in enumerate(lines):
        told |= {f"GIT_CONFIG_KEY_{at}": "http.extraHeader", f"GIT_CONFIG_VALUE_{at}": line}
    seen = {name: value for name, value in server.environ.items() if name.lower() in _ALSO_SEEN}
    settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
    return Place(
        mirror.path,
        env={**seen, **told, "GIT_ALLOW_PROTOCOL": "http:https"},
        settings=tuple(settings),
    )


def _failure(verb: str, answer: Answer, server: Server, branch: str) -> MusterError:
    """What went wrong, in words that are bounded and hold no credential."""
    where = urlsplit(server.url).netloc
    if answer.code == -signal.SIGKILL:
        return GitFailed(
            f"git {verb} was stopped after {server.seconds:.0f} s, or said too much",
            hint=f"is {where} slow? try again",
        )
    said = "; ".join(line for line in answer.err.splitlines() if line.strip())
    for value in server.headers.values():
        said = said.replace(value, "***")
    said = plain_line(said[-2000:], 500)
    if any(words in said for words in ("stale info", "[rejected]", "fetch first")):
        return _moved(branch)
    if "couldn't find remote ref" in said:
        return NotFound(f"{where} has no branch '{branch}'", hint="was it deleted there?")
    if any(words in said for words in _NO_ENTRY):
        return NotAllowed(
            f"{where} does not let us in: {said}", hint="see that the token may write there"
        )
    if any(words in said for words in _NO_SUCH):
        return NotFound(
            f"{where} has no such repository, or the token does not see it",
            hint="see that the name is right",
        )
    return GitFailed(f"git {verb} failed: {said}", hint=f"see that {where} is there; try again")


def _moved(branch: str) -> Conflict:
    return Conflict(
        f"'{branch}' was moved there by another", hint="look at what they pushed, and take it over"
    )
