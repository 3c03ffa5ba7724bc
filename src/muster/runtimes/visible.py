"""What a contained program sees of the machine's files, as a list of mounts.

The system's programs and libraries, a handful of harmless files of /etc, the toolchain that the
program itself comes from, and what the run was given. No home of anybody, no /run, no /var, no
other run: what is not listed is not there.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from muster.domain.errors import Invalid
from muster.runtimes.base import RunSpec

_SYSTEM = ("/usr", "/nix/store", "/gnu/store")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC_MOUNTED = (
    *("alternatives", "crypto-policies", "fonts", "ld.so.cache", "pki/ca-trust", "pki/tls/certs"),
    "ssl/certs",
)
_ETC_COPIED = (
    *("debian_version", "gai.conf", "host.conf", "localtime", "lsb-release", "os-release"),
    *("protocols", "services", "shells", "ssl/openssl.cnf", "timezone"),
)
"""Bubblewrap takes a millisecond for each mount, so what is small is copied."""
_TOOLCHAINS = frozenset(
    {".asdf", ".bun", ".deno", ".goenv", ".jenv", ".nodenv", ".npm-global", ".nvm", ".opencode"}
    | {".pyenv", ".rbenv", ".rustup", ".sdkman", ".volta"}
)
"""Folders in a home that hold programs only; other hidden ones there may hold secrets."""
_OF_THE_SYSTEM = tuple(f"{path}/" for path in (*_SYSTEM, *_LINKED))
MACHINE = (*_SYSTEM, *_LINKED, "/etc", "/proc", "/sys", "/boot")
_PROGRAM_FOLDERS = frozenset({"bin", "sbin", "shims"})
_MOST_LINKS = 40
_LONGEST_LINE = 256


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
    """What is large of the system and needed by every program."""
    etc = [f"/etc/{name}" for name in _ETC_MOUNTED]
    return [path for path in (*_SYSTEM, *etc) if Path(path).exists()]


def system_files() -> list[str]:
    """The small files of the system that programs look for."""
    return [path for path in (f"/etc/{name}" for name in _ETC_COPIED) if Path(path).is_file()]


def system_links() -> list[tuple[str, str]]:
    """Names such as /bin with the target they have, or an empty one when they are real folders."""
    there = [path for path in map(Path, _LINKED) if path.is_symlink() or path.exists()]
    return [(str(path), str(path.readlink()) if path.is_symlink() else "") for path in there]


def given(spec: RunSpec, run_dir: Path, found: str | None) -> list[Mount]:
    """What is shown beside the system, outer paths first; `found` is the program's path.

    The run directory is hidden where it lies inside something that may be written: no run may
    change its own record. Of an installation that holds the run directory only the folder of
    programs itself is shown. The root folder is none that can be given: a sandbox has its own, and
    a run may be in that.

    Raises:
        Invalid: what it is to write to is the machine's own; what a sandbox makes for itself would
            be written there.
    """
    folder = _normal(str(run_dir.absolute()))
    search = spec.env.get("PATH", os.defpath)
    wholes = _wholes(search)
    programs = (*_toolchain(wholes, search, found), *_alone(wholes, folder))
    own = {path: Show.READ for path in programs if not Path(folder).is_relative_to(path)}
    own |= dict.fromkeys(_existing(spec.readable), Show.READ)
    own |= dict.fromkeys(map(_givable, _existing(spec.writable)), Show.WRITE)
    own |= {_givable(path): Show.WRITE for path in _existing((spec.cwd,)) if path != "/"}
    if folder not in own and any(Path(folder).is_relative_to(path) for path in own):
        own[folder] = Show.EMPTY
    return [Mount(path, own[path]) for path in sorted(own, key=lambda path: path.count("/"))]


def _givable(path: str) -> str:
    real = Path(path).resolve()
    if str(real) in {"/", "/dev"} or any(real.is_relative_to(own) for own in MACHINE):
        raise Invalid(
            f"a run cannot be given {path} to write to", hint="give it a folder of its own"
        )
    return path


def _normal(path: str) -> str:
    return os.path.normpath(path)


def _existing(paths: Iterable[str]) -> list[str]:
    return [_normal(path) for path in paths if path.startswith("/") and Path(path).exists()]


def _wholes(search: str) -> dict[str, str]:
    """The folders on PATH, each with the installation that it belongs to."""
    named = dict.fromkeys(map(_normal, filter(os.path.isabs, search.split(":"))))
    return {folder: _whole(folder) for folder in named if Path(folder).is_dir()}


def _alone(wholes: dict[str, str], run_dir: str) -> Iterator[str]:
    """The folders on PATH whose installation is not shown, because it holds the run directory."""
    for folder, whole in wholes.items():
        if Path(run_dir).is_relative_to(whole):
            yield from _shown(folder)


def _toolchain(wholes: dict[str, str], search: str, found: str | None) -> Iterator[str]:
    """The installations on PATH and those that the program's file really lies in."""
    for whole in dict.fromkeys(wholes.values()):
        for path in (whole, *stands_on(Path(whole))):
            yield from _shown(path)
    hops = list(_hops(Path(found))) if found else []
    interpreter = _interpreter(hops[-1], search) if hops else None
    for hop in (*hops, *(_hops(Path(interpreter)) if interpreter else ())):
        folder = str(hop.parent)
        whole = wholes.get(folder) or _whole(folder)
        yield from _shown(str(hop) if whole == folder else whole)
        for base in stands_on(Path(whole)):
            yield from _shown(base)


def installation(found: str) -> list[str]:
    """The folders and files that a program outside the system stands on; none for one within."""
    package = _package(str(Path(found).resolve().parent))
    return list(dict.fromkeys([*filter(None, [package]), *_toolchain({}, "", found)]))


def stands_on(whole: Path) -> list[str]:
    """The Python that a virtual environment was made with."""
    try:
        lines = (whole / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    said = dict(line.replace(" ", "").partition("=")[::2] for line in lines)
    home = said.get("home", "")
    return [_whole(_normal(home))] if home.startswith("/") and Path(home).is_dir() else []


def _hops(path: Path) -> Iterator[Path]:
    """A file and every file that it is a link to, in turn."""
    for _ in range(_MOST_LINKS):
        path = path.parent.resolve() / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _interpreter(path: Path, search: str) -> str | None:
    """What a script names in its first line as `env NAME`; another is named by its whole path."""
    try:
        with path.open("rb") as file:
            words = file.readline(_LONGEST_LINE).decode("utf-8", "replace").split()
    except OSError:
        return None
    if len(words) > 1 and words[0] == "#!/usr/bin/env":
        return shutil.which(words[1], path=search)
    return None


def _shown(path: str) -> Iterator[str]:
    """The path, unless the system shows it already or it is all there is."""
    if path != "/" and not f"{path}/".startswith(_OF_THE_SYSTEM):
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
    known = Path("/etc/passwd")
    changed = known.stat().st_mtime_ns if known.exists() else 0
    return _people(changed, str(Path("~").expanduser()))


@lru_cache(maxsize=1)
def _people(_changed: int, own: str) -> frozenset[str]:
    users = {user.pw_dir for user in pwd.getpwall()} | {own, "/root"}
    return frozenset(path for path in users if path.count("/") > 1 or path == "/root")
