"""The notifier `journal`: each notice is a line of JSON at the end of a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid
from muster.notify.base import Notice, Undelivered, refuse_unknown


class JournalNotifier:
    """Writes to `path`."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        refuse_unknown(options, frozenset({"path"}))
        if not isinstance(options.get("path"), str):
            raise Invalid("path is missing", hint='for example path = "/var/log/muster.jsonl"')
        self._path = Path(options["path"])

    async def send(self, notice: Notice) -> None:
        """Write it, beside the loop; a full disk may have room again later."""
        line = json.dumps(notice.as_json()) + "\n"
        try:
            await asyncio.to_thread(self._write, line)
        except OSError as error:
            raise Undelivered(f"{self._path}: {error.strerror}", again=True) from error

    def _write(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(line)
