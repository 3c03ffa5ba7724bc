"""Text under a licence that the project does not have yet is asked about."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changed
from muster.supervision.licences import judge_licences

GPL = "# This file is free software under the GNU General Public License, version 3.\n"


def judged(
    added: Mapping[str, str], known: Collection[str] = (), *, old: str | None = None
) -> tuple[Finding, ...]:
    changes = tuple(Changed(path, "added", 1, 0, old) for path in added)
    return judge_licences(changes, added, lambda mark: mark in known)


def test_a_change_without_a_mark_is_not_spoken_of_and_nothing_is_looked_up():
    changes = (
        Changed("license_check.py", "added", 1, 0),
        Changed("wiring/notice.py", "added", 1, 0),
    )

    def never(mark: str) -> bool:
        raise AssertionError(mark)

    assert judge_licences(changes, {"license_check.py": "licence = 1\n"}, never) == ()


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        (GPL, "GNU General Public License"),
        ("// SPDX-License-Identifier: AGPL-3.0-only\n", "SPDX-License-Identifier: AGPL-3.0-only"),
        ("/* licensed under the APACHE LICENSE, 2.0 */", "Licensed under the Apache License"),
    ],
)
def test_a_licence_that_is_new_to_the_project_is_asked_about(text: str, mark: str):
    (finding,) = judged({"vendor/x.c": text})
    assert (finding.code, finding.severity) == ("licence.added", Severity.ASK)
    assert finding.evidence["marks"] == {mark: ["vendor/x.c"]}
    assert "vendor/x.c" in finding.text


def test_a_licence_that_the_project_has_already_is_none():
    assert judged({"a.py": GPL}, known={"GNU General Public License"}) == ()


@pytest.mark.parametrize(
    "path", ["LICENSE", "pkg/COPYING", "licence.md", "LICENSE-MIT", "lib/NOTICE.txt"]
)
def test_a_licence_file_that_changes_is_asked_about_whatever_it_says(path: str):
    (finding,) = judged({path: "nothing known\n"}, known={"anything"})
    assert finding.evidence["files"] == [path]


def test_moving_a_licence_file_away_is_asked_about():
    (finding,) = judged({"old.txt": ""}, old="LICENSE")
    assert finding.evidence["files"] == ["LICENSE"]


def test_a_text_with_a_thousand_marks_is_told_in_a_few_words():
    text = "".join(f"# SPDX-License-Identifier: X-{n}\n" for n in range(1000))
    (finding,) = judged({"a.py": text})
    assert len(finding.evidence["marks"]) == 20
    assert len(finding.text) < 500
