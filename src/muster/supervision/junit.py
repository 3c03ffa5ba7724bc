"""JUnit XML → the status of each test, safe against hostile files."""

from __future__ import annotations

from xml.parsers import expat

from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED
from muster.supervision.statuses import Statuses, id_of, unusable, worse

MAX_BYTES = 20_000_000
MAX_DEPTH = 40

_STATUS = {"failure": FAILED, "error": ERROR, "skipped": SKIPPED}
_SAID = {
    "failed": FAILED,
    "failure": FAILED,
    "error": ERROR,
    "skipped": SKIPPED,
    "notrun": SKIPPED,
    "disabled": SKIPPED,
}


def parse(data: bytes) -> dict[str, str]:
    """Map each test's id (`class::name`) to passed, failed, error or skipped.

    The file was written by a stranger's program: no document type, no entities, bounded size,
    depth and number of tests.

    Raises:
        Invalid: the file is no JUnit report, or breaks a bound.
    """
    if len(data) > MAX_BYTES:
        raise unusable(f"it has {len(data)} bytes; {MAX_BYTES} are read at most")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.EntityDeclHandler = _no_entities
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise unusable(str(error)) from error
    except (LookupError, ValueError) as error:
        raise unusable(f"its encoding cannot be read: {error}") from error
    return reader.found.tests


def _no_doctype(*_: object) -> None:
    raise unusable("it has a document type declaration")


def _no_entities(*_: object) -> None:
    raise unusable("it declares entities")


class _Reader:
    """Follows the elements; keeps no text, so that long outputs cost nothing."""

    def __init__(self) -> None:
        self.found = Statuses()
        self._depth = 0
        self._case = ""
        self._case_depth = 0
        self._status = PASSED

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise unusable(f"its elements are nested more than {MAX_DEPTH} deep")
        name = tag.rpartition(":")[2]
        if self._depth == 1 and name not in {"testsuites", "testsuite"}:
            raise unusable(f"its first element is <{name[:40]}>, not <testsuites> or <testsuite>")
        if name == "testcase":
            self._begin(attributes)
        elif self._case and self._depth == self._case_depth + 1:
            self._status = worse(self._status, _STATUS.get(name, PASSED))

    def end(self, _tag: str) -> None:
        if self._case and self._depth == self._case_depth:
            self.found.add(self._case, self._status)
            self._case = ""
        self._depth -= 1

    def _begin(self, attributes: dict[str, str]) -> None:
        if self._case:
            raise unusable("a <testcase> stands inside another")
        place = attributes.get("classname") or attributes.get("class") or ""
        self._case = id_of(place, attributes.get("name", ""))
        self._case_depth = self._depth
        said = (attributes.get("result") or attributes.get("status") or "").lower()
        self._status = _SAID.get(said, PASSED)
