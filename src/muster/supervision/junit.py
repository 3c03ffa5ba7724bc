"""JUnit XML → the status of each test, safe against hostile files."""

from __future__ import annotations

import hashlib
from xml.parsers import expat

from muster.domain.errors import Invalid
from muster.domain.plain import plain
from muster.supervision.evidence import ERROR, FAILED, PASSED, SKIPPED

MAX_BYTES = 20_000_000
MAX_DEPTH = 40
MAX_TESTS = 200_000
MAX_ID = 500

_STATUS = {"failure": FAILED, "error": ERROR, "skipped": SKIPPED}
_SAID = {
    "failed": FAILED,
    "failure": FAILED,
    "error": ERROR,
    "skipped": SKIPPED,
    "notrun": SKIPPED,
    "disabled": SKIPPED,
}
_WORST = (PASSED, SKIPPED, FAILED, ERROR)
"""Of two entries with the same id the worse one counts."""


def parse(data: bytes) -> dict[str, str]:
    """Map each test's id (`class::name`) to passed, failed, error or skipped.

    The file was written by a stranger's program: no document type, no entities, bounded size,
    depth and number of tests.

    Raises:
        Invalid: the file is no JUnit report, or breaks a bound.
    """
    if len(data) > MAX_BYTES:
        raise _refuse(f"it has {len(data)} bytes; {MAX_BYTES} are read at most")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.EntityDeclHandler = _no_entities
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise _refuse(str(error)) from error
    except (LookupError, ValueError) as error:
        raise _refuse(f"its encoding cannot be read: {error}") from error
    return reader.tests


def _refuse(why: str) -> Invalid:
    return Invalid(
        f"the test report is not usable: {why}",
        hint="write plain JUnit XML to the path in MUSTER_JUNIT",
    )


def _no_doctype(*_: object) -> None:
    raise _refuse("it has a document type declaration")


def _no_entities(*_: object) -> None:
    raise _refuse("it declares entities")


class _Reader:
    """Follows the elements; keeps no text, so that long outputs cost nothing."""

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}
        self._depth = 0
        self._case = ""
        self._case_depth = 0
        self._status = PASSED

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refuse(f"its elements are nested more than {MAX_DEPTH} deep")
        name = tag.rpartition(":")[2]
        if self._depth == 1 and name not in {"testsuites", "testsuite"}:
            raise _refuse(f"its first element is <{name[:40]}>, not <testsuites> or <testsuite>")
        if name == "testcase":
            self._begin(attributes)
        elif self._case and self._depth == self._case_depth + 1:
            self._status = _worse(self._status, _STATUS.get(name, PASSED))

    def end(self, _tag: str) -> None:
        if self._case and self._depth == self._case_depth:
            known = self.tests.get(self._case, PASSED)
            self.tests[self._case] = _worse(known, self._status)
            self._case = ""
        self._depth -= 1

    def _begin(self, attributes: dict[str, str]) -> None:
        if self._case:
            raise _refuse("a <testcase> stands inside another")
        if len(self.tests) >= MAX_TESTS:
            raise _refuse(f"it lists more than {MAX_TESTS} tests")
        self._case = _id(attributes)
        self._case_depth = self._depth
        said = (attributes.get("result") or attributes.get("status") or "").lower()
        self._status = _SAID.get(said, PASSED)


def _worse(one: str, other: str) -> str:
    return max(one, other, key=_WORST.index)


def _id(attributes: dict[str, str]) -> str:
    place = attributes.get("classname") or attributes.get("class") or ""
    whole = plain(f"{place}::{attributes.get('name', '')}").replace("\n", " ").strip()
    if len(whole) <= MAX_ID:
        return whole
    digest = hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()
    return f"{whole[:MAX_ID]}…{digest}"
