"""The forges of one server: the plugin of each name, with what the settings say of it."""

from __future__ import annotations

import asyncio

from muster.domain.errors import Invalid
from muster.forge.base import Access, Forge
from muster.settings import Settings
from muster.wiring.plugins import when_named


class Forges:
    """Each made, and what it needs loaded, when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known = when_named("forges", settings.home)
        self._made: dict[str, Forge] = {}
        self._making = asyncio.Lock()

    @property
    def names(self) -> frozenset[str]:
        """Those that there are."""
        return frozenset(self._known)

    async def of(self, name: str) -> Forge:
        """The forge of a name.

        Raises:
            Invalid: there is none, or its settings cannot be.
        """
        async with self._making:
            if name not in self._made:
                self._made[name] = await asyncio.to_thread(self._make, name)
            return self._made[name]

    async def close(self) -> None:
        """Let go of all connections."""
        for forge in self._made.values():
            await forge.close()
        self._made.clear()

    def _make(self, name: str) -> Forge:
        kind = self._known[name]() if name in self._known else None
        if kind is None:
            raise Invalid(
                f"there is no forge '{name}'", hint=f"there are: {', '.join(sorted(self._known))}"
            )
        own = self._settings
        made = kind(Access(own.github_api_url, own.github_token, own.github_owner))
        if not isinstance(made, Forge):
            raise Invalid(f"'{name}' is no forge", hint="mend or remove that plugin")
        return made
