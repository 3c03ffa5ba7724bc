"""A budget for what may be cut of a prompt: what matters more is given its room first.

What a person wrote and the rules are no part of it; they are never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from muster.domain.plain import fence
from muster.knowledge.prompts import listed

CHARACTERS_PER_TOKEN = 3.4
"""A safe bound over the tokenizers measured; see `docs/evidence.md`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What may be cut: its name, words before it, its text, and how it is cut to a size."""

    name: str
    head: str
    text: str
    cut: Callable[[str, int], str]


@dataclass(slots=True)
class Room:
    """What is left of a budget, in characters, and what was left out of which piece."""

    left: int
    left_out: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_tokens(cls, tokens: int) -> Room:
        """So many tokens, estimated by characters."""
        return cls(max(0, int(tokens * CHARACTERS_PER_TOKEN)))

    def take(self, pieces: Sequence[Piece], share: float = 1.0) -> list[str]:
        """The pieces in their blocks, cut to a share of what is left, which they have alike.

        What one does not need is left to those after it.
        """
        room = int(self.left * share)
        shown = []
        for n, piece in enumerate(pieces):
            text = piece.cut(piece.text, room // (len(pieces) - n))
            room -= len(text)
            self.left -= len(text)
            if text != piece.text:
                self.left_out[piece.name] = max(1, len(piece.text) - len(text))
            shown.append(f"{piece.head}\n\n{fence(text)}")
        self.left = max(0, self.left)
        return shown


def whole_lines(text: str, most: int) -> str:
    """The first lines; how many more there were is said."""
    return listed(text.split("\n"), most)


def end_of(text: str, most: int) -> str:
    """The end; how much came before it is said."""
    cut = len(text) - max(0, most)
    return text if cut <= 0 else f"[{cut} characters left out]\n{text[cut:]}"


def beginning_of(text: str, most: int) -> str:
    """The beginning; how much comes after it is said."""
    cut = len(text) - max(0, most)
    return text if cut <= 0 else f"{text[: max(0, most)]}\n[{cut} characters left out]"
