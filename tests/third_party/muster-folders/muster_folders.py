"""A condition of rules: the work is spread over more than so many folders."""

from __future__ import annotations

from muster.supervision.condition import Facts, Given, Held


class Folders:
    """The work changes files in more than so many folders."""

    example = "folders: {more_than: 3}"

    def read(self, given: Given) -> int:
        """How many folders are fine."""
        parts = given.table(("more_than",), needs="more_than")
        return parts["more_than"].count(1, 1000) if parts else 1

    def look(self, asked: int, facts: Facts) -> Held | bool | None:
        """Whether it does; not known before there is a verdict."""
        if facts.files is None:
            return None
        folders = sorted({path.rpartition("/")[0] for path in facts.files})
        if len(folders) <= asked:
            return False
        return Held({"folders": folders[:20]}, f"{facts.attempt} {len(folders)}")
