"""A repository from elsewhere: cloned or brought up to date with credentials that stay here.

A token is read from its file by a helper that git starts, and only for the host of the URL; a key
is named to ssh alone. Neither is ever in an argument, in the repository's configuration, in the
environment of anything that muster starts later, or in what is printed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from muster.domain.errors import GitFailed, Invalid
from muster.workspace.git import SLOW, Git, Place

_SCHEMES = ("file", "http", "https", "ssh")
_SCP = re.compile(r"^(?:[\w.-]+@)?[\w.-]+:(?!/)[^\\]+$")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LONGEST_TOKEN = 4096
_ALSO_SEEN = ("http_proxy", "https_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")
_HINT = "see that the URL is right, and that --token or --ssh-key opens it"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files that hold a person's token for a host, or private key."""

    token: Path | None = None
    key: Path | None = None


def is_url(text: str) -> bool:
    """Whether a repository is named by where it is got from, rather than by a path."""
    return "://" in text or (bool(_SCP.match(text)) and not Path(text).exists())


def shown(url: str) -> str:
    """A URL without what somebody may have put into it as a secret."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", url)


def obtain(
    projects: Path, url: str, branch: str | None, own: Credentials, environ: Mapping[str, str]
) -> tuple[Path, str]:
    """The folder below `projects` of a clone that muster keeps, made now or brought up to date.

    With it why its branch could not be brought up to date; empty when it is.

    Raises:
        Invalid: the URL or a credential cannot be used.
        GitFailed: git could not get it.
    """
    _refuse_odd(url, branch)
    settings = _with_token(url, own.token) if own.token else ()
    env = _environment(own.key, environ)
    folder = projects / _name(url)
    if (folder / ".git").exists():
        return folder, _brought_up_to_date(folder, settings, env)
    projects.mkdir(parents=True, exist_ok=True, mode=0o700)
    which = ["--branch", branch] if branch else []
    # Into a folder beside, so that one that is there is whole.
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        place = Place(None, env=env, settings=settings)
        _git(place, "clone", "--no-recurse-submodules", "--quiet", *which, "--", url, str(draft))
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder, ""


def _name(url: str) -> str:
    last = url.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].removesuffix(".git")
    name = re.sub(r"[^\w.-]", "-", last, flags=re.ASCII).strip(".-") or "repository"
    return f"{name[:60]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _refuse_odd(url: str, branch: str | None) -> None:
    if branch and (branch.startswith("-") or not branch.isprintable()):
        raise Invalid(f"'{branch}' is no name of a branch", hint="name the branch as git does")
    helper = "::" in url and "://" not in url  # git would start a program for it
    if helper or url.startswith("-") or not url.isprintable():
        raise Invalid("that is no URL of a repository", hint="for example https://host/repo.git")
    if "://" not in url:
        return
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Invalid(f"that is no URL: {error}", hint="for example https://host/repo.git") from (
            error
        )
    if parts.scheme not in _SCHEMES:
        raise Invalid(
            f"a repository cannot be got by '{parts.scheme}'", hint=f"by {', '.join(_SCHEMES)}"
        )
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise Invalid(
            "the URL holds a name or a password, which git would keep in the repository",
            hint="take it out of the URL and name a file that holds it: --token FILE",
        )


def _with_token(url: str, file: Path) -> tuple[str, ...]:
    """The settings with which git asks a helper for the token of this host, and of no other."""
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if parts.scheme != "https" and not here:
        raise Invalid("a token is sent over https only", hint="use an https URL, or --ssh-key")
    path = file.absolute()
    try:
        with path.open("rb") as opened:
            token = opened.read(_LONGEST_TOKEN + 1).strip()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", hint="name the file") from error
    if not token or len(token) > _LONGEST_TOKEN or b"\n" in token:
        raise Invalid(f"{file} holds no token", hint="put the token alone into the file")
    says = r"""printf 'username=x-access-token\npassword=%s\n'"""
    helper = f'!f() {{ test "$1" != get || {says} "$(cat {shlex.quote(str(path))})"; }}; f'
    return ("-c", f"credential.{parts.scheme}://{parts.netloc}.helper={helper}")


def _environment(key: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What git sees beside its own: how to get out, and who opens the door there."""
    seen = {name: value for name, value in environ.items() if name.lower() in _ALSO_SEEN}
    ssh = ["ssh", "-o", "BatchMode=yes"]
    if key:
        ssh += ["-i", str(key.absolute()), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    elif "SSH_AUTH_SOCK" in environ:
        seen["SSH_AUTH_SOCK"] = environ["SSH_AUTH_SOCK"]
    return {
        **seen,
        "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
        "GIT_SSH_COMMAND": shlex.join(ssh),
    }


def _brought_up_to_date(folder: Path, settings: tuple[str, ...], env: dict[str, str]) -> str:
    """Get what is new; the branch goes forward only where nothing of its own is on it."""
    place = Place(folder / ".git", folder, env=env, settings=settings)
    _git(place, "fetch", "--no-recurse-submodules", "--quiet", "origin")
    here = Place(folder / ".git", folder)
    try:
        Git().run(here, "merge", "--ff-only", "--quiet", "@{upstream}", seconds=SLOW)
    except GitFailed as no:
        return no.detail
    return ""


def _git(place: Place, *args: str) -> None:
    try:
        Git().run(place, *args, seconds=SLOW)
    except GitFailed as no:
        raise GitFailed(shown(no.detail), hint=no.hint or _HINT) from no
