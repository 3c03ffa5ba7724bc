"""Records what real test runners leave: `python -m supervision.record_runners NAME…`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from muster.supervision.runner_cargo import CargoTest
from muster.supervision.runner_go import GoTest
from muster.supervision.runner_js import Jest, Vitest
from supervision.runner_samples import CARGO, CASSETTES, GO, JEST, VITEST, finished

KNOWN = {"cargo": (CargoTest(), CARGO), "go": (GoTest(), GO), "jest": (Jest(), JEST),
         "vitest": (Vitest(), VITEST)}  # fmt: skip


def record(name: str) -> None:
    runner, sample = KNOWN[name]
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder).resolve() / "w"
        line, beside = runner.telling(sample.command)
        _, ran = finished(line, beside, sample, where)
        texts = {"report": ran.report and ran.report.decode(), "output": ran.output,
                 "whole": ran.whole()}  # fmt: skip
        goroot = os.environ.get("GOROOT", "/usr/lib/go")
        plain = {
            key: text and text.replace(str(where), "/w").replace(goroot, "/usr/lib/go")
            for key, text in texts.items()
        }
        CASSETTES.mkdir(parents=True, exist_ok=True)
        (CASSETTES / f"{name}.json").write_text(json.dumps(plain, indent=1) + "\n")


for each in sys.argv[1:]:
    record(each)
