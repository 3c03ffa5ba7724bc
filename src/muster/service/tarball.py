"""A bundle of texts without secrets, never larger than it may be, that says what it left out."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from muster.domain.redact import Redactor
from muster.domain.secret_shapes import without_shapes

MOST_BYTES = 40_000_000
"""What all parts may have in all; packed they are smaller, and never above 50 MB."""
MOST_PARTS = 2000
_RESERVED = 500_000
_MARGIN = 65_536
"""Read before the end of a file, so that no secret is met in its middle."""


class Tarball:
    """A `.tar.gz` that is being written."""

    def __init__(
        self,
        file: IO[bytes],
        folder: str,
        redactor: Redactor,
        now: float,
        most: int = MOST_BYTES,
    ) -> None:
        """Write into `file`; all parts lie below `folder`, without what the redactor knows."""
        self._tar = tarfile.open(fileobj=file, mode="w:gz", compresslevel=6)  # noqa: SIM115 (open until `close`)
        self._folder = folder
        self._redactor = redactor
        self._now = now
        self._left = most - _RESERVED
        self._parts: list[dict[str, Any]] = []
        self._left_out: list[dict[str, str]] = []

    def clean(self, data: bytes) -> bytes:
        """`data` without secrets: known values, tokens of known providers, what looks like one."""
        return without_shapes(self._redactor.whole(data))

    def document(self, name: str, value: Any) -> None:
        """Put in something as JSON."""
        text = json.dumps(value, indent=1, ensure_ascii=True, default=str)
        self.text(name, text.encode() + b"\n")

    def text(self, name: str, data: bytes, note: str = "") -> None:
        """Put in a text whole, or note that there was no room for it."""
        data = self.clean(data)
        if len(data) > self._left or len(self._parts) >= MOST_PARTS:
            self.leave_out(name, f"{len(data)} bytes, and the bundle is full")
            return
        self._add(name, data)
        self._parts.append({"name": name, "bytes": len(data), **({"note": note} if note else {})})

    def end_of(self, name: str, size: int, read: Callable[[int, int], bytes], most: int) -> None:
        """Put in the last `most` bytes of something that `read(offset, length)` gives."""
        start = max(0, size - most - _MARGIN)
        data = self.clean(read(start, size - start))
        if start:
            data = data[-most:].partition(b"\n")[2] or data[-most:]
        cut = f"the last {len(data)} of {size} bytes" if start else ""
        self.text(name, data, cut)

    def end_of_file(self, name: str, path: Path, most: int) -> None:
        """The same of a file; nothing where there is none."""
        try:
            with path.open("rb") as file:
                size = file.seek(0, io.SEEK_END)

                def read(offset: int, length: int) -> bytes:
                    file.seek(offset)
                    return file.read(length)

                self.end_of(name, size, read, most)
        except FileNotFoundError:
            return
        except OSError as error:
            self.leave_out(name, str(error.strerror))

    def leave_out(self, name: str, why: str) -> None:
        """Note what is not in the bundle, and why."""
        if len(self._left_out) < MOST_PARTS:
            self._left_out.append({"name": name, "why": why})

    def close(self, about: dict[str, Any]) -> None:
        """Say last what is in it and what is not."""
        manifest = {**about, "parts": self._parts, "left_out": self._left_out}
        data = json.dumps(manifest, indent=1, ensure_ascii=True).encode() + b"\n"
        self._add("manifest.json", self.clean(data))
        self._tar.close()

    def _add(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(f"{self._folder}/{name}")
        info.size, info.mtime, info.mode = len(data), int(self._now), 0o600
        self._tar.addfile(info, io.BytesIO(data))
        self._left -= len(data) + 1024
