"""What is dropped into the folder of event files, brought into the store exactly once.

A file is first claimed, under a name that is never used again. Its event and that name are one
transaction; then the file is removed; then the name is forgotten. A server that dies in between is
followed by one that finds the file among those claimed, and the name in the store if it was kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from muster.domain.errors import MusterError
from muster.engine.drop_folder import DropFolder, Dropped
from muster.engine.tools import in_thread
from muster.failpoint import failpoint
from muster.runtimes.hints import Hints
from muster.store import drops
from muster.store.base import Store

log = logging.getLogger("muster.engine")

AT_ONCE = 100
"""Files that are one transaction."""
_LOOK_AGAIN, _SOON = 5.0, 0.5

_Bring = Callable[[Sequence[str]], Awaitable[list[Dropped]]]


class Drop:
    """The way from one folder of event files to the store."""

    def __init__(self, folder: DropFolder, store: Store, hints: Hints) -> None:
        """Know the folder, which is made when it is first looked into."""
        self._folder = folder
        self._store = store
        self._hints = hints
        self._gone: list[str] = []
        self._begun = False
        self._fault = ""

    async def follow(self) -> None:
        """Take in what is dropped, for ever."""
        blind = False
        try:
            while True:
                # Watched anew each time, for the folder may be another one by now.
                with self._hints.of([self._folder.path.resolve()]) as came:
                    wait = await self.look_safely()
                    if came.sees or blind:  # else it was made just now, and can be watched
                        await came.within(wait)
                    blind = not came.sees
        finally:
            self.close()

    def close(self) -> None:
        """Let another server have the folder."""
        self._folder.close()

    async def look(self) -> float:
        """Take in what lies there now; the seconds until it is time to look again.

        Raises:
            Unavailable: the folder cannot be used, or is another server's.
            Invalid: it is used for something else.
        """
        found = await in_thread(self._folder.look)
        if not self._begun:
            # Those that a server before this one had no more time to forget.
            there = await in_thread(self._folder.keys_of, found.taken)
            await self._store.write(drops.forget_others, there)
            self._begun = True
        whole = await self._bring_all(found.taken, self._read)
        whole = await self._bring_all(found.came, self._claim) and whole
        if self._gone:
            await self._store.write(drops.forget, self._gone)
            self._gone = []
        return 0.0 if found.more else _LOOK_AGAIN if whole else _SOON

    async def look_safely(self) -> float:
        """The same, when whatever goes wrong is said once and tried again."""
        try:
            wait = await self.look()
        except MusterError as fault:
            if self._is_new(f"{fault.detail}; {fault.hint}"):
                log.warning("no event files are taken in: %s", self._fault)
            return _LOOK_AGAIN
        except Exception as fault:  # one bad moment must not end it for ever
            if self._is_new(repr(fault)):
                log.exception("taking in event files met a fault; it is tried again")
            return _LOOK_AGAIN
        self._fault = ""
        return wait

    def _is_new(self, fault: str) -> bool:
        """Whether it was not said last time."""
        is_new, self._fault = fault != self._fault, fault
        return is_new

    async def _bring_all(self, names: Sequence[str], bring: _Bring) -> bool:
        """Bring in files by hundreds; whether none of them has to be looked at again."""
        whole = True
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            found = await bring(some)
            whole = whole and len(found) == len(some)
            await self._keep(found)
        return whole

    async def _read(self, files: Sequence[str]) -> list[Dropped]:
        return await in_thread(self._folder.read, files)

    async def _claim(self, names: Sequence[str]) -> list[Dropped]:
        return await in_thread(self._folder.claim, names)

    async def _keep(self, found: Sequence[Dropped]) -> None:
        """Keep what is good, lay aside what is not."""
        facts = {each.key: each.fact for each in found if each.fact is not None}
        refused = {each.key: each.refused for each in found if each.refused}
        if facts:
            refused |= await self._store.write(drops.keep, facts, self._gone)
            self._gone = []
            failpoint("drop.kept")
        bad = [each for each in found if each.key in refused]
        if bad:
            await in_thread(self._folder.reject, bad, refused)
            first = f"'{bad[0].name:.100}': {refused[bad[0].key]:.300}"
            log.warning("%d event files were rejected, as %s", len(bad), first)
        good = [each for each in found if each.key not in refused]
        if good:
            self._gone = await in_thread(self._folder.clear, good)
