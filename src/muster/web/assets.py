"""The files that pages load: found under a name with their hash in it, so they never grow stale."""

from __future__ import annotations

import gzip
import mimetypes
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
SMALL = 1000
"""Files below this many bytes are not worth packing."""
FOR_EVER = "public, max-age=31536000, immutable"
# How one of our files names another: url("vendor/x.woff2") or from "./act.js".
NAMED = re.compile(r"""(?<=["(])(?:\./)?((?:vendor/)?[\w.-]+\.(?:js|css|svg|woff2))(?=[")])""")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    data: bytes
    packed: bytes | None
    type: str


class Assets:
    """Every file under `static/`, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read and hash the files; a file's hash covers the files that it names."""
        self._folder = folder
        self._urls: dict[str, str] = {}
        self._served: dict[str, Asset] = {}
        names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.*"))]
        self._known = frozenset(n for n in names if Path(n).suffix in TYPES)
        for name in sorted(self._known):
            self._take(name)
        everything = "".join(sorted(self._urls.values()))
        self.build = sha256(everything.encode()).hexdigest()[:12]

    def _take(self, name: str) -> str:
        if name in self._urls:
            return self._urls[name]
        path = self._folder / name
        data = path.read_bytes()
        if path.suffix in {".js", ".css"}:
            data = NAMED.sub(self._renamed, data.decode()).encode()
        digest = sha256(data).hexdigest()[:10]
        served = f"{name.removesuffix(path.suffix)}.{digest}{path.suffix}"
        text = path.suffix in {".js", ".css", ".svg"}
        packed = gzip.compress(data, mtime=0) if text and len(data) > SMALL else None
        self._served[served] = Asset(data, packed, _type_of(path))
        self._urls[name] = f"/static/{served}"
        return self._urls[name]

    def _renamed(self, found: re.Match[str]) -> str:
        return self._take(found[1]) if found[1] in self._known else found[0]

    def url(self, name: str) -> str:
        """The address of a file."""
        return self._urls[name]

    async def serve(self, request: Request) -> Response:
        """Answer with a file, packed where that is understood."""
        asset = self._served.get(request.path_params["path"])
        if asset is None:
            return Response("there is no such file", 404, {"Cache-Control": "no-store"})
        headers = {"Cache-Control": FOR_EVER, "X-Content-Type-Options": "nosniff"}
        if asset.packed is None:
            return Response(asset.data, headers=headers, media_type=asset.type)
        headers["Vary"] = "Accept-Encoding"
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(asset.data, headers=headers, media_type=asset.type)
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.type)


def _type_of(path: Path) -> str:
    return TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
