"""What a project's setup command made, kept once and laid under every workspace that fits.

A layer is named by the command and by the files that say what a project depends on, so that it is
made anew only when one of those changes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import mkdtemp

from muster.domain.errors import Conflict
from muster.domain.guard import commit_id, folder_name
from muster.workspace.base import Workspace
from muster.workspace.control import Control
from muster.workspace.copying import copy_path
from muster.workspace.difference import listing
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror
from muster.workspace.records import read_record, write_record
from muster.workspace.remove import remove_own

_RECORD = "layer.json"

MANIFESTS = frozenset(
    {
        *("package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", ".yarnrc.yml"),
        *("pnpm-lock.yaml", "pnpm-workspace.yaml", "bun.lock", "bun.lockb", "deno.json"),
        *("deno.lock", ".npmrc", ".nvmrc", ".node-version", ".tool-versions", "mise.toml"),
        *("pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock"),
        *("Pipfile", "Pipfile.lock", "environment.yml", "tox.ini", ".python-version"),
        *("Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml"),
        *("go.mod", "go.sum", "go.work", "go.work.sum", "Gemfile", "Gemfile.lock"),
        *("composer.json", "composer.lock", "mix.exs", "mix.lock", "rebar.config", "rebar.lock"),
        *("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "gradle.lockfile"),
        *("settings.gradle.kts", "libs.versions.toml", "build.sbt", "deps.edn", "project.clj"),
        *("pubspec.yaml", "pubspec.lock", "Package.swift", "Package.resolved", "Podfile.lock"),
        *("packages.lock.json", "Directory.Packages.props", "global.json", "flake.nix"),
        *("flake.lock", "conanfile.txt", "conanfile.py", "vcpkg.json", "CMakeLists.txt"),
        *("Makefile", "Dockerfile", "stack.yaml", "stack.yaml.lock", "cabal.project"),
    }
)
"""Names of files that say what a project depends on, wherever in the tree they are."""


def _is_manifest(path: str) -> bool:
    name = path.rpartition("/")[2]
    requirements = name.startswith("requirements") and name.endswith((".txt", ".in"))
    return name in MANIFESTS or requirements or name.endswith((".csproj", ".cabal"))


def layer_key(mirror: Mirror, repo_id: str, commit: str, command: str) -> str:
    """The name of the layer that `command` makes at a commit.

    Raises:
        GitFailed: the commit is not in the mirror.
    """
    listed = os.fsdecode(listing(mirror, commit))
    entries = (entry for entry in listed.split("\0") if entry)
    inputs = [entry for entry in entries if _is_manifest(entry.partition("\t")[2])]
    digest = hashlib.sha256()
    for part in (repo_id, command, *inputs):
        data = os.fsencode(part)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]


class Layers:
    """The layers kept in `folder`: `<key>/files` and `<key>/layer.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, key: str) -> bool:
        """Whether a layer is kept; one that is there is whole."""
        return (self._folder / folder_name(key) / _RECORD).exists()

    def save(self, mirror: Mirror, workspace: Workspace, key: str) -> None:
        """Keep what was created in a workspace since it was opened; what it changed is not kept.

        Raises:
            Conflict: the workspace has snapshots: it is no longer a clean one.
            NoRoom: the disk is full.
        """
        if self.has(key):
            return
        control = Control(workspace.root)
        state = control.state()
        if state is None or state.parent is not None:
            raise Conflict(
                f"workspace {workspace.id} is not one that only a setup command has used",
                hint="run the setup in a fresh workspace",
            )
        place = Place(mirror.path, workspace.tree, control.index(state))
        listed = mirror.git.run(place, "ls-files", "-z", "-o", "--directory")
        names = (name.rstrip("/") for name in os.fsdecode(listed).split("\0"))
        # A name with a line end could not be asked about later, one line per name.
        paths = sorted(name for name in names if name and name != ".git" and "\n" not in name)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(mkdtemp(prefix=".new-", dir=self._folder))
        try:
            (draft / "files").mkdir(mode=0o755)
            for path in paths:
                _copy_below(workspace.tree, draft / "files", path)
            write_record(draft / _RECORD, {"paths": paths})
            draft.rename(self._folder / key)
        except BaseException:
            remove_own(draft)
            raise

    def fitting(self, mirror: Mirror, key: str, commit: str) -> tuple[Path, tuple[str, ...]] | None:
        """The files of a layer and its paths, when it can lie under the files of a commit.

        It does not fit when the commit itself has something where the layer has, or a link or a
        file where the layer has a folder.
        """
        record = read_record(self._folder / folder_name(key) / _RECORD)
        if record is None:
            return None
        paths = [str(path) for path in record["paths"]]
        folders = sorted({folder for path in paths for folder in _folders(path)})
        asked = [f"{commit_id(commit)}:{path}\n" for path in (*folders, *paths)]
        answer = mirror.git.run(
            mirror.place,
            *("cat-file", "--batch-check=%(objecttype)"),
            stdin=os.fsencode("".join(asked)) or b"\n",
        )
        kinds = answer.decode("utf-8", "replace").splitlines()[: len(asked)]
        above, own = kinds[: len(folders)], kinds[len(folders) :]
        fits = all(kind == "tree" or kind.endswith(" missing") for kind in above)
        if not fits or any(not kind.endswith(" missing") for kind in own):
            return None
        return self._folder / key / "files", tuple(paths)


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def _copy_below(tree: Path, to: Path, path: str) -> None:
    """Copy one created path; what lies behind a link is not in the tree."""
    if not any((tree / folder).is_symlink() for folder in _folders(path)):
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        copy_path(tree / path, to / path)
