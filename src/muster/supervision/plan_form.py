"""The shape in which a model is asked for a plan; loaded when the first plan is made."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from muster.domain.task import TaskType
from muster.supervision.plan import Ground, PlannedTask, faults_of
from muster.supervision.plan import Plan as Planned

_MOST_FAULTS = 12
_Kind = Literal["feature", "bug", "refactor", "test", "documentation", "chore"]
_Key = Annotated[str, Field(max_length=60)]
_Line = Annotated[str, Field(min_length=1, max_length=300)]
_Argument = Annotated[str, Field(max_length=400)]


class Task(BaseModel):
    """One task: a change that can be judged and merged by itself."""

    model_config = ConfigDict(extra="forbid")

    key: _Key
    title: Annotated[str, Field(min_length=1, max_length=150)]
    description: Annotated[str, Field(min_length=1, max_length=8000)]
    type: _Kind
    after: Annotated[list[_Key], Field(max_length=30)] = []
    checks: Annotated[list[_Line], Field(max_length=12)]
    commands: Annotated[list[list[_Argument]], Field(max_length=8)] = []
    files: Annotated[list[str], Field(max_length=60)] = []
    minutes: float
    agent: Annotated[str, Field(max_length=100)]
    agent_why: Annotated[str, Field(max_length=300)]
    isolation: Annotated[str, Field(max_length=100)]
    isolation_why: Annotated[str, Field(max_length=300)]

    def plain(self) -> PlannedTask:
        """Without pydantic."""
        return PlannedTask(
            key=self.key,
            title=" ".join(self.title.split()),
            description=self.description.strip(),
            type=TaskType(self.type),
            after=tuple(dict.fromkeys(self.after)),
            checks=tuple(self.checks),
            commands=tuple(map(tuple, self.commands)),
            files=tuple(dict.fromkeys(self.files)),
            minutes=self.minutes,
            agent=self.agent,
            agent_why=self.agent_why,
            isolation=self.isolation,
            isolation_why=self.isolation_why,
        )


class Plan(BaseModel):
    """The tasks that make the wish true, or what has to be known before there can be any."""

    model_config = ConfigDict(extra="forbid")
    ground: ClassVar[Ground] = Ground((), ())

    type: _Kind
    summary: _Line
    confidence: Annotated[float, Field(ge=0, le=1)]
    questions: Annotated[list[_Line], Field(max_length=5)] = []
    tasks: Annotated[list[Task], Field(max_length=60)] = []

    @model_validator(mode="after")
    def _stands(self) -> Self:
        faults = faults_of(self.plain(), self.ground)
        if faults:
            raise ValueError("; ".join(faults[:_MOST_FAULTS]))
        return self

    def plain(self) -> Planned:
        """Without pydantic."""
        return Planned(
            type=TaskType(self.type),
            summary=" ".join(self.summary.split()),
            confidence=self.confidence,
            tasks=tuple(task.plain() for task in self.tasks),
            questions=tuple(self.questions),
        )


def plan_on(ground: Ground) -> type[Plan]:
    """The shape of plans that stand on this ground; any other is refused with its faults."""

    class Grounded(Plan):
        pass

    Grounded.ground = ground
    Grounded.__name__ = Plan.__name__  # the model is told the name
    Grounded.__doc__ = Plan.__doc__
    return Grounded
