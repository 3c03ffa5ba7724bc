"""The notifier `desktop`: a bubble on the desktop of whoever started the server."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from muster.domain.plain import plain_line
from muster.notify.base import Notice, refuse_unknown
from muster.notify.process import run

_PROGRAM = "notify-send"
_MOST_TITLE, _MOST_TEXT = 120, 600


class DesktopNotifier:
    """Shows notices by `notify-send`, which all desktops of Linux have or can have."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Take no options.

        Raises:
            Invalid: there are some.
        """
        refuse_unknown(options, frozenset())
        self._environ = environ

    async def send(self, notice: Notice) -> None:
        """Show it; the text may not be markup, which desktops understand."""
        title = plain_line(notice.title, _MOST_TITLE)
        text = escape(plain_line(notice.text, _MOST_TEXT), quote=False)
        await run((_PROGRAM, "--app-name=muster", "--", title, text), self._environ)
