"""Source distributions and environments: fetched by the package installer, kept in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from benchmarks.figures import Broken
from benchmarks.proof.recipes import Recipe, Release
from benchmarks.proof.trees import part
from muster.domain.globs import matches

LARGEST = 2_000_000


def cache_folder() -> Path:
    """Where everything is kept that can be made anew, outside the tree."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "muster-proof"


def environment(cache: Path, name: str, needs: tuple[str, ...]) -> Path:
    """The folder of a virtual environment with these packages, made when it is missing."""
    folder = cache / "environments" / name
    ready = folder / "ready"
    if not ready.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _call([sys.executable, "-m", "venv", "--clear", str(folder)])
        _call([str(folder / "bin" / "pip"), "install", "-q", *needs])
        ready.touch()
    return folder


def source(cache: Path, builder: Path, recipe: Recipe, release: Release) -> dict[str, bytes]:
    """The files of a release that matter; fetched by its hash when it is not in the cache."""
    folder = cache / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{recipe.name}-{release.version}.tar.gz"
    if not archive.exists():
        _fetch(builder, recipe.name, release, archive)
    files = _unpack(archive)
    kept = part(files, recipe.keep)
    if recipe.metadata:
        kept[f"{recipe.root}/{recipe.name}.egg-info/PKG-INFO"] = files["PKG-INFO"]
    return kept


def _fetch(builder: Path, name: str, release: Release, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as spare:
        wanted = Path(spare) / "wanted.txt"
        wanted.write_text(f"{name}=={release.version} --hash=sha256:{release.sha256}\n", "utf-8")
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        pip = [str(builder / "bin" / "python"), "-m", "pip", "download", "-q"]
        _call([*pip, *options, "-d", spare, "-r", str(wanted)])
        found = [path for path in Path(spare).iterdir() if path.name.endswith(".tar.gz")]
        if len(found) != 1:
            raise Broken(f"no source distribution of {name} {release.version} came")
        found[0].replace(archive)


def _unpack(archive: Path) -> dict[str, bytes]:
    """The files below the archive's one folder; nothing is written anywhere."""
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if member.isfile() and path and ".." not in path and member.size <= LARGEST:
                data = tar.extractfile(member)
                if data is not None and not matches((".git/", "*.egg-info/"), path):
                    files[path] = data.read()
    return files


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-800:]
        raise Broken(f"{' '.join(argv[:6])} … ended with status {done.returncode}: {said}")
