"""A diff that is cut to its room: whole files, whole hunks, and what was left out."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from muster.knowledge.changes import cut_diff


def hunk(n: int, lines: int) -> str:
    body = "".join(f"+line {n}.{k} of the new file\n" for k in range(lines))
    return f"@@ -{n},0 +{n},{lines} @@\n{body}"


def file(name: str, *hunks: int) -> str:
    head = f"diff --git a/{name} b/{name}\nindex 1..2 100644\n--- a/{name}\n+++ b/{name}\n"
    return head + "".join(hunk(n + 1, lines) for n, lines in enumerate(hunks))


def test_what_fits_is_not_touched() -> None:
    diff = file("a.py", 3) + file("b.py", 2)
    assert cut_diff(diff, len(diff)) == diff


def test_small_files_stay_whole_and_a_large_one_loses_its_last_hunks() -> None:
    small, large = file("a.py", 3), file("big.py", 20, 20, 60, 60)
    cut = cut_diff(large + small, 3_000)
    assert small in cut
    assert hunk(2, 20) in cut
    assert "@@ -3" not in cut
    assert "[2 more hunks left out]" in cut
    assert cut.index("big.py") < cut.index("a.py")


def test_files_with_no_room_are_named_with_their_size() -> None:
    diff = "".join(file(f"src/f{n}.py", 40) for n in range(90))
    cut = cut_diff(diff, 2_000)
    assert "[left out, 90 of 90 files:\nsrc/f0.py (+40 -0)\n" in cut
    assert "more left out]" in cut
    assert len(cut) < 2_000


def test_one_hunk_that_is_too_long_ends_after_a_whole_line() -> None:
    cut = cut_diff(file("a.py", 2_000, 1), 4_000)
    assert re.search(r"\+line 1\.\d+ of the new file\n\[the rest of this hunk and 1 more", cut)
    assert len(cut) < 4_000


HUNKS = st.lists(st.integers(0, 30), max_size=4)


@settings(max_examples=40)
@given(st.lists(HUNKS, min_size=1, max_size=8), st.integers(-10, 9_000))
def test_a_cut_diff_keeps_to_its_room_and_says_what_is_missing(
    files: list[list[int]], most: int
) -> None:
    names = [f"dir/file{n}.py" for n in range(len(files))]
    diff = "".join(file(name, *hunks) for name, hunks in zip(names, files, strict=True))
    cut = cut_diff(diff, most)
    assert len(cut) <= max(most, 1_600)
    lines = set(diff.split("\n"))
    assert all(
        line in lines or "left out" in line or line.endswith((")", ")]"))
        for line in cut.split("\n")
    )
    for name in names:
        assert name in cut or "more left out]" in cut
    if cut != diff:
        assert "left out" in cut


@settings(max_examples=40)
@given(st.text(max_size=300), st.integers(0, 200))
def test_what_is_no_diff_is_cut_as_well(text: str, most: int) -> None:
    assert len(cut_diff(text, most)) <= max(len(text), 1_600)
