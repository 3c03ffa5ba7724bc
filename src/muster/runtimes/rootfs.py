"""A root file system put together from the programs of this machine, for where no registry is.

It holds the named programs with the libraries they are linked with, Python with its standard
library, git with its helpers, and what they need of /etc; nothing of a person's.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from muster.domain.errors import NotFound, Unavailable
from muster.runtimes.visible import installation, stands_on

PROGRAMS = (
    *("sh", "bash", "env", "cat", "ls", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "chmod", "touch"),
    *("head", "tail", "wc", "sort", "uniq", "cut", "tr", "tee", "seq", "sleep", "date", "id"),
    *("true", "false", "echo", "printf", "test", "expr", "pwd", "basename", "dirname", "realpath"),
    *("readlink", "stat", "du", "df", "dd", "mktemp", "uname", "whoami", "timeout", "nproc", "tty"),
    *("grep", "sed", "awk", "find", "xargs", "diff", "patch", "tar", "gzip", "make", "ps", "kill"),
    *("setsid", "git", "less", "which", "sha256sum", "comm", "join", "paste", "split", "yes"),
)
"""What is taken of them as far as this machine has it; `NEEDED` it must have."""
NEEDED = ("sh", "cat", "true", "git")

_FOLDERS = ("tmp", "var/tmp", "run", "proc", "sys", "dev", "root", "home", "etc")
_STICKY = ("tmp", "var/tmp")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_ETC = ("ssl/certs/ca-certificates.crt", "ssl/openssl.cnf")
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nmuster:x:1000:1000::/home:/bin/sh\n",
    "etc/group": b"root:x:0:\nmuster:x:1000:\n",
    "etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
}
_LEFT_OUT = frozenset({"site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib"})
_LINKED = re.compile(r"(?:=>\s+)?(/\S+)\s+\(0x")
_PATIENCE = 60.0
_LONGEST_LINE = 256
_AT_ONCE = 100


class Rootfs:
    """A root file system being written as a tar archive; each path is taken once."""

    def __init__(self, target: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=target, mode="w", dereference=True)  # noqa: SIM115 - closed by `close`
        self._there: set[str] = set()
        for name in _FOLDERS:
            self._folder(name, 0o1777 if name in _STICKY else 0o755)
        for name, to in _LINKS.items():
            self._link(name, to)
        for name, data in _FILES.items():
            self._plain(name, data)
        for name in _ETC:
            if Path("/etc", name).exists():
                self._copy(Path("/etc", name), f"etc/{name}")

    def close(self) -> None:
        """Write the archive's end."""
        self._tar.close()

    def program(self, path: Path, name: str = "") -> None:
        """Take a program, or a script, with all that it is linked with, as /usr/bin/`name`."""
        self._copy(path.resolve(), f"usr/bin/{name or path.name}")
        self._libraries(path)

    def installed(self, path: Path, name: str) -> None:
        """Take a program with the installation that it is a part of, and who interprets it.

        What is not of the system keeps its place, because programs look for their own there.
        """
        parts = installation(str(path))
        below = {base for part in parts for base in stands_on(Path(part))}
        for part in parts:
            if Path(part).is_dir():
                self.tree(Path(part), part.lstrip("/"), whole=part not in below)
        if not parts:
            self.program(path, name)
            return
        self.link(f"usr/bin/{name}", str(path.resolve()))
        if path.is_symlink():
            self.link(str(path).lstrip("/"), str(path.resolve()))
        interpreter = _interpreter(path)
        if interpreter is not None and interpreter.name not in PROGRAMS:
            self.installed(interpreter, interpreter.name)

    def tree(self, folder: Path, at: str, *, whole: bool = False) -> None:
        """Take a folder with all that its programs are linked with; `whole` with its packages."""
        found = list(_files(folder, frozenset({"__pycache__"}) if whole else _LEFT_OUT))
        for path in found:
            inside = f"{at}/{path.relative_to(folder)}"
            if path.is_symlink():
                self._link(inside, str(path.readlink()))
            else:
                self._copy(path, inside)
        linked = [p for p in found if p.name.partition(".so")[1] or os.access(p, os.X_OK)]
        self._libraries(*linked)

    def link(self, name: str, to: str) -> None:
        """A symbolic link."""
        self._link(name, to)

    def _libraries(self, *paths: Path) -> None:
        for library in _linked([path for path in paths if path.is_symlink() or _is_elf(path)]):
            # What a program finds by a way of its own is put where every loader looks.
            usual = str(library).startswith(("/lib", "/usr/lib"))
            self._copy(library.resolve(), str(library)[1:] if usual else f"usr/lib/{library.name}")

    def _copy(self, path: Path, name: str) -> None:
        name = self._through_links(name)
        if self._new(name):
            entry = self._tar.gettarinfo(str(path), name)
            if not entry.isreg():
                return
            with path.open("rb") as file:
                self._tar.addfile(_nobodys(entry), file)

    def _through_links(self, name: str) -> str:
        """Where a name leads to: /lib and /bin are links to their places below /usr."""
        first, _, rest = name.partition("/")
        return f"{_LINKS[first]}/{rest}" if rest and first in _LINKS else name

    def _plain(self, name: str, data: bytes) -> None:
        if self._new(name):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            self._tar.addfile(_nobodys(entry), io.BytesIO(data))

    def _link(self, name: str, to: str) -> None:
        name = self._through_links(name)
        if self._new(name):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            self._tar.addfile(_nobodys(entry))

    def _folder(self, name: str, mode: int = 0o755) -> None:
        if self._new(name):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self._tar.addfile(_nobodys(entry))

    def _new(self, name: str) -> bool:
        """Whether a name is not there yet; from now on it is, with the folders above it."""
        if name in self._there:
            return False
        self._there.add(name)
        if above := name.rpartition("/")[0]:
            self._folder(above)
        return True


