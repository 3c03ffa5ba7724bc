"""The driver of agents that tell their work as JSON lines.

Facts: the prompt on standard input; on standard output one JSON object a line: {"say": TEXT},
{"cost_usd": TOTAL} and, as the last act, {"done": TEXT}. Status 0 without "done" is no success.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from muster.agents import options
from muster.agents.base import Capabilities, Ending, Fact, Found, Job, Launch
from muster.agents.endings import by_why, status_words
from muster.agents.program import find_program
from muster.agents.said import Lines, readable
from muster.domain.agent import Outcome
from muster.domain.errors import Invalid, Refused


class JsonlDriver:
    """Drives the program that `command` of `[agents.NAME]` names."""

    name = "jsonl"
    capabilities = Capabilities(structured=True, reports_cost=True)

    def find(self, environ: Mapping[str, str]) -> Found:
        """The program is named in the settings, so that there is nothing to look for."""
        return Found(None, hint='name it: [agents.NAME] driver = "jsonl", command = ["my-agent"]')

    def launch(self, job: Job) -> Launch:
        """The command, with the prompt on its standard input."""
        options.refuse_unknown(job.options, frozenset({"command", "env", "pass_env"}))
        command = options.words(job.options, "command")
        if not command:
            raise Invalid("command is missing", hint='for example command = ["my-agent"]')
        path = find_program(command[0], job.environ)
        if path is None:
            raise Refused(f"'{command[0]}' is not on this machine", hint="install it")
        own = options.environment(job.options, job.environ)
        return Launch(
            argv=(path, *command[1:]),
            env={**own, "PWD": str(job.workspace)},
            stdin=job.prompt.encode("utf-8", "replace"),
            secrets=options.secrets_in(own),
        )

    def reader(self, job: Job) -> JsonlReader:
        """A fresh reader."""
        return JsonlReader()


class JsonlReader:
    """Reads one run."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._done: str | None = None

    def feed(self, data: bytes) -> Sequence[Fact]:
        """The facts in the lines that these bytes complete."""
        return [fact for line in self._lines.feed(data) for fact in self._facts(line)]

    def end(self, code: int | None, why: str) -> Ending:
        """Completed only by status 0 and the program's own announcement."""
        list(self._facts(self._lines.rest()))
        if decided := by_why(why):
            return decided
        if code == 0 and self._done is not None:
            return Ending(Outcome.COMPLETED, self._done or status_words(code))
        missing = "" if self._done is not None else ", without saying that it is done"
        return Ending(Outcome.FAILED, f"{status_words(code)}{missing}")

    def _facts(self, line: bytes) -> Iterator[Fact]:
        try:
            told: Any = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(told, dict):
            return
        if isinstance(told.get("say"), str):
            yield Fact("text", {"text": readable(told["say"])})
        cost = told.get("cost_usd")
        if isinstance(cost, float) and math.isfinite(cost):
            yield Fact("usage", {"cost_usd": cost})
        if isinstance(told.get("done"), str):
            self._done = readable(told["done"])
            yield Fact("finished", {"text": self._done})
