"""Where GitHub is, and how its repositories are named: as `owner/name`, and by URLs of git."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from muster.domain.errors import Invalid
from muster.domain.plain import plain_line

_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})"
_NAME = r"[A-Za-z0-9._-]{1,100}"
_WHOLE = re.compile(rf"({_OWNER})/({_NAME})")
_SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!/)(.+)")
_DOT_COM = "api.github.com"
_SCHEMES = frozenset({"https", "http", "ssh", "git"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_full_name(text: str) -> bool:
    """Whether this is `owner/name` as GitHub names repositories."""
    found = _WHOLE.fullmatch(text)
    return found is not None and found[2] not in {".", ".."} and not found[2].endswith(".git")


def full_name(text: str, owner: str) -> str:
    """A repository as `owner/name`; one that is a name alone is `owner`'s.

    Raises:
        Invalid: it cannot be one, or there is no owner.
    """
    if "/" not in text and not owner:
        raise Invalid(
            f"whose repository '{plain_line(text, 100)}' is, is not said",
            hint="say owner/name, or set github_owner",
        )
    whole = text if "/" in text else f"{owner}/{text}"
    if not is_full_name(whole):
        raise Invalid(
            f"'{plain_line(text, 100)}' is no repository of GitHub", hint="say owner/name"
        )
    return whole


def git_base(api_url: str) -> str:
    """Where git finds repositories, by where the API is: the token goes there and nowhere else.

    `https://api.github.com` belongs to `https://github.com`, `https://api.NAME.ghe.com` to
    `https://NAME.ghe.com`, and `https://HOST/api/v3` to `https://HOST`.
    """
    parts = urlsplit(api_url)
    host = parts.netloc
    if host == _DOT_COM or (host.startswith("api.") and host.endswith(".ghe.com")):
        host = host.removeprefix("api.")
    return f"{parts.scheme}://{host}"


def named_by(url: str, api_url: str) -> str | None:
    """The repository that a git remote's URL names; None when it is on another host."""
    ours = urlsplit(git_base(api_url))
    try:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
        port = parts.port
    except ValueError:
        return None
    if "://" not in url:
        found = _SCP.fullmatch(url)
        if found is None:
            return None
        host, path = found[1], found[2]
    elif parts.scheme not in _SCHEMES or (parts.scheme == ours.scheme and port != ours.port):
        return None
    if host.lower() != (ours.hostname or ""):
        return None
    name = path.strip("/").removesuffix(".git")
    return name if is_full_name(name) else None


def checked_api(url: str) -> str:
    """The address of the API without the slash at its end.

    Raises:
        Invalid: a token would go in the open, or it is no address.
    """
    hint = "for example https://api.github.com, or https://github.example.com/api/v3"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"github_api_url is no address: {error}", hint=hint) from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise Invalid("github_api_url must be an address of HTTP", hint=hint)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid("github_api_url holds more than an address", hint=hint)
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise Invalid("the token would go in the open", hint="use https; http is for this machine")
    return url.rstrip("/")


def is_here(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK
