"""The notifier `command`: a program of the person's, with the notice as JSON on standard input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from muster.domain.errors import Invalid
from muster.notify.base import Notice, refuse_unknown
from muster.notify.process import run


class CommandNotifier:
    """Runs `command` once for each notice; nothing of the notice is ever an argument."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Read the options.

        Raises:
            Invalid: there is no command.
        """
        refuse_unknown(options, frozenset({"command"}))
        command = options.get("command")
        words = command if isinstance(command, list) else []
        if not words or not all(isinstance(word, str) and word for word in words):
            raise Invalid(
                "command must be a list of words", hint='for example command = ["my-notify"]'
            )
        self._argv = tuple(words)
        self._environ = environ

    async def send(self, notice: Notice) -> None:
        """Run it; status 0 says that the notice was taken."""
        await run(self._argv, self._environ, json.dumps(notice.as_json()).encode() + b"\n")