def assemble(
    target: BinaryIO, trees: Mapping[str, Path] | None = None, programs: Iterable[str] = ()
) -> None:
    """Write the usual root file system to `target`, as tar.

    `trees` are folders of this machine (an agent's packages) by where they are to be; `programs`
    are taken beside the usual ones.

    Raises:
        NotFound: a program that was asked for is not on this machine.
        Unavailable: what programs are linked with cannot be found out here.
    """
    root = Rootfs(target)
    asked = set(programs) | set(NEEDED)
    for name in dict.fromkeys((*PROGRAMS, *sorted(asked))):
        path = shutil.which(name)
        if path is not None:
            take = root.installed if name in asked - {*NEEDED, *PROGRAMS} else root.program
            take(Path(path), name)
        elif name in asked:
            raise NotFound(
                f"this machine has no program '{name}' to put into an image",
                hint="install it here, or build the image from a Dockerfile",
            )
    _python(root)
    _git(root)
    for at, folder in (trees or {}).items():
        root.tree(folder, at.strip("/"))
    root.close()


def _python(root: Rootfs) -> None:
    """This Python as /usr/bin/python3, without the packages that were installed into it."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    root.program(Path(sys.executable), version)
    root.link("usr/bin/python3", version)
    root.tree(Path(sysconfig.get_path("stdlib")), f"usr/lib/{version}")


def _git(root: Rootfs) -> None:
    git = shutil.which("git")
    said = _output(str(git), "--exec-path").strip()
    if said and Path(said).is_dir():
        root.tree(Path(said), said.lstrip("/"))
    templates = Path("/usr/share/git-core/templates")
    if templates.is_dir():
        root.tree(templates, str(templates).lstrip("/"))


def _files(folder: Path, left_out: frozenset[str]) -> Iterator[Path]:
    for where, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name not in left_out)
        for name in sorted(files):
            yield Path(where, name)
        for name in names:
            if Path(where, name).is_symlink():
                yield Path(where, name)


def _interpreter(path: Path) -> Path | None:
    """The program that a script's first line names, if it is here."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE).decode("utf-8", "replace")
    words = line.removeprefix("#!").split()
    if not line.startswith("#!") or not words:
        return None
    named = words[-1] if Path(words[0]).name == "env" else words[0]
    found = shutil.which(named)
    return Path(found) if found else None


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _linked(paths: Sequence[Path]) -> list[Path]:
    """The loader and the libraries of programs of this machine; none for static ones."""
    found: dict[str, None] = {}
    for start in range(0, len(paths), _AT_ONCE):
        said = _output("ldd", *map(str, paths[start : start + _AT_ONCE]))
        found |= dict.fromkeys(_LINKED.findall(said))
    return list(map(Path, found))


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"{argv[0]} cannot be asked: {error}", hint=f"install {argv[0]}"
        ) from error
    return done.stdout


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same entry for everybody: the same input is the same image."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    entry.mode &= 0o1777  # no set-user-id program
    return entry
