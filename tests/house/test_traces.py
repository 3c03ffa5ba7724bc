"""Traces: one per task, every span once under an id that a restart does not change."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from engine.houses import shell, town
from house.patience import PATIENCE
from muster.domain.person import Person
from muster.domain.spans import trace_id_of
from muster.wiring.traces import Traces


class Collector(ThreadingHTTPServer):
    """A collector on loopback that reads what comes with the library's own schema."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list = []
        self.refuse = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        if self.server.refuse:
            self.server.refuse -= 1
            self.send_response(400)
        else:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.server.spans += scope.spans
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        found.shutdown()


async def until(collector: Collector, names: set[str]) -> dict:
    async with asyncio.timeout(PATIENCE):
        while not names <= {span.name for span in collector.spans}:
            await asyncio.sleep(0.02)
    return {span.span_id: span for span in collector.spans}


WALK = {"task", "attempt 1", "attempt 2", "stage queued", "stage running", "agent", "check"}


async def test_a_task_is_one_trace_with_its_parts_below_each_other(tmp_path, collector):
    agents = {"slow": shell("[ $MUSTER_ATTEMPT = 1 ] || echo x > new.txt")}
    async with town(tmp_path, agents, test_command="true") as place:
        place.settings = replace(place.settings, otel_endpoint=collector.url)
        await place.restart()
        task = await place.do("slow", type="chore", autonomy="confirm")
        await place.service.resolve_breakpoint(task["breakpoint_id"], "merge", by=Person("you"))
        await place.until(task["id"], "completed")
        by_id = await until(collector, WALK | {"question", "stage merging"})
    assert len(by_id) == len(collector.spans), "no span twice"
    assert {span.trace_id.hex() for span in by_id.values()} == {trace_id_of(task["id"])}
    roots = [span for span in by_id.values() if not span.parent_span_id]
    assert [span.name for span in roots] == ["task"]
    for span in by_id.values():
        assert span.start_time_unix_nano <= span.end_time_unix_nano, span.name
        parent = by_id.get(span.parent_span_id)
        assert parent is not None or span in roots, span.name
        if span.name in {"stage running", "agent", "check", "stage merging", "question"}:
            assert parent.name.startswith("attempt"), span.name
    names = [span.name for span in by_id.values()]
    assert (names.count("agent"), names.count("stage running")) == (2, 2)


async def test_a_crash_and_a_collector_that_refuses_lose_and_double_nothing(tmp_path, collector):
    async with town(tmp_path, {"good": shell("echo x > n.txt")}, test_command="true") as place:
        settings = replace(place.settings, otel_endpoint=collector.url)
        first = Traces(settings, place.house.store, "0")
        first.start()
        await asyncio.sleep(0)
        before = place.service.current_rev()
        first._task.cancel()  # as if it were killed before it had sent anything
        task = await place.do("good", type="chore")
        collector.refuse = 2
        second = Traces(settings, place.house.store, "0", pause=0.05)
        second.start()
        await until(collector, {"task", "stage merging"})
        async with asyncio.timeout(PATIENCE):  # the mark is written after what it marks was sent
            while int((place.home / "traces.rev").read_text()) <= before:
                await asyncio.sleep(0.02)
        await second.stop()
        sent = {span.span_id for span in collector.spans}
        assert collector.refuse == 0
        assert len(collector.spans) == len(sent), "what was refused came once"
        (place.home / "traces.rev").write_text(f"{before}\n")  # the mark was not written
        third = Traces(settings, place.house.store, "0")
        third.start()
        async with asyncio.timeout(PATIENCE):
            while [s.name for s in collector.spans].count("task") < 2:
                await asyncio.sleep(0.02)
        await third.stop()
    assert {s.span_id for s in collector.spans} == sent, "the same ids again"
    assert {s.trace_id.hex() for s in collector.spans} == {trace_id_of(task["id"])}


def test_nothing_of_it_is_loaded_while_it_is_off():
    said = "import sys, muster.wiring.house; print([m for m in sys.modules if 'opentel' in m])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
