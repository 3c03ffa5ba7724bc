"""Images for containers: built from a Dockerfile, or put together from this machine's programs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import platform
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from muster.domain.errors import Invalid, NotFound, Refused
from muster.runtimes.docker_engine import NOT_FOUND, UNREACHABLE, EngineRefused, engine
from muster.runtimes.rootfs import assemble

_PATIENCE = 1800.0
_PIECE = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
_LARGEST_FOLDER = 1 << 30


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has. `size` is in bytes."""

    name: str
    id: str
    size: int


async def assembled(
    name: str, trees: Mapping[str, Path] | None = None, programs: Iterable[str] = ()
) -> Image:
    """Put an image together from this machine's programs and give it to the engine.

    `trees` are folders of this machine by where they are to be in the image (an agent's packages at
    `/opt/claude`, for example); `programs` are taken beside the usual ones.

    Raises:
        NotFound: a program or folder that was asked for is not on this machine.
        EngineRefused: the engine did not take it.
    """
    for folder in (trees or {}).values():
        if not folder.is_dir():
            raise NotFound(f"{folder} is not a folder", hint="install what it is to hold first")
    with _scratch() as layer, _scratch() as archive:
        await asyncio.to_thread(assemble, layer, trees, tuple(programs))
        await asyncio.to_thread(_pack, archive, layer, name)
        async with engine(_PATIENCE) as docker:
            await docker.images.import_image(_pieces(archive))
    return await image(name)


async def built(name: str, folder: Path, dockerfile: str = "Dockerfile") -> Image:
    """Have the engine build an image from a Dockerfile and the folder that it is in.

    Raises:
        NotFound: there is no such Dockerfile.
        Invalid: the folder is too large to be sent.
        Refused: a step of it failed; the error has its last words.
    """
    if not (folder / dockerfile).is_file():
        raise NotFound(f"there is no {folder / dockerfile}", hint="name a folder that has one")
    with _scratch() as context:
        await asyncio.to_thread(_pack_folder, context, folder)
        try:
            async with engine(_PATIENCE) as docker:
                await docker.images.build(
                    fileobj=context, encoding="identity", tag=name, path_dockerfile=dockerfile
                )
        except EngineRefused as refused:
            if refused.answer == UNREACHABLE:
                raise
            raise Refused(
                f"the image {name} could not be built: {refused.detail}",
                hint="correct the Dockerfile; where no registry can be reached, put the image "
                "together from this machine",
            ) from refused
    return await image(name)


async def image(name: str) -> Image:
    """An image that is there.

    Raises:
        NotFound: the engine has none of that name.
    """
    try:
        async with engine() as docker:
            said = await docker.images.inspect(name)
    except EngineRefused as refused:
        if refused.answer == NOT_FOUND:
            raise NotFound(f"there is no image {name}", hint="build it first") from refused
        raise
    return Image(name, str(said["Id"]), int(said["Size"]))


def _pack(archive: BinaryIO, layer: BinaryIO, name: str) -> None:
    """An image of one layer, in the form that `docker load` takes."""
    layer.seek(0)
    digest = _digest(layer)
    machine = platform.machine()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Env": [_PATH], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file_name, data in ((config_name, config), ("manifest.json", _json(manifest))):
            entry = tarfile.TarInfo(file_name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        entry = tarfile.TarInfo("layer.tar")
        entry.size = layer.seek(0, os.SEEK_END)
        layer.seek(0)
        tar.addfile(entry, layer)
    archive.seek(0)


def _scratch() -> BinaryIO:
    return cast(BinaryIO, tempfile.TemporaryFile())


def _digest(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while piece := file.read(_PIECE):
        found.update(piece)
    return found.hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _pack_folder(context: BinaryIO, folder: Path) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > _LARGEST_FOLDER:
        raise Invalid(
            f"{folder} holds {size} bytes, more than can be sent to the engine",
            hint="put the Dockerfile into a folder with only what it needs",
        )
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.add(folder, ".")
    context.seek(0)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
