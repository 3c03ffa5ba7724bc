"""Which backend makes new workspaces: the one that is wanted, else the best that works here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from muster.domain.errors import Invalid, Unavailable
from muster.workspace.base import Backend
from muster.workspace.namespace import PRIVATE

_PREFERRED = ("overlay", "btrfs", "reflink", PRIVATE, "clone")


def in_order(names: Iterable[str]) -> list[str]:
    """Names of backends in the order in which they are tried; unknown ones come last."""
    known = set(names)
    return [*(n for n in _PREFERRED if n in known), *sorted(known - set(_PREFERRED))]


class Choice:
    """The backends of one home, and the one that was chosen; asked once, as asking costs a try."""

    def __init__(
        self, home: Path, backends: Mapping[str, Backend], wanted: str | None, works: str = ""
    ) -> None:
        self._home = home
        self._backends = backends
        self._wanted = wanted
        known = self.by_name(works) if works else None
        self._chosen: dict[bool, Backend] = dict.fromkeys((False, True), known) if known else {}

    def get(self, name: str | None, *, for_all: bool = False) -> Backend:
        """The backend of that name, else the one for new workspaces.

        `for_all` asks for files that every program of the machine sees at their path.

        Raises:
            Invalid: there is none of that name.
            Unavailable: none can make workspaces here, or not the one that is wanted.
        """
        if name is not None:
            return self.by_name(name)
        if for_all not in self._chosen:
            self._chosen[for_all] = self._first_available(for_all=for_all)
        return self._chosen[for_all]

    def by_name(self, name: str) -> Backend:
        """The backend of a name.

        Raises:
            Invalid: there is none.
        """
        found = self._backends.get(name)
        if found is None:
            raise Invalid(
                f"there is no workspace backend {name!r}",
                hint=f"there are: {', '.join(sorted(self._backends))}",
            )
        return found

    def _first_available(self, *, for_all: bool) -> Backend:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = [self._wanted] if self._wanted else in_order(self._backends)
        if for_all and PRIVATE in names:
            names = [name for name in in_order(self._backends) if name != PRIVATE]
        reasons = []
        for name in names:
            backend = self.by_name(name)
            why_not = backend.available(self._home)
            if not why_not:
                return backend
            reasons.append(f"{name}: {why_not}")
        raise Unavailable(
            f"no way to make workspaces under {self._home}: {'; '.join(reasons)}",
            hint='muster doctor tells what works here; workspace_backend = "auto" takes it',
        )
