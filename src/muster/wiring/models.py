"""The models that settings name: the plugin of each kind, its key out of the vault, one of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from muster.domain.errors import Invalid
from muster.llm.accounts import HOUR, Hourly
from muster.llm.base import Health, Named, Provider
from muster.llm.kept import Folder
from muster.llm.ledger import Ledger
from muster.llm.names import defaults, named, own_address
from muster.llm.probe import is_here
from muster.settings import NO_MODEL, Settings
from muster.store.sqlite_library import beside, library
from muster.vault import model_key
from muster.wiring.plugins import why, working

if TYPE_CHECKING:
    from muster.llm.asking import Model

_SETTINGS = ("supervisor", "embedding")
_PATIENCE = 20.0


class Models:
    """The models of one server, each made when it is first asked for.

    `calls` says how many requests a project may make in an hour.
    """

    def __init__(self, settings: Settings, calls: Callable[[str], int]) -> None:
        self._settings = settings
        self._account = Hourly(calls, ledger=Ledger(settings.home / "model-calls", HOUR))
        self._kept = Folder(settings.home / "cache" / "answers")
        self._made: dict[Named, Model] = {}

    def of(self, text: str, *, embedding: bool = False) -> Model:
        """The model that a setting names.

        Raises:
            Invalid: it names none, or a kind that there is not.
        """
        wanted, provider = provider_of(self._settings, text, embedding=embedding)
        if wanted not in self._made:
            asking: Any = import_module("muster.llm.asking")  # it brings pydantic
            self._made[wanted] = cast(
                "Model",
                asking.Model(wanted, provider, account=self._account, kept=self._kept),
            )
        return self._made[wanted]

    async def close(self) -> None:
        """Let go of all connections."""
        for model in self._made.values():
            await model.close()
        self._made.clear()


def provider_of(
    settings: Settings, text: str, *, embedding: bool = False
) -> tuple[Named, Provider]:
    """The model that a setting names, with its key, and what asks it; nothing is asked yet.

    Raises:
        Invalid: it names none, or a kind that there is not.
    """
    wanted = named(text, embedding=embedding)
    kinds = working("models", settings.home)
    if wanted.kind not in kinds:
        raise Invalid(
            f"there is no kind of model '{wanted.kind}'", hint=f"there are: {', '.join(kinds)}"
        )
    key = model_key(settings.environ, wanted.kind, wanted.url, own_address(wanted.kind))
    whole = Named(wanted.kind, wanted.model, wanted.url, key)
    return whole, cast("Provider", kinds[wanted.kind](whole))


def looked_at(settings: Settings) -> list[tuple[str, Health]]:
    """The models that are configured, each with whether it answers; asks all at the same time.

    Where none is, the services that are found on this machine, which is no fault.
    """
    wanted = sorted(set(_configured(settings)))
    local = [
        (kind, False)
        for kind, known in sorted(defaults().items())
        if not wanted and is_here(str(known.get("url", "")))
    ]

    async def look() -> list[tuple[str, Health]]:
        found = await asyncio.gather(*(_look(settings, *one) for one in wanted or local))
        return found if wanted else [(name, _unused(h)) for name, h in found if h.reached]

    return asyncio.run(look())


def _unused(health: Health) -> Health:
    return Health(True, f"not used: {health.text}", health.fix)


async def _look(settings: Settings, text: str, embedding: bool) -> tuple[str, Health]:
    try:
        wanted, provider = provider_of(settings, text, embedding=embedding)
        async with asyncio.timeout(_PATIENCE):
            return f"{wanted.kind}:{wanted.model}", await provider.health()
    except Invalid as error:
        return text, Health(False, error.detail, error.hint)
    except TimeoutError:
        return text, Health(False, "it does not say whether it is well", "see to its service")
    except Exception as fault:  # noqa: BLE001 - a stranger's plugin; it is told
        return text, Health(False, why(fault), "mend or remove that plugin")


def _configured(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Every model that a setting names, here or of a project, and whether it is for embeddings."""
    layers = [settings.project_environment, settings.project_defaults, *_of_projects(settings)]
    for layer in layers:
        for name in _SETTINGS:
            text = layer.get(name)
            if isinstance(text, str) and text != NO_MODEL:
                yield text, name == "embedding"


def _of_projects(settings: Settings) -> list[dict[str, Any]]:
    """The settings of the registered projects, read beside a server that may run."""
    path = settings.home / "muster.db"
    query = "SELECT overrides, file_settings FROM projects WHERE removed = 0"
    if settings.database_url or not path.exists():
        return []
    try:
        with beside(path) as connection:
            rows = connection.execute(query).fetchall()
        found = [json.loads(document) for row in rows for document in row]
    except (library().Error, ValueError, TypeError):
        return []  # what is wrong with the database is a finding of its own
    return [one for one in found if isinstance(one, dict)]
