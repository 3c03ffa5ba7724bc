"""LCOV and Cobertura → which lines were executed; the file was written by a stranger's program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

MOST_FILES = 20_000
MOST_LINES = 2_000_000
MAX_DEPTH = 40
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Lines:
    """For each file, by its path in the project, whether each line was executed."""

    of: Mapping[str, Mapping[int, bool]]
    by: str


def read_report(text: str, root: str) -> Lines | str:
    """What a report says, or why it says nothing. `root` is where the tests ran."""
    if re.match(r"(?:TN:|SF:)", text.lstrip()):
        return _Files(root).lcov(text)
    if text.lstrip().startswith("<"):
        return _cobertura(text, root)
    return "the coverage report is neither LCOV nor Cobertura"


class _Files:
    """The files of a report while it is read."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") + "/" if root else ""
        self.of: dict[str, dict[int, bool]] = {}
        self._lines: dict[int, bool] = {}
        self._left = MOST_LINES

    def file(self, path: str) -> None:
        """The lines from here on are of this file."""
        inside = path.removeprefix(self.root).removeprefix("./") if self.root else path
        if len(self.of) >= MOST_FILES:
            raise ValueError(f"it names more than {MOST_FILES} files")
        self._lines = self.of.setdefault(inside, {})

    def line(self, number: str, hits: str) -> None:
        """One line of it; of two entries for a line one hit is enough."""
        if not _NUMBER.fullmatch(number) or not re.fullmatch(r"[0-9]{1,18}", hits):
            raise ValueError("a line of it has no number or no count")
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it lists more than {MOST_LINES} lines")
        at = int(number)
        self._lines[at] = self._lines.get(at, False) or int(hits) > 0

    def lcov(self, text: str) -> Lines | str:
        try:
            for line in text.splitlines():
                kind, _, rest = line.partition(":")
                if kind == "SF":
                    self.file(rest.strip())
                elif kind == "DA":
                    number, hits, *_ = [*rest.strip().split(","), ""]
                    self.line(number, hits)
        except ValueError as error:
            return f"the coverage report is not usable: {error}"
        return Lines(self.of, "lcov")


class _Cobertura:
    """Hears the elements of such a file."""

    def __init__(self, root: str) -> None:
        self.files = _Files(root)
        self._sources: list[str] = []
        self._depth = 0
        self._words: str | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"its elements are nested more than {MAX_DEPTH} deep")
        if self._depth == 1 and tag != "coverage":
            raise ValueError("its first element is not <coverage>")
        self._words = "" if tag == "source" else None
        if tag == "class":
            self.files.file(self._placed(attributes.get("filename", "")))
        elif tag == "line":
            self.files.line(attributes.get("number", ""), attributes.get("hits", ""))

    def end(self, _tag: str) -> None:
        if self._words and self._words.strip():
            self._sources.append(self._words.strip())
        self._words = None
        self._depth -= 1

    def words(self, data: str) -> None:
        if self._words is not None:
            self._words = (self._words + data)[:4096]

    def refuse(self, *_of_it: object) -> None:
        raise ValueError("it declares entities")

    def _placed(self, name: str) -> str:
        """A file's path in the project: names are relative to the only source, if there is one."""
        if name.startswith("/") or len(self._sources) != 1:
            return name
        source = self._sources[0].rstrip("/") + "/"
        return source.removeprefix(self.files.root) + name


def _cobertura(text: str, root: str) -> Lines | str:
    reader = _Cobertura(root)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.words
    parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        return f"the coverage report is not usable: {error}"
    return Lines(reader.files.of, "cobertura")
