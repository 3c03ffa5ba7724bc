"""The prompt of an agent that hands in a report: what it is there for, what it is given, its form.

It changes nothing (starter, reviewer, verifier, auditor), or nothing but by one command (deployer).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.agent import Role
from muster.domain.plain import fence, plain, plain_line
from muster.domain.project import Project
from muster.domain.task import Task
from muster.knowledge.again import mappings, refused, told_reviews
from muster.knowledge.brief import BUDGET_TOKENS, Brief, finished
from muster.knowledge.changes import cut_diff
from muster.knowledge.planned import plan_piece
from muster.knowledge.prompts import BUILT_IN, Templates
from muster.knowledge.room import Piece, Room, beginning_of, whole_lines

_MOST_PATHS = 500
_TOLD = ("severity", "code", "text")


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """What a role is given beside the task; what there is not is empty.

    `analysis` is a starter's report, `evidence` what the verdict on the work found (`code`,
    `severity`, `text`), `deployment` a deployer's record, all as JSON. `reviews` are earlier ones
    of the same pull request, oldest first (`by`, `opinion`, `summary`, `comments`). `pull` has
    `number`, `url`, `branch`, `base` and `head`. `commit` is what is to be deployed or was.
    """

    analysis: Mapping[str, Any] | None = None
    diff: str = ""
    changed: tuple[str, ...] = ()
    reviews: tuple[Mapping[str, Any], ...] = ()
    pull: Mapping[str, Any] | None = None
    commit: str = ""
    deployment: Mapping[str, Any] | None = None
    deploy_command: str | None = None
    verify_command: str | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()
    repos: tuple[str, ...] = ()
    about: str = ""


def role_brief(
    role: Role,
    task: Task,
    project: Project,
    facts: RoleFacts,
    feedback: Mapping[str, Any] | None,
    schema: Mapping[str, Any],
    example: Mapping[str, Any],
    *,
    budget_tokens: int = BUDGET_TOKENS,
    words: Templates = BUILT_IN,
) -> Brief:
    """The prompt for an attempt of this role at `task`, in Markdown.

    As in `brief`, a person's own words and the rules are never cut; what the role is given has
    about `budget_tokens` together. `schema` and `example` are of the report that it hands in.
    """
    room = Room.of_tokens(budget_tokens)
    told = {
        "task": task,
        "settings": project.settings,
        "project": project.name,
        "facts": facts,
    }
    again = refused(feedback, room, words, changes=False) if feedback else []
    given = _GIVEN[role](facts, room)
    form = {"schema": json.dumps(schema), "example": json.dumps(example, indent=1)}
    parts = [
        words.render(f"{role}.head", **told),
        *(["## The task", task.description.strip("\n")] if task.description else []),
        words.render("role.working", **told),
        words.render(f"{role}.rules", **told),
        *([words.render("role.data", **told), *given] if given else []),
        *again,
        words.render("role.report", **told, **form),
    ]
    return finished(parts, room)


# --- what each role is given ----------------------------------------------------------------------


def _starter(facts: RoleFacts, room: Room) -> list[str]:
    return room.take(_evidence(facts))


def _reviewer(facts: RoleFacts, room: Room) -> list[str]:
    planned = room.take(_plan(facts), share=0.15)
    found = room.take(_evidence(facts), share=0.15)
    reviewed = told_reviews(facts.reviews, room, "An earlier review by") if facts.reviews else []
    return [*planned, *found, *reviewed, *_change(facts, room)]


def _deployer(facts: RoleFacts, room: Room) -> list[str]:
    return room.take([*_record(facts), *_paths(facts)])


def _verifier(facts: RoleFacts, room: Room) -> list[str]:
    recorded = room.take(_record(facts), share=0.4)
    return [*recorded, *room.take([*_plan(facts), *_paths(facts)])]


def _auditor(facts: RoleFacts, room: Room) -> list[str]:
    about = plain(facts.about).strip()
    asked = [f"What the audit is about, as it was asked for:\n\n{fence(about)}"] if about else []
    planned = room.take([*_plan(facts), *_evidence(facts)], share=0.5)
    return [*asked, *planned, *_change(facts, room)]


_GIVEN: Mapping[Role, Callable[[RoleFacts, Room], list[str]]] = {
    Role.STARTER: _starter,
    Role.REVIEWER: _reviewer,
    Role.DEPLOYER: _deployer,
    Role.VERIFIER: _verifier,
    Role.AUDITOR: _auditor,
}


def _change(facts: RoleFacts, room: Room) -> list[str]:
    if not facts.diff:
        return room.take(_paths(facts))
    piece = Piece("the change", "The change:", plain(facts.diff).rstrip("\n"), cut_diff)
    return room.take([piece])


def _paths(facts: RoleFacts) -> list[Piece]:
    paths = "\n".join(plain_line(path) for path in facts.changed[:_MOST_PATHS])
    return [Piece("changed files", "Files that were changed:", paths, whole_lines)] if paths else []


def _evidence(facts: RoleFacts) -> list[Piece]:
    lines = [
        " ".join(["-", *(plain_line(str(item.get(name, "")), 600) for name in _TOLD)])
        for item in mappings(facts.evidence)
    ]
    if not lines:
        return []
    return [Piece("findings", "What the checks of the work found:", "\n".join(lines), whole_lines)]


def _plan(facts: RoleFacts) -> list[Piece]:
    return [plan_piece(facts.analysis, "The analysis and plan:")] if facts.analysis else []


def _record(facts: RoleFacts) -> list[Piece]:
    if not facts.deployment:
        return []
    text = plain(json.dumps(facts.deployment, indent=1, ensure_ascii=False, default=str))
    return [Piece("the deployment", "What the deployer recorded:", text, beginning_of)]
