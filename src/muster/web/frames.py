"""What a tab has on its screen, and the operations that bring it to what is true now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from muster.web.views import Look

Operation = list[Any]
COUNTS = ("count-rail", "count-bar")
"""The parts that a hidden tab still follows: its title and its number say that somebody waits."""


@dataclass(slots=True)
class Seen:
    """The digests of a tab's parts, and the order of its lists.

    A tab says what it has when it connects, so that whatever happened in between, and whichever
    server answers, only what differs is sent.
    """

    digests: dict[str, str]
    lists: dict[str, list[str]]
    shape: str = ""
    title: str = ""

    def operations(self, look: Look, visible: bool) -> list[Operation]:
        """The operations that make a tab show `look`, and remember that it does."""
        if self.shape and look.shape != self.shape:
            return [["reload"]]
        found: list[Operation] = []
        for part in look.parts.values():
            if not visible and part.id not in COUNTS:
                continue
            if self.digests.get(part.id) == part.digest and part.id in self._listed(part.list):
                continue
            if not part.list and part.id not in self.digests:
                continue  # this page has no place for it
            self.digests[part.id] = part.digest
            whole = str(part.html)
            if part.list:
                self._move(part.id, part.list)
                found.append(["card", part.id, part.list, whole])
            else:
                found.append(["html", part.id, whole])
        if visible:
            found += self._leave(look)
            found += self._order(look)
        if look.title != self.title:
            self.title = look.title
            found.append(["text", "title", look.title])
        return found

    def _listed(self, name: str) -> Any:
        return self.lists.get(name, ()) if name else self.digests

    def _move(self, id: str, name: str) -> None:
        """A card that is drawn again keeps its place; one that comes to a list comes to its end."""
        if id in self.lists.get(name, ()):
            return
        for items in self.lists.values():
            if id in items:
                items.remove(id)
        self.lists.setdefault(name, []).append(id)

    def _leave(self, look: Look) -> list[Operation]:
        found: list[Operation] = []
        for items in self.lists.values():
            for id in [i for i in items if i not in look.parts]:
                items.remove(id)
                self.digests.pop(id, None)
                found.append(["del", id])
        return found

    def _order(self, look: Look) -> list[Operation]:
        found: list[Operation] = []
        for name, items in look.lists.items():
            if self.lists.get(name, []) != items:
                self.lists[name] = list(items)
                found.append(["order", name, items])
        return found
