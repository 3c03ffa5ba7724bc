"""The server's log: lines for people or JSON, by levels, on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from muster.domain.about import facts_at_hand
from muster.domain.log_levels import OTHERS, ROOMS, levels_of
from muster.domain.plain import plain
from muster.domain.redact import Redactor
from muster.domain.secret_shapes import without_shapes
from muster.settings import Settings
from muster.vault import secrets_of_person, secrets_of_url
from muster.wiring.log_file import LogFile, leads_to

_LONGEST = 20_000
"""Characters of one line; the rest of a longer one is left out."""
_NAME = "server.log"
_HTTP = "uvicorn"


class Stream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Take one line with its end."""
        ...

    def flush(self) -> None:
        """Let go of what was kept back."""
        ...


class Plain(logging.Formatter):
    """Lines for people; nothing that a stranger brought in acts on a terminal or looks like one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")

    @override
    def format(self, record: logging.LogRecord) -> str:
        """A record as its line, and what goes on below it set in."""
        return plain(super().format(record)).replace("\n", "\n    ")


class Json(logging.Formatter):
    """One JSON document a line: when, how grave, who, what, and what it was about."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """A record as its line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        told = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST],
            **facts_at_hand(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)[-_LONGEST:]
        return json.dumps(told, ensure_ascii=True)


class WithoutSecrets(logging.Formatter):
    """Another's lines, with every known secret and what looks like one as `***`."""

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    @override
    def format(self, record: logging.LogRecord) -> str:
        """A record as its line."""
        line = self._inner.format(record).encode("utf-8", "surrogateescape")
        return without_shapes(self._redactor.whole(line)).decode("utf-8", "replace")


def log_to(stream: Stream, settings: Settings) -> None:
    """Have everything that is logged from now on written there, in the format of the settings."""
    inner = Json() if settings.log_format == "json" else Plain()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(WithoutSecrets(inner, Redactor.of(_secrets(settings))))
    logging.basicConfig(handlers=[handler], force=True)
    _set_levels(settings.log_level)
    logging.captureWarnings(capture=True)


def log_to_stderr(settings: Settings) -> LogFile | None:
    """The same, to standard error; where that is the home's own `server.log`, kept bounded.

    Answers that file, if it is one.
    """
    path = settings.home / _NAME
    file = LogFile(path, stands_for=(1, 2)) if leads_to(2, path) else None
    log_to(file or sys.stderr, settings)
    return file


def _set_levels(text: str) -> None:
    """Give each room its level; libraries never say more than `info`, as some tell whole requests.

    Of the HTTP server only warnings are of use, unless somebody names it.
    """
    levels = {name: logging.getLevelName(word.upper()) for name, word in levels_of(text).items()}
    general = levels[OTHERS]
    logging.getLogger().setLevel(max(general, logging.INFO))
    logging.getLogger("muster").setLevel(general)
    for room in ROOMS - {_HTTP}:
        logging.getLogger(f"muster.{room}").setLevel(levels.get(room, logging.NOTSET))
    http = levels.get(_HTTP, max(general, logging.WARNING))
    logging.getLogger(_HTTP).setLevel(max(http, logging.INFO))
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _secrets(settings: Settings) -> set[str]:
    found = set(secrets_of_person(settings.environ)) | secrets_of_url(settings.database_url)
    for name in ("token", "agents.key"):
        path: Path = settings.home / name
        found |= {path.read_text("utf-8").strip()} if path.is_file() else set()
    return found
