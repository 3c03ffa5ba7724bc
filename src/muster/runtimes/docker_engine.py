"""The Docker engine of this machine, spoken to through aiodocker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from muster.domain.errors import Refused, Unavailable
from muster.settings import environment

_USUAL = ("/run/docker.sock", "/var/run/docker.sock")
_SCHEME = "unix://"
_PATIENCE = 120.0
NOT_FOUND, IN_CONFLICT, UNREACHABLE = 404, 409, 900


class EngineRefused(Refused):
    """The engine answered no; `answer` is the status it gave."""

    def __init__(self, detail: str, hint: str, answer: int) -> None:
        super().__init__(detail, hint=hint)
        self.answer = answer


def socket_path() -> Path:
    """Where the engine listens: what `DOCKER_HOST` names, else the usual place.

    Raises:
        Unavailable: it is named, and not on this machine.
    """
    named = environment().get("DOCKER_HOST", "")
    if named and not named.startswith(_SCHEME):
        raise Unavailable(
            f"DOCKER_HOST names {named}, and only an engine of this machine can be used",
            hint="set it to unix:// and the path of a socket, or unset it",
        )
    if named:
        return Path(named.removeprefix(_SCHEME))
    return Path(next(filter(lambda path: Path(path).exists(), _USUAL), _USUAL[0]))


@contextlib.asynccontextmanager
async def engine(seconds: float = _PATIENCE) -> AsyncIterator[Any]:
    """An `aiodocker.Docker`, for so many seconds; what it raises is told in a person's words.

    Raises:
        Unavailable: aiodocker is not installed, or the engine is not on this machine.
        EngineRefused: the engine answered no, does not answer, or is not there.
    """
    if find_spec("aiodocker") is None:
        raise Unavailable(
            "the Python package aiodocker is not installed",
            hint="pip install 'passmuster[docker]'",
        )
    # It brings an HTTP client that no other place needs.
    library = import_module("aiodocker")
    path = socket_path()
    try:
        async with asyncio.timeout(seconds), library.Docker(url=f"{_SCHEME}{path}") as docker:
            yield docker
    except library.DockerError as error:
        raise _in_words(path, error.status, str(error.message)) from error
    except TimeoutError as error:
        raise EngineRefused(
            f"the Docker engine at {path} has not answered for {seconds:g} seconds",
            "look at its log, or restart it; runs go on if it was started with --live-restore",
            UNREACHABLE,
        ) from error
    except OSError as error:
        raise _in_words(path, UNREACHABLE, str(error)) from error


def _in_words(path: Path, status: int, message: str) -> EngineRefused:
    if status == UNREACHABLE:
        if not path.exists():
            return EngineRefused(
                f"no Docker engine listens at {path}",
                "install and start Docker, or name its socket in DOCKER_HOST",
                status,
            )
        return EngineRefused(
            f"the Docker engine at {path} cannot be reached: {message}",
            "start it, and see that this user may open its socket (group docker)",
            status,
        )
    return EngineRefused(
        f"the Docker engine refused: {message.strip()}", "look at the engine's log", status
    )
