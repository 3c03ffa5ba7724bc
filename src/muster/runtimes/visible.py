"""What a contained program sees of the machine's files, as a list of mounts.

The system's programs and libraries, a handful of harmless files of /etc, the toolchain that the
program itself comes from, and what the run was given. No home of anybody, no /run, no /var, no
other run: what is not listed is not there.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from muster.runtimes.base import RunSpec

_SYSTEM = ("/usr", "/nix/store", "/gnu/store")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version"),
    *("fonts", "gai.conf", "host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime"),
    *("lsb-release", "magic", "mime.types", "os-release", "pki/ca-trust", "pki/tls/certs"),
    *("protocols", "services", "shells", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone"),
)
_TOOLCHAINS = frozenset(
    {".asdf", ".bun", ".deno", ".goenv", ".jenv", ".nodenv", ".npm-global", ".nvm", ".opencode"}
    | {".pyenv", ".rbenv", ".rustup", ".sdkman", ".volta"}
)
"""Folders in a home that hold programs only; other hidden ones there may hold secrets."""
_PROGRAM_FOLDERS = frozenset({"bin", "sbin", "shims"})
_MOST_LINKS = 40


class Show(StrEnum):
    """How a path is shown."""

    READ = "read"
    WRITE = "write"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Mount:
    """One path of the machine, shown at its own place."""

    path: str
    show: Show


def system() -> list[str]:
    """The folders and files of the system that every program needs."""
    etc = [f"/etc/{name}" for name in _ETC]
    return [path for path in (*_SYSTEM, *etc) if os.path.exists(path)]


def system_links() -> list[tuple[str, str]]:
    """Names such as /bin with the target they have, or an empty one when they are real folders."""
    return [
        (path, os.readlink(path) if os.path.islink(path) else "")
        for path in _LINKED
        if os.path.lexists(path)
    ]


def given(spec: RunSpec, run_dir: Path, found: str | None) -> list[Mount]:
    """What is shown beside the system, outer paths first; `found` is the program's path.

    The run directory is hidden where it lies inside something that may be written: no run may
    change its own record.
    """
    own = {path: Show.READ for path in _toolchain(spec.env.get("PATH", os.defpath), found)}
    own = {path: show for path, show in own.items() if not Path(run_dir).is_relative_to(path)}
    own |= dict.fromkeys(_existing(spec.readable), Show.READ)
    own |= dict.fromkeys(_existing((spec.cwd, *spec.writable)), Show.WRITE)
    folder = os.path.abspath(run_dir)
    if folder not in own and any(Path(folder).is_relative_to(path) for path in own):
        own[folder] = Show.EMPTY
    return [Mount(path, own[path]) for path in sorted(own, key=lambda path: path.count("/"))]


def _existing(paths: Iterable[str]) -> list[str]:
    return [os.path.abspath(path) for path in paths if os.path.exists(path)]


def _toolchain(search: str, found: str | None) -> Iterator[str]:
    """The folders on PATH and those that the program's file really lies in."""
    for folder in search.split(":"):
        if folder.startswith("/") and os.path.isdir(folder):
            yield from _shown(_whole(folder))
    for path in _hops(found) if found else ():
        folder, name = os.path.split(path)
        whole = _package(folder) or _whole(folder)
        yield from _shown(os.path.join(folder, name) if whole == folder else whole)


def _hops(path: str) -> Iterator[str]:
    """A file and every file that it is a link to, in turn."""
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(os.path.dirname(path))
        path = os.path.join(folder, os.path.basename(path))
        yield path
        if not os.path.islink(path):
            return
        path = os.path.join(folder, os.readlink(path))


def _shown(path: str) -> Iterator[str]:
    """The path, unless the system shows it already or it is all there is."""
    parents = {str(parent) for parent in Path(path).parents} | {path}
    if path != "/" and not parents & {*_SYSTEM, *_LINKED}:
        yield path


def _package(folder: str) -> str:
    """The outermost `node_modules` that a folder lies in: a program there needs its neighbours."""
    head, name, _ = folder.partition("/node_modules/")
    if name:
        return f"{head}/node_modules"
    return folder if folder.endswith("/node_modules") else ""


def _whole(folder: str) -> str:
    """The installation that a folder of programs belongs to, where that can be shown."""
    package = _package(folder)
    if package:
        return package
    path, homes = Path(folder), _homes()
    whole = path.parent
    if path.name not in _PROGRAM_FOLDERS or str(whole) in homes or whole == Path("/"):
        return folder
    hidden = next((p for p in (whole, *whole.parents) if str(p.parent) in homes), None)
    if hidden is None or not hidden.name.startswith("."):
        return str(whole)
    if hidden.name in _TOOLCHAINS:
        return str(hidden) if path.name == "shims" else str(whole)
    alone = (whole / "pyvenv.cfg").exists() or (whole != hidden and (whole / "lib").is_dir())
    return str(whole) if alone else folder


def _homes() -> frozenset[str]:
    """The folders that belong to people, whose hidden folders hold their secrets."""
    users = {user.pw_dir for user in pwd.getpwall()} | {str(Path("~").expanduser()), "/root"}
    return frozenset(path for path in users if path.count("/") > 1 or path == "/root")
