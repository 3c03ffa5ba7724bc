"""A unified patch as rows: numbers on the right side, and the words that differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muster.web.patch import OPEN_LINES, files, rows
from web.sample import DIFF, PATCH


def shown(line):
    return (line.kind, line.number, line.text)


def test_rows_carry_the_number_of_the_side_they_stand_on():
    found = [shown(line) for line in rows(PATCH)]
    assert found[0] == ("h", None, "async def deliver(request, policy):")
    assert ("r", 40, "    for attempt in range(3):") in found
    assert ("a", 40, "    for attempt in range(policy.max_attempts):") in found
    assert ("", 43, "        response = await send(request, key=key)") in found


def test_only_the_words_that_differ_are_marked():
    marked = {line.text.strip(): line.marked for line in rows(PATCH) if line.marked}
    assert marked["for attempt in range(3):"] == "3"
    assert marked["for attempt in range(policy.max_attempts):"] == "policy.max_attempts"
    assert marked["if response.ok or response.status == 409:"] == " or response.status == 409"


def test_two_lines_that_share_little_are_two_different_lines():
    found = rows("@@ -1 +1 @@\n-completely other\n+nothing in common\n")
    assert not any(line.marked for line in found)


def test_a_line_that_begins_like_a_heading_inside_a_hunk_is_still_a_line():
    found = rows("@@ -1,2 +1,2 @@\n--- a\n+++ b\n")
    assert [shown(line) for line in found[1:]] == [("r", 1, "-- a"), ("a", 1, "++ b")]


HIDDEN = "@@ -0,0 +1,4 @@\n+# a note \x1b] here\n+evil()\n+# one\rmore\n+# \u202eback\n"


def test_no_line_and_no_word_of_a_change_is_hidden_by_an_escape_in_it():
    assert [shown(line) for line in rows(HIDDEN)[1:]] == [
        ("a", 1, "# a note ␛] here"),
        ("a", 2, "evil()"),
        ("a", 3, "# one␍more"),
        ("a", 4, "# \ufffdback"),
    ]


def file(**changes):
    return {
        "path": "a.py",
        "old_path": None,
        "status": "modified",
        "added": 1,
        "removed": 0,
        "binary": False,
        "truncated": False,
        "patch": "@@ -0,0 +1 @@\n+x\n",
        **changes,
    }


def test_long_files_and_files_that_a_program_wrote_wait_until_they_are_asked_for():
    diff = {
        "files": [
            file(path="big.py", added=OPEN_LINES + 1),
            file(path="uv.lock"),
            file(path="dist/app.min.js"),
            file(path="blob", binary=True, patch=""),
            file(),
        ]
    }
    found = {f.path: (bool(f.lines), f.closed) for f in files(diff)}
    assert found["big.py"] == (False, "501 changed lines")
    assert found["uv.lock"] == (False, "written by a program")
    assert found["dist/app.min.js"] == (False, "written by a program")
    assert found["blob"] == (False, "")
    assert found["a.py"] == (True, "")
    asked = {f.path: bool(f.lines) for f in files(diff, "big.py")}
    assert asked["big.py"]


def test_a_change_of_very_many_files_opens_only_the_first_of_them():
    diff = {"files": [file(path=f"f{n}.py", added=400) for n in range(40)]}
    for one in diff["files"]:
        one["patch"] = "@@ -0,0 +1,400 @@\n" + "+x\n" * 400
    opened = [f for f in files(diff) if f.lines]
    assert 0 < len(opened) < 12


def test_the_sample_has_all_its_files():
    assert [f.path for f in files(DIFF)] == [
        "src/payments/retry.py",
        "tests/payments/test_retry.py",
        "uv.lock",
    ]


@given(st.text(alphabet="+- @a1\n,\\", max_size=80))
def test_no_patch_is_too_broken_to_be_shown(text):
    for line in rows(text):
        assert line.text == line.before + line.marked + line.after
