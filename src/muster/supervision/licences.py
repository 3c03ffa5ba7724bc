"""Does a change bring text under a licence that the project does not have yet? By known marks.

A net with known wordings, no lawyer: what it finds is asked, and nothing it misses is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from muster.domain.plain import few, plain_line
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changes

_FILE = re.compile(
    r"(?:^|/)(?:licen[cs]e|copying|unlicense|notice)(?:-[\w.+-]*|\.(?:md|txt|rst))?$", re.IGNORECASE
)
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() -]{1,80})")
_WORDINGS = (
    "GNU Affero General Public License",
    "GNU Lesser General Public License",
    "GNU General Public License",
    "Licensed under the Apache License",
    "Mozilla Public License",
    "Eclipse Public License",
    "Common Development and Distribution License",
    "Server Side Public License",
    "Business Source License",
    "Creative Commons Attribution",
    "Permission is hereby granted, free of charge",
    "Permission to use, copy, modify, and/or distribute this software",
    "Redistribution and use in source and binary forms",
)
_MOST_MARKS, _MOST_PATHS = 20, 50
_LARGEST = 2_000_000


def licence_marks(added: Mapping[str, str]) -> dict[str, list[str]]:
    """The marks of licences in added lines, each with the files that hold it.

    A mark is as it stands in the text, so that it can be looked for elsewhere.
    """
    found: dict[str, list[str]] = {}
    for path, text in added.items():
        for mark in _marks(text[:_LARGEST]):
            if mark in found or len(found) < _MOST_MARKS:
                found.setdefault(mark, []).append(path)
    return found


def judge_licences(
    changed: Changes, added: Mapping[str, str], is_known: Callable[[str], bool]
) -> tuple[Finding, ...]:
    """At most one finding: licence files that change, and licences that are new to the project.

    `is_known` says whether the project has a mark already; it is asked only about marks that there
    are.
    """
    files = sorted({path for change in changed for path in change.paths if _FILE.search(path)})
    marks = {mark: paths for mark, paths in licence_marks(added).items() if not is_known(mark)}
    if not files and not marks:
        return ()
    said = []
    if files:
        said.append(f"it changes {few(files, longest=90)}")
    if marks:
        paths = sorted({path for found in marks.values() for path in found})
        quoted = ", ".join(f"'{plain_line(mark, 80)}'" for mark in sorted(marks)[:3])
        said.append(
            f"{quoted} stands in {few(paths, longest=90)} and nowhere in the project before"
        )
    evidence = {
        "files": [plain_line(path) for path in files[:_MOST_PATHS]],
        "marks": {
            plain_line(mark, 120): [plain_line(path) for path in sorted(paths)[:_MOST_PATHS]]
            for mark, paths in marks.items()
        },
    }
    text = f"The change is about licences: {'; '.join(said)}."
    return (Finding("licence.added", Severity.ASK, text, evidence),)


def _marks(text: str) -> list[str]:
    ids = [f"SPDX-License-Identifier: {found[1].strip()}" for found in _SPDX.finditer(text)]
    small = text.lower()
    return [*dict.fromkeys(ids), *(words for words in _WORDINGS if words.lower() in small)]
