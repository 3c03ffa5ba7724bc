"""A starter's report in words, for those who work by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.domain.plain import plain, plain_line
from muster.knowledge.again import mappings
from muster.knowledge.prompts import named
from muster.knowledge.room import Piece, whole_lines


def plan_piece(analysis: Mapping[str, Any], head: str) -> Piece:
    """A starter's report in words, which may be cut."""
    steps = [
        line for n, step in enumerate(mappings(analysis.get("plan"))) for line in _step(n, step)
    ]
    lines = [
        plain(str(analysis.get("analysis") or "")).strip(),
        *(["", "Steps:", *steps] if steps else []),
        *_listed("Repositories:", [_repo(each) for each in mappings(analysis.get("repos"))]),
        *_listed("Risks:", _texts(analysis.get("risks"))),
    ]
    return Piece("the plan", head, "\n".join(lines).strip("\n"), whole_lines)


def _step(n: int, step: Mapping[str, Any]) -> list[str]:
    files = _texts(step.get("files"))
    details = plain(str(step.get("details") or "")).strip().replace("\n", "\n   ")
    title = plain_line(str(step.get("title") or ""))
    return [
        f"{n + 1}. {title}",
        *([f"   {details}"] if details else []),
        *([f"   Files: {named(files)}"] if files else []),
    ]


def _repo(each: Mapping[str, Any]) -> str:
    repo, what = (plain_line(str(each.get(name) or ""), 2_000) for name in ("repo", "what"))
    return f"{repo}: {what}"


def _texts(given: object) -> Sequence[str]:
    listed = given if isinstance(given, list | tuple) else ()
    return [plain_line(text, 2_000) for text in listed if isinstance(text, str)]


def _listed(head: str, texts: Sequence[str]) -> list[str]:
    return ["", head, *(f"- {text}" for text in texts)] if texts else []
