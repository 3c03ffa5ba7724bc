"""Answers that were given before, by the content of the question: for when the model is away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from muster.llm.base import Asked, Named
from muster.whole_file import write_whole

_LARGEST = 1_000_000
_MOST = 2000


@dataclass(frozen=True, slots=True)
class Kept:
    """The text of an answer that was taken, and when, in seconds since 1970."""

    text: str
    at: float


class Keeping(Protocol):
    """Keeps answers. It may forget; it must never give another question's."""

    def get(self, key: str) -> Kept | None:
        """The answer to this question, if one is kept."""
        ...

    def put(self, key: str, text: str) -> None:
        """Keep an answer; one that cannot be kept is not."""
        ...


def key_of(named: Named, asked: Asked) -> str:
    """The question's content: model, address, rules, text, form and size. The key is not in it."""
    form = [asked.form.name, asked.form.schema] if asked.form else None
    content = [str(named), asked.system, asked.prompt, asked.most, form]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Folder:
    """Answers as files that their owner alone reads; the oldest go when there are too many."""

    def __init__(
        self, path: Path, most: int = _MOST, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._most, self._clock = path, most, clock

    def get(self, key: str) -> Kept | None:
        """The answer to this question; a file that was damaged is none."""
        try:
            with (self._path / f"{key}.json").open("rb") as file:
                told = json.loads(file.read(_LARGEST))
            return Kept(str(told["text"]), float(told["at"])) if told["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, text: str) -> None:
        """Keep an answer, whole or not at all."""
        document = json.dumps({"key": key, "at": self._clock(), "text": text})
        if len(document) >= _LARGEST:
            return
        with contextlib.suppress(OSError):  # what cannot be kept is asked for again
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._path / f"{key}.json", document.encode(), sync=False)
            self._forget()

    def _forget(self) -> None:
        kept = list(self._path.glob("*.json"))
        if len(kept) > self._most:
            kept.sort(key=lambda path: path.stat().st_mtime)
            for path in kept[: len(kept) - self._most]:
                path.unlink(missing_ok=True)
