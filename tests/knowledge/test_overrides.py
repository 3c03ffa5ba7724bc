"""A person's own templates in the place of muster's: what they may do, and how a fault is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knowledge.test_brief import PROJECT, TASK
from knowledge.test_roles import FACTS, told
from muster.domain.agent import Role
from muster.domain.errors import Invalid
from muster.domain.task import ACCEPTANCE, MANAGER, SOLO
from muster.knowledge.brief import brief
from muster.knowledge.filling import Own, overridable
from muster.knowledge.overrides import LARGEST, templates_of, templates_with
from muster.knowledge.prompts import BUILT_IN, FOLDER

NAME = "reviewer.rules.j2"
MANY, LONG = tuple(range(500)), "x" * 50_000


def filled(text: str, name: str = NAME, **facts: Any) -> str:
    """What a template of a person's own becomes."""
    words = templates_with({name: Own(text, f"/home/prompts/{name}")})
    given = {"task": TASK, "settings": PROJECT.settings, "facts": FACTS}
    return words.render(name.removesuffix(".j2"), **{**given, "many": MANY, "long": LONG, **facts})


def fault(text: str, name: str = NAME) -> str:
    """Why a template is not taken."""
    with pytest.raises(Invalid) as no:
        filled(text, name)
    assert no.value.hint
    return no.value.detail


def test_a_file_of_the_home_takes_the_place_of_the_one_it_is_called_as(tmp_path) -> None:
    assert templates_of(tmp_path) is BUILT_IN
    folder = tmp_path / "prompts"
    folder.mkdir()
    assert templates_of(tmp_path) is BUILT_IN
    (folder / NAME).write_text("Read {{ task.label }} as a sailor would.\n")
    (folder / "notes.txt").write_text("{{ not a template")
    text = told(Role.REVIEWER, words=templates_of(tmp_path)).text
    assert "Read MU-3 as a sailor would." in text
    assert "Does it break what others rely on?" not in text
    assert "You are a reviewer" in text
    (folder / NAME).write_text("Read it twice.")
    assert "Read it twice." in told(Role.REVIEWER, words=templates_of(tmp_path)).text


def test_a_file_may_add_to_the_built_in_one() -> None:
    text = filled("{% include 'built-in/reviewer.rules.j2' %}\n- Mind the sea.\n")
    assert "Does it break what others rely on?" in text
    assert text.endswith("- Mind the sea.")


def test_what_a_built_in_template_includes_may_be_replaced_too() -> None:
    words = templates_with({"type.feature.j2": Own("Test it at sea.", "/h/type.feature.j2")})
    assert "- Test it at sea." in brief(TASK, PROJECT, words=words).text


