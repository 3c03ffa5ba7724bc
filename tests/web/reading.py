"""Reads a page as a strict reader would: every tag closed, every id once, nothing inline."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "circle", "use"}


@dataclass
class Element:
    """One element as it was opened."""

    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


class Page(HTMLParser):
    """All elements of a page, in order; raises on a page that is not well made."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {[e.tag for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open, f"closed but never opened: {tag}"
        assert self._open[-1].tag == tag, f"{tag} closed inside {self._open[-1].tag}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text.append(data)

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            e
            for e in self.elements
            if (not tag or e.tag == tag)
            and all(
                value in e.attributes.get(name, "").split()
                if name == "class"
                else e.attributes.get(name) == value
                for name, value in wanted.items()
            )
        ]

    def one(self, tag: str = "", **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    @property
    def text(self) -> str:
        return self.one("body").words

    def faults(self) -> list[str]:
        """What no page may have: doubled ids, inline style or script, dead references."""
        ids = [e.attributes["id"] for e in self.elements if "id" in e.attributes]
        found = [f"id {i} twice" for i in {i for i in ids if ids.count(i) > 1}]
        for element in self.elements:
            for name, value in element.attributes.items():
                if name == "style" or name.startswith("on"):
                    found.append(f"{element.tag} has {name}")
                if name in {"aria-labelledby", "aria-controls", "for", "list"}:
                    found += [f"{name} names no {i}" for i in value.split() if i not in ids]
            if element.tag == "style" or (element.tag == "script" and element.words):
                found.append(f"an inline {element.tag}")
        return found
