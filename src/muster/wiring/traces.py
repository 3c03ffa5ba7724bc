"""Traces for a collector of OpenTelemetry: what the store's events tell, sent in their order.

The number of the last event that was sent lies in a file; after a crash what came after it is sent
again under the same ids. The library is loaded when traces are wanted, and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from muster.domain.errors import Unavailable
from muster.domain.event import Event
from muster.domain.spans import Span, attempt_of, ended_by, ends_something, span_id_of, trace_id_of
from muster.settings import Settings
from muster.store import events
from muster.store.base import Store, Tx
from muster.wiring.mark import Mark

log = logging.getLogger("muster.wiring")

_AT_ONCE = 200
_MOST_OF_TASK = 100_000
_PAUSE = 5.0
_QUIET = 60.0


class Traces:
    """Follows the store and sends the spans that have ended."""

    def __init__(
        self, settings: Settings, store: Store, version: str, pause: float = _PAUSE
    ) -> None:
        """Prepare to send to the collector of the settings.

        Raises:
            Unavailable: the library is not installed.
        """
        self._store = store
        self._runs = settings.runs
        self._mark = Mark(settings.home / "traces.rev", store)
        self._exporter, self._library = _exporter(settings.otel_endpoint, version)
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow(), name="traces")

    async def stop(self) -> None:
        """Let go; what was not sent is sent by the next server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._exporter.shutdown)

    async def _follow(self) -> None:
        at = self._mark.seen()
        while True:
            try:
                newest, spans = await self._store.read(self._ended, at)
                if spans and not await asyncio.to_thread(self._send, spans):
                    log.warning("the collector took no traces; they are sent again")
                    await asyncio.sleep(self._pause)
                    continue
                if newest > at:
                    at = newest
                    await self._mark.keep(at)
                await self._store.feed.wait(at, _QUIET)
            except Exception:  # traces are beside the work, and must not end it
                log.exception("traces could not be made or sent; that is tried again")
                await asyncio.sleep(self._pause)

    def _ended(self, tx: Tx, at: int) -> tuple[int, list[Span]]:
        """How far it was read, and the spans that ended up to there."""
        found = events.events_after(tx, at, limit=_AT_ONCE)
        spans: list[Span] = []
        for event in found:
            if not ends_something(event):
                continue
            known = events.events_after(tx, 0, task_id=event.task_id, limit=_MOST_OF_TASK)
            before = [e for e in known if e.rev < event.rev]
            spans += ended_by(event, before)
            if event.type == "verdict.reached":
                spans += self._checks(event, before)
        return (found[-1].rev if found else at), spans

    def _checks(self, verdict: Event, before: Sequence[Event]) -> list[Span]:
        """The runs of checks that this verdict stands on, by the times of their records."""
        agent = next((e.subject for e in reversed(before) if e.type == "agent.starting"), "")
        task_id = str(verdict.task_id)
        found = []
        for folder in sorted((self._runs / agent / "checks").glob("*")) if agent else []:
            with contextlib.suppress(FileNotFoundError):  # it is no run, or has not ended
                began = int((folder / "started").stat().st_mtime * 1000)
                ended = int((folder / "exit.json").stat().st_mtime * 1000)
                own = span_id_of(task_id, "check", agent, folder.name)
                facts = {"run": folder.name}
                trace, parent = trace_id_of(task_id), attempt_of(task_id, before)
                span = Span(trace, own, parent, "check", began, max(began, ended), facts=facts)
                found.append(span)
        return found

    def _send(self, spans: Sequence[Span]) -> bool:
        made = [self._library.made(span) for span in spans]
        return bool(self._exporter.export(made) == self._library.success)


class _Library:
    """What is used of OpenTelemetry."""

    def __init__(self, version: str) -> None:
        self._sdk: Any = import_module("opentelemetry.sdk.trace")
        self._api: Any = import_module("opentelemetry.trace")
        export: Any = import_module("opentelemetry.sdk.trace.export")
        resources: Any = import_module("opentelemetry.sdk.resources")
        self.success = export.SpanExportResult.SUCCESS
        self._resource = resources.Resource({"service.name": "muster", "service.version": version})

    def made(self, span: Span) -> Any:
        """A span as the library has it."""
        api = self._api
        status = api.Status(api.StatusCode.ERROR if span.failed else api.StatusCode.OK)
        return self._sdk.ReadableSpan(
            name=span.name,
            context=self._context(span, span.span_id),
            parent=self._context(span, span.parent) if span.parent else None,
            resource=self._resource,
            attributes={f"muster.{name}": value for name, value in span.facts.items()},
            status=status,
            start_time=span.began * 1_000_000,
            end_time=span.ended * 1_000_000,
        )

    def _context(self, span: Span, span_id: str) -> Any:
        flags = self._api.TraceFlags(self._api.TraceFlags.SAMPLED)
        return self._api.SpanContext(
            int(span.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags
        )


def _exporter(endpoint: str, version: str) -> tuple[Any, _Library]:
    try:
        library = _Library(version)
        found: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise Unavailable(
            f"traces are wanted (otel_endpoint), and {error.name} is not installed",
            hint="pip install 'passmuster[otel]', or leave out otel_endpoint",
        ) from error
    return found.OTLPSpanExporter(endpoint=endpoint, timeout=10), library
