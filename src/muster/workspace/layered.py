"""Workspaces as a thin layer over a shared checkout: what both kinds of overlays have in common.

Below lies the immutable base of (repository, commit), above it the layer of one agent, shown
together by the kernel. Making one costs a mount and a copy of git's index; all that an agent writes
lands in `root/upper`, which therefore also says what it touched.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

from muster.domain.errors import Refused, Unavailable
from muster.workspace.base import Source
from muster.workspace.checkout import INDEX, Bases
from muster.workspace.git import Git
from muster.workspace.mount import is_mounted, mount_overlay, unmount
from muster.workspace.records import read_record, write_record
from muster.workspace.remove import remove_own
from muster.workspace.standing import HUGE_INDEX, LARGE_INDEX, LAYERS, Starts, in_use

_OWN = ("tree", "work", "upper", "control")
_MOST_PATHS = 1024
_MOST_FOLDERS = 4096
"""A layer with more than these is not listed: it is most of the tree."""


class LayeredBackend:
    """Overlay mounts, made and taken away by the control plane.

    `notes` says whose attributes the kernel's own notes are in (`mount`).
    """

    name = ""
    notes = "trusted"

    def __init__(
        self,
        git: Git | None = None,
        large_index: int = LARGE_INDEX,
        huge_index: int = HUGE_INDEX,
    ) -> None:
        """From how many bytes of their index on repositories are large, or huge (`Starts`)."""
        self._git = git or Git()
        self._bases = Bases(self._git)
        self._starts = Starts(self._git, self._bases, large_index, huge_index)

    def available(self, where: Path) -> str:
        """Try it: whether a mount works depends on user, kernel, container and file system."""
        try:
            with TemporaryDirectory(prefix=".overlay-", dir=where) as folder:
                at = _make_folders(Path(folder), "lower")
                self._mount(Path(folder), [Path(folder) / "lower"])
                unmount(at)
        except (OSError, Unavailable) as error:
            return str(error)
        return ""

    def ready(self, source: Source, commit: str) -> None:
        """Make the commit's base, if a workspace would stand on one of its own."""
        self._starts.make_ready(source, commit)

    def open(
        self,
        source: Source,
        root: Path,
        commit: str,
        near: str | None = None,
        layer: Path | None = None,
    ) -> Path:
        """Mount a base with an empty layer; from a near base the files move on in that layer."""
        return self._starts.begin(
            source, commit, near, lambda start: self._open(source, root, start, commit, layer)
        )

    def _open(
        self, source: Source, root: Path, start: str, commit: str, layer: Path | None
    ) -> Path:
        self.close(root)
        lower = [layer] if layer else []
        with self._bases.hold(source, start) as base:
            lowers = [*map(str, lower), str(base / "tree")]
            write_record(root / LAYERS, {"lower": lowers, "moved": []}, sync=False)
        self._bases.prune(source, lambda: in_use(root.parent))
        tree = _make_folders(root, "control")
        self._mount(root, [*lower, base / "tree"])
        # Neither git nor muster writes into an index, each renames a new one over it.
        (root / "control" / INDEX).hardlink_to(base / INDEX)
        if start != commit:
            self._move(source, root, start, commit)
        return tree

    def reopen(self, root: Path) -> None:
        """Mount again what is not mounted, as after a boot."""
        record = read_record(root / LAYERS)
        if record is None:
            raise Refused(f"{root} is not a workspace of the {self.name} backend")
        if not is_mounted(root / "tree"):
            self._mount(root, [Path(path) for path in record["lower"]])

    def close(self, root: Path) -> None:
        """Unmount, and remove the layer."""
        while is_mounted(root / "tree"):
            unmount(root / "tree")
        for name in _OWN:
            remove_own(root / name)
        (root / LAYERS).unlink(missing_ok=True)

    def grows(self, root: Path) -> Path:
        """The layer."""
        return root / "upper"

    def touched(self, root: Path) -> list[str] | None:
        """What lies in the layer, as the kernel copies a file up when it is first written.

        What the layer had from the start, from moving on from a near base, may have vanished from
        it without a trace, so it always counts.
        """
        record = read_record(root / LAYERS) or {}
        moved, found = record.get("moved"), self._in_layer(root, record.get("lower", []))
        if moved is None or found is None:
            return None
        return sorted({*moved, *found})

    def _in_layer(self, root: Path, lower: list[str]) -> list[str] | None:
        found: list[str] = []
        folders = [""]
        seen = 0
        while folders:
            seen += 1
            if seen > _MOST_FOLDERS:
                return None
            folder = folders.pop()
            with os.scandir(root / "upper" / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    merges = entry.is_dir(follow_symlinks=False) and self._merges(
                        entry.path, path, lower
                    )
                    (folders if merges else found).append(f"{path}/" if merges else path)
        found = [path for path in found if path != ".git"]
        return None if len(found) > _MOST_PATHS else found

    def _move(self, source: Source, root: Path, start: str, commit: str) -> None:
        self._starts.move_on(source, root, start, commit)
        record = read_record(root / LAYERS) or {}
        found = self._in_layer(root, record.get("lower", []))
        write_record(root / LAYERS, {**record, "moved": found}, sync=False)

    def _mount(self, root: Path, lower: list[Path]) -> None:
        mount_overlay(lower, root / "upper", root / "work", root / "tree", self.notes)

    def _merges(self, folder: str, path: str, lower: list[str]) -> bool:
        """Whether a folder of the layer is shown with the one below it at the same path."""
        if self.notes == "user" and not any(_is_folder(f"{below}/{path}") for below in lower):
            # Without redirects the kernel leaves a new folder unmarked.
            return False
        try:
            names = os.listxattr(folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if f"{self.notes}.overlay.redirect" in names:
            return False
        return f"{self.notes}.overlay.opaque" not in names


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _make_folders(root: Path, *more: str) -> Path:
    for name in ("tree", "work", "upper", *more):
        (root / name).mkdir(mode=0o700 if name in {"work", "control"} else 0o755)
    return root / "tree"
