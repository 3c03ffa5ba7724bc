"""The docker runtime: what every place does, and what only containers and their engine can do."""

from __future__ import annotations

import pytest

from contracts.runtime import RuntimeContract
from muster.runtimes.docker import DockerRuntime
from muster.runtimes.rundir import RunDir


@pytest.mark.needs_docker
@pytest.mark.usefixtures("docker_engine")
class TestDockerRuntime(RuntimeContract):
    """The suite for all places."""

    interpreter = "python3"

    def make_runtime(self) -> DockerRuntime:
        """A fresh object; all of them know each other's runs."""
        return DockerRuntime()

    def limits_memory(self, record: RunDir) -> bool:
        """The engine does it here."""
        del record
        return True
