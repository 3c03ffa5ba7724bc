"""Nothing in the tree names one machine: no paths of its folders, no hosts of its registries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.tree import texts

# Written in pieces, so that this file does not find itself.
FOLDERS = ("wo" + "rk/main", "wo" + "rk/shared", "fa" + "rm", "opt/" + "mv", "root/" + r"\.pyenv")
HOSTS = (
    "py" + r"pi\.org",
    "pythonhosted" + r"\.org",
    "registry" + r"\.npmjs\.org",
    "registry" + r"\.yarnpkg\.com",
    "deb" + r"\.debian\.org",
)
FORBIDDEN = re.compile(
    r"(?<![\w.-])/(?:" + "|".join(FOLDERS) + r")\b|(?:" + "|".join(HOSTS) + r")\b"
)


def problems(root: Path) -> Iterator[str]:
    """One line for each place that names a machine's folder or a registry's host."""
    for path, text in texts(root):
        for number, line in enumerate(text.splitlines(), 1):
            if found := FORBIDDEN.search(line):
                yield f"{path.relative_to(root)}:{number}: names {found.group()}"
