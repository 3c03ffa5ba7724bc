"""Routes of figures: as JSON, and as text for a monitor (Prometheus, version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse

from muster.domain.task import PLAN
from muster.service.counter import Service
from muster.service.figures import waits_of

Moment = Annotated[str | None, Query(max_length=60)]
Samples = Iterable[tuple[Mapping[str, str], float]]
"""Labels, each with a value."""
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics")
    async def metrics(project: str | None = None, since: Moment = None) -> Any:
        """What happened since a time (`7d`, `24h`, `all`, a moment), in figures."""
        return await service.metrics(project, since)

    @router.get("/agents/analytics")
    async def analytics(
        project: str | None = None, since: Moment = None, until: Moment = None
    ) -> Any:
        """How agents do, how their runs end, and how long work waits."""
        return await service.agent_analytics(project, since, until)

    return router


def exposition_route(service: Service) -> APIRouter:
    """The route that a monitor reads, outside `/api`."""
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics", response_class=PlainTextResponse)
    async def exposition() -> Any:
        """Counters and gauges for Prometheus."""
        return PlainTextResponse(
            exposition_text(await service.exposition_facts()), media_type=_TEXT
        )

    return router


def exposition_text(facts: Mapping[str, Any]) -> str:
    """Facts in the text format of Prometheus."""
    return "".join(f"{line}\n" for line in _lines(facts))


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    ended, runs, spent = facts["ended"], facts["runs"], facts["spent"]
    yield from _family(
        "muster_build_info", "gauge", "The version that runs.", [({"version": facts["version"]}, 1)]
    )
    yield from _family(
        "muster_start_time_seconds",
        "gauge",
        "When the server started.",
        [({}, facts["started_at"])],
    )
    yield from _family(
        "muster_events_total", "counter", "Events written so far.", [({}, facts["rev"])]
    )
    yield from _family(
        "muster_tasks",
        "gauge",
        "Tasks by where they stand now.",
        [({"stage": stage}, count) for stage, count in sorted(facts["stages"].items())],
    )
    yield from _family(
        "muster_tasks_ended_total",
        "counter",
        "Tasks that ended, by project, type, agent, end and kind.",
        [(_of(e), e.tasks) for e in ended],
    )
    yield from _family(
        "muster_attempts_total",
        "counter",
        "Attempts of tasks that ended.",
        [(_of(e), e.attempts) for e in ended if e.kind != PLAN],
    )
    yield from _family(
        "muster_agents_live", "gauge", "Agents that start or run now.", [({}, facts["live"])]
    )
    yield from _family(
        "muster_runs_total",
        "counter",
        "Agents' runs, by driver and outcome.",
        [({"driver": r.driver, "outcome": r.outcome}, r.runs) for r in runs],
    )
    yield from _family(
        "muster_run_seconds_total",
        "counter",
        "How long agents ran.",
        [({"driver": r.driver, "outcome": r.outcome}, round(r.seconds, 3)) for r in runs],
    )
    drivers = sorted({s.driver for s in spent})
    yield from _family(
        "muster_cost_usd_total",
        "counter",
        "What agents cost, as they say.",
        [
            ({"driver": d}, round(sum(s.cost_usd for s in spent if s.driver == d), 6))
            for d in drivers
        ],
    )
    yield from _family(
        "muster_tokens_total",
        "counter",
        "Tokens that agents used, as they say.",
        [
            ({"driver": d, "direction": way}, sum(getattr(s, name) for s in spent if s.driver == d))
            for d in drivers
            for way, name in (("input", "input_tokens"), ("output", "output_tokens"))
        ],
    )
    yield from _questions(facts)
    yield from _family(
        "muster_queue_paused", "gauge", "1 while the queue is paused.", [({}, int(facts["paused"]))]
    )
    yield from _summary(
        "muster_stage_seconds",
        "How long tasks stayed in a stage, over the last day.",
        [({"stage": stage}, spread) for stage, spread in sorted(facts["stays"].items())],
    )


def _of(ended: Any) -> dict[str, str]:
    names = {"project": "project", "type": "type", "agent": "agent", "end": "stage", "kind": "kind"}
    return {label: getattr(ended, name) for label, name in names.items()}


def _questions(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from _family(
        "muster_questions_open",
        "gauge",
        "Questions that wait for a person, by kind.",
        [({"kind": kind}, count) for kind, count in sorted(facts["open"].items())],
    )
    yield from _family(
        "muster_rules_held_total",
        "counter",
        "How often each rule of breakpoints held.",
        [({"rule": rule}, count) for rule, count in facts["rules"].items()],
    )
    kinds = sorted({a.kind for a in facts["asked"]})
    yield from _summary(
        "muster_answer_seconds",
        "How long people took to answer, by kind of question, over the last day.",
        [({"kind": k}, waits_of(a for a in facts["asked"] if a.kind == k)) for k in kinds],
    )
    sure = [s for s in facts["confidence"] if s.told]
    told = sum(s.told for s in sure)
    mean: Samples = []
    if told:
        mean = [({}, round(sum(s.confidence * s.told for s in sure) / told, 4))]
    yield from _family(
        "muster_confidence_mean", "gauge", "Mean confidence of the last day's verdicts.", mean
    )


def _family(name: str, kind: str, about: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{_labels(labels)} {value}"


def _summary(
    name: str, about: str, samples: Iterable[tuple[Mapping[str, str], Any]]
) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} summary"
    for labels, spread in samples:
        for share, value in (("0.5", spread.p50), ("0.95", spread.p95)):
            if value is not None:
                yield f"{name}{_labels({**labels, 'quantile': share})} {value}"
        yield f"{name}_sum{_labels(labels)} {round(spread.total, 3)}"
        yield f"{name}_count{_labels(labels)} {spread.count}"


def _labels(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    clean = value.encode("utf-8", "replace").decode()
    return clean.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
