"""The walk of a task as a graph: every box inside the picture, every line between boxes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from muster.domain.task import Status
from muster.web.plan import HEIGHT, MOST, graph
from muster.web.states import STEPS, resolve
from web.fleet import STAGE_OF, FakeFleet


def drawn(status, before=0, after=0, asked=False):
    fleet = FakeFleet()
    needs = [fleet.add_task(f"Need {n}", "completed")["id"] for n in range(before)]
    task = fleet.add_task("One", status, needs=needs)
    others = [fleet.add_task(f"After {n}", "blocked", needs=[task["id"]]) for n in range(after)]
    known = [fleet.tasks[id] for id in needs]
    shapes = {t["id"]: "done" for t in known} | {t["id"]: "blocked" for t in others}
    detail = {**task, **fleet.details[task["id"]], "decisions": []}
    state = resolve(Status(status), asked=asked, held=False)
    return graph(detail, state, known, others, shapes, datetime.now(UTC))


@given(st.sampled_from(list(STAGE_OF)), st.integers(0, 6), st.integers(0, 6))
def test_every_box_lies_inside_the_picture_and_none_on_another(status, before, after):
    found = drawn(status, before, after)
    boxes = [(n.x, n.y, n.x + n.width, n.y + HEIGHT) for n in found.nodes]
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert right <= found.width
        assert top >= 0
        assert bottom <= found.height
    for n, one in enumerate(boxes):
        for other in boxes[n + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1]


def test_neighbours_are_few_and_the_rest_is_counted():
    found = drawn("executing", before=6, after=2)
    titles = [n.title for n in found.nodes]
    assert titles.count("4 more") == 1
    assert len(titles) == MOST + len(STEPS) + 2


def test_lines_lead_from_box_to_box_through_the_five_steps():
    found = drawn("monitoring", before=1, after=1)
    assert len(found.edges) == 1 + 4 + 1
    assert all(re.fullmatch(r"M[\d.]+ [\d.]+C[\d. -]+", line) for line, _ in found.edges)
    assert [done for _, done in found.edges] == ["done", "done", "done", "", "", ""]


def test_the_step_that_waits_for_a_person_says_so():
    found = drawn("waiting", asked=True)
    (here,) = [n for n in found.nodes if n.on]
    assert (here.title, here.sub, here.on) == ("Decide", "waits for you", "needs_you")
    assert "decide: needs you" in found.says
