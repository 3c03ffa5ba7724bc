"""Keep the files that the pages borrow from others: pinned, hashed, with their licences.

`python -m scripts.vendor --check` compares every file with `vendor.lock` and needs no network;
`--fetch` gets the pinned packages with npm and writes files and lock anew; `--axe` puts the
accessibility checker that a page test uses into `build/`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src/muster/web/static/vendor"
LOCK = FOLDER / "vendor.lock"
AXE = ("axe-core", "4.14.1", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c")

FONTS = {
    "@fontsource-variable/inter": ("5.3.0", "inter-latin-wght-normal.woff2", "inter-OFL.txt"),
    "@fontsource-variable/jetbrains-mono": (
        "5.3.0",
        "jetbrains-mono-latin-wght-normal.woff2",
        "jetbrains-mono-OFL.txt",
    ),
}
ICONS = ("lucide-static", "1.62.0", "icons.svg", "lucide-ISC.txt")
_ICONS_NAMED = """
arrow-down arrow-down-to-line arrow-left arrow-up arrow-up-to-line check chevron-right
chevrons-up-down coins corner-down-right download ellipsis file-diff folder-git-2
git-branch git-merge inbox keyboard layers layout-dashboard octagon-x pause play
plus rotate-ccw search server sun-moon timer wifi-off x
"""
ICON_NAMES = _ICONS_NAMED.split()


def package(name: str, version: str, folder: Path) -> tarfile.TarFile:
    """Download one published package with npm and open it."""
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return tarfile.open(folder / done.stdout.strip().splitlines()[-1])


def member(archive: tarfile.TarFile, path: str) -> bytes:
    """The bytes of one file of a package."""
    found = archive.extractfile(f"package/{path}")
    if found is None:
        sys.exit(f"vendor: the package has no {path}")
    return found.read()


def symbol(name: str, svg: str) -> str:
    """One icon as a symbol of the sprite."""
    inside = re.sub(r"\s+", " ", re.split(r"<svg[^>]*>", svg, maxsplit=1)[1].split("</svg>")[0])
    return f'<symbol id="{name}" viewBox="0 0 24 24">{inside.strip()}</symbol>'


def sprite(archive: tarfile.TarFile) -> bytes:
    """All icons that the pages use, in one file."""
    symbols = [symbol(n, member(archive, f"icons/{n}.svg").decode()) for n in ICON_NAMES]
    opening = '<svg xmlns="http://www.w3.org/2000/svg">\n'
    return (opening + "\n".join(symbols) + "\n</svg>\n").encode()


def entry(name: str, version: str, licence: str, source: str, data: bytes) -> dict[str, str]:
    """What the lock says about one file."""
    digest = hashlib.sha256(data).hexdigest()
    return {
        "package": name,
        "version": version,
        "licence": licence,
        "from": source,
        "sha256": digest,
    }


def fetch() -> None:
    """Write the borrowed files and their lock."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files: dict[str, tuple[bytes, dict[str, str]]] = {}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        for name, (version, font, licence) in FONTS.items():
            with package(name, version, folder) as archive:
                for target, source in ((font, f"files/{font}"), (licence, "LICENSE")):
                    data = member(archive, source)
                    files[target] = (data, entry(name, version, "OFL-1.1", source, data))
        name, version, target, licence = ICONS
        with package(name, version, folder) as archive:
            for file, data in ((target, sprite(archive)), (licence, member(archive, "LICENSE"))):
                source = "icons/*.svg" if file == target else "LICENSE"
                files[file] = (data, entry(name, version, "ISC", source, data))
    for file, (data, _) in files.items():
        (FOLDER / file).write_bytes(data)
    lock = {file: told for file, (_, told) in sorted(files.items())}
    LOCK.write_text(json.dumps(lock, indent=2) + "\n")


def problems() -> list[str]:
    """What differs from the lock, one line each."""
    lock = json.loads(LOCK.read_text())
    here = {path.name for path in FOLDER.iterdir()} - {LOCK.name}
    found = [f"{name}: is not in {LOCK.name}" for name in sorted(here - set(lock))]
    for name, told in lock.items():
        path = FOLDER / name
        if not path.exists():
            found.append(f"{name}: is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != told["sha256"]:
            found.append(f"{name}: differs from its hash")
    return found


def axe() -> None:
    """Put the pinned accessibility checker where the page test looks for it."""
    name, version, digest = AXE
    with tempfile.TemporaryDirectory() as folder, package(name, version, Path(folder)) as archive:
        data = member(archive, "axe.min.js")
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit("vendor: axe.min.js differs from its hash")
    target = ROOT / "build/axe.min.js"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)
    print(target)


def main() -> int:
    """Check, fetch, or get the checker."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", action="store_true")
    which.add_argument("--fetch", action="store_true")
    which.add_argument("--axe", action="store_true")
    given = parser.parse_args()
    if given.fetch:
        fetch()
    if given.axe:
        axe()
        return 0
    found = problems()
    print(
        "\n".join(found) or f"{len(json.loads(LOCK.read_text()))} borrowed files match their lock"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
