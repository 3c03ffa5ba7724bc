"""A playbook's file is a table that leads to an end, or every fault of it with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.playbook import BUILT_IN, SAYS, faults_of
from muster.supervision.playbook_file import read_playbook

GOOD = """\
on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 5}
reviewers: 2
"""


def faults(text: str, name: str = "mine") -> list[tuple[int, str]]:
    book, found = read_playbook(text.encode(), name)
    assert (book is None) == bool(found)
    return [(fault.line, fault.what) for fault in found]


def test_one_without_a_fault_is_a_table() -> None:
    book, found = read_playbook(GOOD.encode(), "mine")
    assert found == ()
    assert book is not None
    assert (book.follows("pr.created"), book.limit("pr.changes.requested")) == ("reviewer", 5)
    assert (book.reviewers, book.offers, book.routed) == (2, True, True)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("pr.created: reviewer", "pr.created: reviewr", 3, "'reviewr' is no role"),
        ("pr.updated:", "pr.updatd:", 4, "'pr.updatd' is no event"),
        ("  pr.merged: complete\n", "", 6, "the merge may say pr.merged, and nothing follows"),
        ("limits: {pr.changes.requested: 5}\n", "", 3, "lead to each other for ever"),
        ("pr.changes.requested: 5", "pr.gone: 5", 8, "'pr.gone' is not in 'on'"),
        ("reviewers: 2", "reviewers: 9", 9, "reviewers"),
        ("reviewers: 2", "name: other", 9, "it calls itself 'other'"),
        ("on:\n", "at:\n", 1, "has no 'on'"),
        ("coding\n  pr.created", "[coding\n  pr.created", 3, "this is not YAML"),
    ],
)
def test_a_fault_is_told_with_its_line(old: str, new: str, line: int, what: str) -> None:
    assert old in GOOD
    found = faults(GOOD.replace(old, new, 1))
    assert any(at == line and what in said for at, said in found), found


def test_none_may_be_called_like_one_that_comes_along() -> None:
    assert "cannot be the name" in faults(GOOD, "crew")[0][1]


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_those_that_come_along_have_no_fault(name: str) -> None:
    assert list(faults_of(BUILT_IN[name])) == []


@given(st.text(alphabet="on: {}[]-\n\tabc.#&*!|>'\"", max_size=200))
def test_whatever_a_file_holds_it_is_a_table_or_told(text: str) -> None:
    faults(f"on:\n{text}")


EVENTS = (
    *("task.assigned", "pr.created", "pr.updated", "pr.approved"),
    *("pr.changes.requested", "pr.merged", "deploy.completed"),
)


@given(st.dictionaries(st.sampled_from(EVENTS), st.sampled_from([str(step) for step in SAYS])))
def test_a_table_without_a_fault_has_no_free_circle(on: dict[str, str]) -> None:
    text = "on:\n" + "".join(f"  {event}: {step}\n" for event, step in on.items())
    book, _ = read_playbook(text.encode(), "mine")
    if book is None or not book.routed:
        return
    event, seen = "task.assigned", set()
    while event not in seen:
        seen.add(event)
        said = [e for e in SAYS[book.on[event]] if e in book.on]
        if not said:
            return
        event = said[-1]
    raise AssertionError(f"{on} goes round for ever")