def test_every_template_but_those_for_models_can_be_replaced_by_itself() -> None:
    names = overridable()
    assert {path.name for path in FOLDER.glob("*.j2")} - set(names) == {
        path.name for path in FOLDER.glob("model.*.j2")
    }
    words = templates_with({n: Own((FOLDER / n).read_text("utf-8"), n) for n in names})
    for role in (Role.STARTER, Role.REVIEWER, Role.DEPLOYER, Role.VERIFIER, Role.AUDITOR):
        assert told(role, words=words) == told(role)
    feedback = {"reviews": [{"summary": "No."}], "findings": [{"text": "x"}], "failing": ["t"]}
    for kind in (SOLO, MANAGER, ACCEPTANCE):
        task = replace(TASK, playbook=kind, budget_usd=3)
        assert brief(task, PROJECT, feedback, words=words) == brief(task, PROJECT, feedback)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\n{% if %}", "line 2: Expected an expression"),
        ("a\n\n{{ missing }}", "line 3: 'missing' is undefined"),
        ("a\n{{ task.sails }}", "line 2: 'muster.domain.task.Task object' has no attribute"),
        ("{{ task.__class__ }}", "line 1: access to attribute '__class__'"),
        ("{{ 'a' * 10**10 }}", "line 1: a template may not use 'mul'"),
        ("{{ range(10) }}", "line 1: a template may not use 'call'"),
        ("{% set x = long ~ long %}", "line 1: a template may not use 'assign'"),
        ("{{ long ~ long }}", "line 1: a template may not use 'concat'"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", "line 1: a template may not use 'macro'"),
        ("{% import 'coding.head.j2' as x %}", "line 1: a template may not use 'import'"),
        ("{% extends 'coding.head.j2' %}", "line 1: a template may not use 'extends'"),
        ("{{ long | center(10000000000) }}", "line 1: there is no filter 'center'"),
        ("{{ '%9999999999d' | format(1) }}", "line 1: there is no filter 'format'"),
        ("{{ _steps }}", "line 1: there is no fact '_steps'"),
        ("{{ cycler }}", "line 1: 'cycler' is undefined"),
        ("{{ many[0:9] }}", "line 1: only a name or number may be in []"),
        ("{% include 'coding.head.j2' %}", "it may include 'built-in/reviewer.rules.j2' alone"),
        ("{% include long %}", "it may include 'built-in/reviewer.rules.j2' alone"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "it is nested too deeply"),
        ("{% if many %}" * 200 + "{% endif %}" * 200, "it is nested too deeply"),
        ("{{ many | fenced }}", "line 1: "),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_file_and_line(text: str, why: str) -> None:
    said = fault(text)
    assert said.startswith(f"/home/prompts/{NAME}")
    assert why in said


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in many %}" * 5 + "{% endfor %}" * 5,
        "{% for a in long %}{% for b in long %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in many if long | fenced %}{% for b in many %}{% endfor %}{% endfor %}",
        "{% for a in many %}{% for b in many %}{{ loop.length }}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_loops_without_an_end_is_stopped(text: str) -> None:
    assert "line 1: it loops too often" in fault(text)


def test_a_template_that_becomes_huge_is_stopped() -> None:
    assert "it becomes longer than 200000 characters" in fault(
        "{% for a in many %}{{ long }}{% endfor %}"
    )


def test_a_loop_over_all_that_a_role_is_given_is_no_trouble() -> None:
    inner = "{% for c in r.comments %}{{ c.text | line }};{% endfor %}"
    assert (
        filled(f"{{% for r in facts.reviews %}}{inner}{{% endfor %}}")
        == "A trifle.;Wrong sign. See add().;"
    )


@pytest.mark.parametrize(
    "name", ["reviewer.j2", "model.plan.j2", "../coding.head.j2", "x\x1b[2J.j2"]
)
def test_a_file_that_is_called_as_no_template_is_refused_with_the_names(name: str) -> None:
    with pytest.raises(Invalid, match="called as no template") as no:
        templates_with({name: Own("x", "/home/prompts/x.j2")})
    assert "reviewer.rules.j2" in no.value.hint
    assert "\x1b" not in no.value.detail


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"x" * (LARGEST + 1), "has more than 20000 bytes"), (b"\xff\xfe", "is no UTF-8")],
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / NAME).write_bytes(data)
    with pytest.raises(Invalid, match=why) as no:
        templates_of(tmp_path)
    assert NAME in no.value.detail


def test_a_projects_own_come_before_the_homes(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / NAME).write_text("The home's.")
    (tmp_path / "prompts" / "reviewer.head.j2").write_text("Ahoy.")
    words = templates_of(tmp_path, {NAME: "The project's."})
    rendered = [words.render(name) for name in ("reviewer.rules", "reviewer.head")]
    assert rendered == ["The project's.", "Ahoy."]
    with pytest.raises(Invalid, match=rf"\.muster/prompts/{NAME} has more than"):
        templates_of(tmp_path, {NAME: "x" * (LARGEST + 1)})


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompts" / NAME).mkdir(parents=True)
    with pytest.raises(Invalid, match="cannot be read"):
        templates_of(tmp_path)
