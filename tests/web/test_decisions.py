"""What a question offers, what it stands on, and in which order questions come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from muster.domain.verdict import OPTIONS, Answer
from muster.web.decisions import KINDS, by_weight, choices, evidence, view
from web.fleet import FakeFleet

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def ask(id, holds, minutes):
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    return {"id": id, "holds_back": holds, "created_at": at}


def test_questions_come_by_the_work_they_hold_back_times_their_age():
    asks = [ask("new", 0, 1), ask("old", 0, 50), ask("big", 3, 10), ask("small", 1, 20)]
    assert [a["id"] for a in by_weight(asks, NOW)] == ["big", "small", "old", "new"]


@given(st.sampled_from(list(OPTIONS)))
def test_every_question_has_words_and_every_answer_a_button(kind):
    assert kind in KINDS
    found = choices(kind, [str(o) for o in OPTIONS[kind]])
    assert [c.answer for c in found] == [str(o) for o in OPTIONS[kind]]
    assert all(c.label and c.does for c in found)
    assert [c.key for c in found].count("A") == 1
    assert sum(c.primary for c in found) <= 1


@given(st.sampled_from(list(OPTIONS)))
def test_an_answer_that_ends_work_is_never_first_and_never_ink(kind):
    for choice in choices(kind, [str(o) for o in OPTIONS[kind]]):
        if choice.answer in {Answer.FAIL, Answer.CANCEL, Answer.CLOSE}:
            assert choice.danger
            assert not choice.primary
            assert choice.key != "A"


def test_an_answer_that_nobody_here_knows_is_offered_under_its_own_name():
    (choice,) = choices("novel", ["ask_again"])
    assert choice.label == "Ask again"


def test_evidence_is_sorted_into_facts_lists_texts_and_sides():
    sides = [{"path": "a", "ours": "1", "theirs": "2", "base": "0"}]
    found = evidence(
        {"branch": "main", "sure": True, "tests": ["a", "b"], "log": "x\ny", "paths": sides,
         "n": 3, "deep": {"a": [1]}, "nothing": None}
    )  # fmt: skip
    assert found.facts == [("Branch", "main"), ("Sure", "yes"), ("N", "3"), ("Deep", '{"a": [1]}')]
    assert found.lists == [("Tests", ["a", "b"])]
    assert found.texts == [("Log", "x\ny")]
    assert found.paths == sides


def test_a_list_of_plain_paths_is_a_list_and_no_conflict():
    assert evidence({"paths": ["a", "b"]}).lists == [("Paths", ["a", "b"])]


def test_a_card_offers_at_most_two_answers_and_none_that_ends_work():
    fleet = FakeFleet()
    task = fleet.add_task("One")
    shown = view(fleet.ask(task["id"], "evidence", "No test command.\nMerge?"))
    assert [c.answer for c in shown["first"]] == ["merge", "retry"]
    assert shown["question"] == "No test command. Merge?"
    assert shown["first"][0].label == "Merge anyway"
