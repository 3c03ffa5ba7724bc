"""The page of figures: what the counter counted, as its template draws it."""

from __future__ import annotations

from typing import Any

from muster.web.charts import columns, reliability, shares, stage_rows
from muster.web.counter import Row
from muster.web.phrases import money

SPANS = (("24h", "Day"), ("7d", "Week"), ("30d", "Month"), ("all", "All"))
"""What the page offers to count from; the second is what it begins with."""
MOST_DAYS = 60
"""So many days at most are drawn; the table has no more either."""


def in_figures(found: Row) -> dict[str, Any]:
    """What the template needs: the figures, and their charts."""
    days = found["confidence"][-MOST_DAYS:]
    spent = dict(list(found["cost"]["by_day"].items())[-MOST_DAYS:])
    tasks = found["tasks"]
    return {
        "tasks": tasks,
        "ended": tasks["completed"] + tasks["failed"] + tasks["cancelled"],
        "by": [
            (kind, name, own)
            for kind in ("project", "type", "agent", "kind")
            for name, own in tasks[f"by_{kind}"].items()
            if kind != "kind" or name != "work"
        ],
        "stages": stage_rows(found["stages"]),
        "days": days,
        "verdicts": sum(day["verdicts"] for day in days),
        "sure": shares([(d["day"], d["mean"], _mean(d)) for d in days]),
        "reliability": found["reliability"],
        "right": reliability(found["reliability"]["bins"])
        if found["reliability"]["brier"] is not None
        else [],
        "questions": found["questions"],
        "kinds": list(found["questions"]["by_kind"].items()),
        "people": list(found["questions"]["by_person"].items()),
        "rules": list(found["rules"].items()),
        "cost": {**found["cost"], "by_day": spent},
        "spent": columns(
            [(d, own["cost_usd"], money(own["cost_usd"])) for d, own in spent.items()]
        ),
    }


def _costs(by_day: Row) -> list[tuple[str, float]]:
    return [(day, own["cost_usd"]) for day, own in by_day.items()]


def _mean(day: Row) -> str:
    return "" if day["mean"] is None else f"{day['mean']:.2f} of {day['told']}"
