"""The page of figures: each chart says what the table says, and nothing is made up."""

from __future__ import annotations

import httpx
import pytest
from tests.client import canned

from muster.web.charts import HEIGHT, SQUARE, bars, columns, reliability, shares, stage_rows
from web.fleet import FakeFleet
from web.house_of_pages import make_app
from web.reading import Page

EVIL = "\"'><script>alert(1)</script>{{907*911}}\x1b]0;t\x07"


async def page_of(counted: dict | None = None, path: str = "/figures") -> tuple[int, str]:
    fleet = FakeFleet()
    fleet.add_project()
    if counted is not None:
        fleet.counted = counted
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(fleet)),
        base_url="http://localhost",
        cookies={"muster_session": "signed-in"},
    ) as client:
        answer = await client.get(path)
    return answer.status_code, answer.text


async def test_every_chart_has_a_table_that_says_the_same():
    status, html = await page_of(canned.metrics("payments"))
    page = Page(html)
    assert (status, page.faults()) == (200, [])
    assert len([e for e in page.all("svg") if e.attributes.get("role") == "img"]) == 3
    for said in ("80 %", "1.30", "Brier score 0.120", "0.200 by always", "0.75", "$1.25"):
        assert said in html, said
    assert "2026-11-20" in html


async def test_where_nothing_is_known_the_page_says_so():
    _, html = await page_of()
    for said in (
        "No task has ended in this time.",
        "No task has moved in this time.",
        "No verdict in this time.",
        "No outcomes yet of work that was given a confidence.",
        "Nothing was asked in this time.",
        "0 runs, and none said that it cost anything.",
    ):
        assert said in html, said
    assert '<circle class="dot"' not in html


async def test_names_of_strangers_are_only_text():
    counted = canned.metrics(EVIL)
    _, html = await page_of(counted)
    assert "<script>alert" not in html
    assert str(907 * 911) not in html.partition('id="figures-page"')[2].partition("</main>")[0]
    assert Page(html).faults() == []


@pytest.mark.parametrize(("query", "status"), [("since=24h", 200), ("since=soon", 422)])
async def test_since_is_in_the_address(query, status):
    assert (await page_of(path=f"/figures?{query}"))[0] == status


def test_columns_are_as_high_as_their_values():
    low, none, high = columns([("a", 1, "1"), ("b", 0, "0"), ("c", 2, "2")])
    assert (high.height, none.height) == (HEIGHT - 6, 0)
    assert low.height == high.height / 2
    assert low.x < none.x < high.x
    assert columns([("a", 0, "0")])[0].height == 0


def test_a_day_without_a_value_is_a_gap_and_no_zero():
    line = shares([("a", 0.0, ""), ("b", None, ""), ("c", 1.0, ""), ("d", 0.5, "")])
    assert [round(dot.y) for dot in line.dots] == [114, 6, 60]
    assert (line.path.count("M"), line.path.count("L")) == (2, 1)
    assert shares([]).path == ""


def test_what_was_as_right_as_it_said_lies_on_the_diagonal():
    dots = reliability(
        [
            {"count": 4, "said": 0.5, "right": 0.5},
            {"count": 0, "said": None, "right": None},
            {"count": 1, "said": 0.9, "right": 0.1},
        ]
    )
    assert [(d.x + d.y == SQUARE) for d in dots] == [True, False]
    assert dots[0].r > dots[1].r


def test_bars_are_shares_of_the_longest():
    assert bars([(1.0, 2.0), (None, None), (4.0, 8.0)]) == [(12.5, 25.0), (0.0, 0.0), (50.0, 100.0)]
    rows = stage_rows({"running": canned.spread(), "queued": canned.spread()})
    assert [row["name"] for row in rows] == ["queued", "running"]
