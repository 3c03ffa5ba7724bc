"""The shapes in which a model is asked for a rubric and for its answers; loaded when first used."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from muster.supervision import review

LEAST_QUESTIONS, MOST_QUESTIONS = 2, 8


class Rubric(BaseModel):
    """Questions about a change that is not made yet, each to be answered with yes or no."""

    model_config = ConfigDict(extra="forbid")

    questions: Annotated[
        list[Annotated[str, Field(min_length=8, max_length=200)]],
        Field(min_length=LEAST_QUESTIONS, max_length=MOST_QUESTIONS),
    ]

    @field_validator("questions")
    @classmethod
    def _sound(cls, given: list[str]) -> list[str]:
        told = [" ".join(question.split()) for question in given]
        if not all(question.endswith("?") for question in told):
            raise ValueError("each must be a question that ends in a question mark")
        if len({question.lower() for question in told}) != len(told):
            raise ValueError("a question is asked twice")
        return told


class Answered(BaseModel):
    """The answer to one question; its quote is copied from the change, or empty."""

    model_config = ConfigDict(extra="forbid")

    n: int
    yes: bool
    quote: Annotated[str, Field(max_length=400)]
    path: Annotated[str, Field(max_length=400)]
    line: int

    def plain(self) -> review.Answer:
        """Without pydantic."""
        return review.Answer(self.yes, self.quote, self.path, self.line)


class Review(BaseModel):
    """One answer to each of the questions."""

    model_config = ConfigDict(extra="forbid")
    asked: ClassVar[int] = 0

    answers: Annotated[list[Answered], Field(max_length=MOST_QUESTIONS * 2)]

    @model_validator(mode="after")
    def _answers_all(self) -> Self:
        if sorted(answer.n for answer in self.answers) != list(range(1, self.asked + 1)):
            raise ValueError(f"answer each question from 1 to {self.asked} once")
        return self


def review_of(questions: int) -> type[Review]:
    """The shape of answers to so many questions."""

    class Whole(Review):
        pass

    Whole.asked = questions
    Whole.__name__ = Review.__name__
    Whole.__doc__ = Review.__doc__
    return Whole
