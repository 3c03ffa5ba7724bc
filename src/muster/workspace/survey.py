"""What `muster init` finds out about a repository; the one place that discovers."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from muster.domain.errors import Invalid, Refused
from muster.domain.guard import is_ref_name
from muster.workspace.git import Git, Place
from muster.workspace.kept import Kept

# Settings that name a program, or decide which one runs. All of git's manual pages to 2.5x.
_EXECUTABLE = re.compile(
    r"^(?:"
    r"filter\..*|diff\.external|diff\..*\.(?:command|textconv)|merge\..*\.driver"
    r"|core\.(?:fsmonitor|hookspath|sshcommand|pager|editor|askpass|gitproxy|attributesfile"
    r"|alternaterefscommand|worktree)"
    r"|(?:alias|pager|include|includeif|credential|protocol|url|hook|extensions|uploadpack"
    r"|receive|man|browser|web|instaweb|guitool|mergetool|difftool|gpg|trailer|sendemail)\..*"
    r"|sequence\.editor|interactive\.difffilter|init\.templatedir|submodule\..*\.update"
    r"|remote\..*\.(?:uploadpack|receivepack|vcs|proxy|promisor|partialclonefilter)"
    r")$",
    re.DOTALL,
)
_FALLBACK_BRANCHES = ("main", "master", "trunk")


@dataclass(frozen=True, slots=True)
class Survey:
    """A repository as found.

    `git_dir` is what all its work trees share; `work_tree` is None when it is bare. `branch` is the
    one checked out (empty when none is), `default_branch` the one that work should go to (empty
    when nothing tells). `trusted_config` is the digest of what its configuration can execute.
    """

    name: str
    git_dir: Path
    work_tree: Path | None
    branch: str
    default_branch: str
    has_commits: bool
    trusted_config: str


def inspect(path: Path, git: Git | None = None) -> Survey:
    """Find the repository that `path` belongs to.

    Raises:
        Invalid: there is none, or git cannot use it as it is; the hint says what to do.
    """
    git = git or Git()
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        raise Invalid(f"there is no folder {folder}", hint="give the path of a git repository")
    git_dir, work_tree, own_dir = _find(git, folder)
    here = Place(git_dir)
    _refuse_partial(git, here)
    branch = _short(git, Place(own_dir), "HEAD")
    heads = _branches(git, here)
    return Survey(
        name=(work_tree or git_dir).name.removesuffix(".git") or "repository",
        git_dir=git_dir,
        work_tree=work_tree,
        branch=branch,
        default_branch=_default(git, here, branch, heads),
        has_commits=bool(heads),
        trusted_config=config_digest(git, git_dir),
    )


def _find(git: Git, folder: Path) -> tuple[Path, Path | None, Path]:
    """The shared git folder, the work tree, and the git folder of just this work tree."""
    asked = ("rev-parse", "--path-format=absolute", "--git-common-dir", "--absolute-git-dir")
    # Without GIT_DIR git looks for itself, from the folder up. Whose repository it is does not
    # matter: the person named it, and these questions run nothing.
    place = Place(None, folder, settings=("-c", "safe.directory=*"))
    answer = git.ask(place, *asked, "--show-toplevel")
    if answer.code == 0:
        common, own, top = _paths(answer.out, 3, folder)
        return common, top, own
    for bare in (folder, folder / ".git"):
        if (bare / "HEAD").is_file() and (bare / "objects").is_dir():
            said = git.run(Place(bare), *asked)
            return (_paths(said, 2, folder)[0], None, bare)
    raise Invalid(
        f"{folder} is not in a git repository",
        hint=f"make it one: git init '{folder}', then make a first commit",
    )


def _paths(said: bytes, count: int, folder: Path) -> list[Path]:
    """The paths that git printed, one a line; it has no form for one that holds a line end."""
    lines = os.fsdecode(said).removesuffix("\n").split("\n")
    if len(lines) != count:
        raise Invalid(
            f"the path of the repository at {str(folder)!r} holds a line end",
            hint="move the repository to a path without one, then: muster init",
        )
    return [Path(line) for line in lines]


def _refuse_partial(git: Git, here: Place) -> None:
    answer = git.ask(here, "config", "--local", "--get-regexp", r"^remote\..*\.promisor$")
    if answer.code == 0 and b"true" in answer.out:
        raise Invalid(
            "the repository is a partial clone: parts of its history are only on its remote",
            hint="complete it: git fetch --refetch --no-filter, or clone it again without --filter",
        )


def _short(git: Git, place: Place, name: str) -> str:
    answer = git.ask(place, "symbolic-ref", "--quiet", "--short", name)
    return os.fsdecode(answer.out).strip() if answer.code == 0 else ""


def _branches(git: Git, here: Place) -> list[str]:
    listed = git.run(here, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
    return os.fsdecode(listed).split()


def _default(git: Git, here: Place, branch: str, heads: list[str]) -> str:
    remote = _short(git, here, "refs/remotes/origin/HEAD").removeprefix("origin/")
    wanted = (remote, branch, *_FALLBACK_BRANCHES, *(heads if len(heads) == 1 else ()))
    known = (name for name in wanted if name in heads and is_ref_name(name))
    return next(known, branch)


def config_digest(git: Git, git_dir: Path, kept: Kept | None = None) -> str:
    """A digest of everything in a repository's own configuration that can run a program.

    Includes are resolved, so that what an included file says counts too. Hooks count by name and
    content, `info/attributes` because it chooses filters. What git made of the same file before is
    taken from `kept`.
    """
    own = _settings(git, git_dir, kept)
    settings = sorted(entry for entry in own if _EXECUTABLE.match(entry.partition("\n")[0]))
    digest = hashlib.sha256()
    for part in (*map(os.fsencode, settings), *_files(git_dir)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _settings(git: Git, git_dir: Path, kept: Kept | None) -> list[str]:
    """The repository's own settings, each as `name`, a line end and its value."""
    text = _content(git_dir / "config")
    others = any(os.path.lexists(git_dir / name) for name in ("config.worktree", "commondir"))
    if kept is not None and not others and b"include" not in text.lower():
        # git is given the very bytes by which its answer is kept: the file may change meanwhile.
        args = ("config", "--list", "-z", "--file", "-")
        said = kept.get(("config", text), lambda: git.run(Place(git_dir), *args, stdin=text))
        return os.fsdecode(said).split("\0")[:-1]
    listed = git.run(Place(git_dir), "config", "--list", "--includes", "--show-scope", "-z")
    fields = os.fsdecode(listed).split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [entry for scope, entry in pairs if scope in {"local", "worktree"}]


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _files(git_dir: Path) -> list[bytes]:
    hooks = git_dir / "hooks"
    found = sorted(hooks.iterdir()) if hooks.is_dir() else []
    live = [path for path in found if path.suffix != ".sample" and path.is_file()]
    attributes = git_dir / "info" / "attributes"
    parts = [os.fsencode(path.name) + b"\0" + path.read_bytes() for path in live]
    return [*parts, _content(attributes)]


def require_trust(git: Git, git_dir: Path, trusted: str, kept: Kept) -> None:
    """See that a repository's configuration runs nothing that its owner did not agree to.

    An empty `trusted` asks for nothing.

    Raises:
        Refused: it has changed since.
    """
    if trusted and config_digest(git, git_dir, kept) != trusted:
        raise Refused(
            f"the git configuration of {git_dir} can run other programs than when it was trusted",
            hint="look at `git config --list --local` and the hooks, then trust it again: "
            "muster init",
        )
