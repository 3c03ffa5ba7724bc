"""Reports of test runners, honest and hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.errors import Invalid
from muster.supervision import junit
from muster.supervision.statuses import MAX_TESTS


def suite(*cases: str) -> bytes:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


def test_each_status_is_read() -> None:
    assert junit.parse(
        suite(
            '<testcase classname="a.B" name="passes"/>',
            '<testcase classname="a.B" name="fails"><failure message="x">…</failure></testcase>',
            '<testcase classname="a.B" name="errs"><error/></testcase>',
            '<testcase classname="a.B" name="skips"><skipped type="pytest.xfail"/></testcase>',
            '<testcase name="says"><system-out>failure error</system-out></testcase>',
            '<testcase name="not run" status="notrun"/>',
        )
    ) == {
        "a.B::passes": "passed",
        "a.B::fails": "failed",
        "a.B::errs": "error",
        "a.B::skips": "skipped",
        "::says": "passed",
        "::not run": "skipped",
    }


def test_the_worse_of_two_entries_for_one_test_counts() -> None:
    bad = '<testcase name="t"><error/></testcase>'
    good = '<testcase name="t"/>'
    assert junit.parse(suite(bad, good)) == junit.parse(suite(good, bad)) == {"::t": "error"}


def test_a_failure_deeper_inside_a_test_is_only_output() -> None:
    case = '<testcase name="t"><properties><failure/></properties></testcase>'
    assert junit.parse(suite(case)) == {"::t": "passed"}


def test_control_characters_do_not_reach_a_test_id() -> None:
    case = '<testcase name="a&#x202e;b&#9;c&#10;d"/>'
    (name,) = junit.parse(suite(case))
    assert "\u202e" not in name
    assert "\n" not in name


def test_long_ids_are_cut_and_stay_different() -> None:
    cases = [f'<testcase name="{"x" * 5000}{n}"/>' for n in range(2)]
    names = list(junit.parse(suite(*cases)))
    assert len(names) == 2
    assert max(map(len, names)) < 600


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    b"<testsuites>&b;</testsuites>"
)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (BOMB, "document type"),
        (BOMB.decode().encode("utf-16"), "document type"),
        (b'<!DOCTYPE testsuites SYSTEM "file:///etc/passwd"><testsuites/>', "document type"),
        (b"<testsuites>&x;</testsuites>", "undefined entity"),
        (b"<testsuites>" + b"<a>" * 100_000, "nested"),
        (b"<html/>", "first element"),
        (b"", "no element"),
        (b"<testsuites><testsuite>", "no element"),
        (b"\x00\xff garbage", "not usable"),
        (b'<?xml version="1.0" encoding="no-such"?><testsuites/>', "not usable"),
        (b'<testsuite><testcase name="a"><testcase name="b"/></testcase></testsuite>', "inside"),
        (b" " * (junit.MAX_BYTES + 1), "at most"),
    ],
)
def test_a_hostile_or_broken_report_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        junit.parse(data)


def test_too_many_tests_are_refused() -> None:
    cases = (f'<testcase name="{n}"/>' for n in range(MAX_TESTS + 1))
    with pytest.raises(Invalid, match="more than"):
        junit.parse(suite(*cases))


@given(st.binary(max_size=300) | st.text("<>/testcasuie=\"'& x!D[]", max_size=300).map(str.encode))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    try:
        tests = junit.parse(data)
    except Invalid:
        return
    assert isinstance(tests, dict)
