"""The parts a page is made of: named pieces of HTML that can be sent again when they change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import blake2s
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from muster.domain.plain import pictured
from muster.web import phrases
from muster.web.assets import Assets
from muster.web.states import LOOKS, STEPS

FOLDER = Path(__file__).parent / "templates"
# What a clock says grows by itself, in the browser; it is no reason to send a part again.
TICKING = re.compile(r"(<time\b[^>]*>)[^<]*")
REMEMBERED = 4000
FILTERS: tuple[Callable[..., Any], ...] = (
    phrases.span,
    phrases.age,
    phrases.clock,
    phrases.money,
    phrases.count,
    phrases.size,
    phrases.mark,
    phrases.agent_name,
    phrases.plain,
    phrases.step_word,
    phrases.visible,
    pictured,
    phrases.humane,
    phrases.sparkline,
    phrases.seconds_since,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a page; `list` names the list that it is an item of."""

    id: str
    html: Markup
    digest: str
    list: str = ""


Parts = Mapping[str, Part]


class Painter:
    """Draws parts and pages from templates, with everything escaped."""

    def __init__(self, assets: Assets) -> None:
        """Load the templates once."""
        self.assets = assets
        self.env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=_seen,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.env.globals.update(
            asset=assets.url, sprite=assets.url("vendor/icons.svg"), steps=STEPS, looks=LOOKS
        )
        for drawn in FILTERS:
            self.env.filters[drawn.__name__] = drawn
        self.env.filters["local"] = local

    def part(self, id: str, template: str, *, of: str = "", **context: Any) -> Part:
        """Draw one part; its template's first element carries `id` and an empty `data-h`."""
        html = self.env.get_template(template).render(id=id, **context).strip()
        digest = blake2s(TICKING.sub(r"\1", html).encode(), digest_size=6).hexdigest()
        marked = html.replace('data-h=""', f'data-h="{digest}"', 1)
        return Part(id, Markup(marked), digest, of)  # noqa: S704 (drawn with autoescape)

    def page(self, template: str, **context: Any) -> str:
        """Draw a whole page."""
        return self.env.get_template(template).render(**context)


class Remembered:
    """Parts that were drawn before, so that a card is drawn once for all who look at it."""

    def __init__(self, painter: Painter) -> None:
        """Remember nothing yet."""
        self._painter = painter
        self._parts: dict[tuple[Any, ...], Part] = {}

    def part(self, key: tuple[Any, ...], id: str, template: str, **context: Any) -> Part:
        """The part drawn for the same key before, or drawn now."""
        if key not in self._parts:
            if len(self._parts) >= REMEMBERED:
                self._parts.clear()
            self._parts[key] = self._painter.part(id, template, **context)
        return self._parts[key]


def _seen(value: Any) -> Any:
    """What a template puts out, without escapes and control characters, whoever wrote it."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return phrases.visible(value)
    return value


@cache
def the_painter() -> Painter:
    """The one painter of this process; it holds templates and files, and nothing of any fleet."""
    return Painter(Assets())


def by_id(parts: Iterable[Part]) -> dict[str, Part]:
    """Parts under their names, in the order given."""
    return {part.id: part for part in parts}


def local(text: str | None, form: str = "%H:%M") -> str:
    """A time of day where the server stands; the browser puts in its own."""
    when: datetime | None = phrases.moment(text)
    return when.astimezone().strftime(form) if when else ""
