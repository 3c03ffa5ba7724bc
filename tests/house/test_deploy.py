"""The files that run the server in a container: what they promise, and that their commands work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from house.patience import PATIENCE
from house.trees import ROOT
from muster.client.home import running_server
from muster.wiring.log_file import KEPT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def filled(text: str, env: Mapping[str, str]) -> str:
    """The text with variables of the surroundings, as Compose fills them in."""
    return VARIABLE.sub(lambda found: env.get(found[1]) or found[2], text)


def compose(**env: str) -> dict[str, Any]:
    """The one service of the Compose file."""
    document = yaml.safe_load(filled((DEPLOY / "compose.yaml").read_text(), env))
    assert set(document) == {"services", "volumes"}
    service: dict[str, Any] = document["services"]["muster"]
    for volume in service["volumes"]:
        named = volume.partition(":")[0]
        assert named.startswith((".", "/")) or named in document["volumes"]
    return service


def said(instruction: str) -> str:
    """The rest of the last line of the Dockerfile that begins with an instruction."""
    joined = DOCKERFILE.replace("\\\n", " ")
    found: str = re.findall(rf"^{instruction}\s+(.*)$", joined, re.MULTILINE)[-1]
    return found


def test_a_container_is_reached_by_this_machine_alone_and_keeps_what_counts():
    service = compose()
    assert service["ports"] == ["127.0.0.1:3020:3020"]
    assert compose(MUSTER_PORT="4000")["ports"] == ["127.0.0.1:4000:4000"]
    assert compose(MUSTER_PORT="4000")["environment"]["MUSTER_PORT"] == 4000
    home = re.search(r"MUSTER_HOME=(\S+)", DOCKERFILE)
    assert home is not None
    assert f"home:{home[1]}" in service["volumes"]
    assert said("VOLUME") == home[1]
    assert (service["init"], service["restart"]) == (True, "unless-stopped")
    options = service["logging"]["options"]
    assert options == {"max-size": "10m", "max-file": str(KEPT)}


def test_a_container_holds_no_rights_and_no_secret():
    service = compose()
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert "docker.sock" not in json.dumps(service)
    assert said("USER") == "muster"
    keys = [name for name in service["environment"] if not name.startswith("MUSTER_")]
    assert keys
    assert [service["environment"][name] for name in keys] == [None] * len(keys)


def test_the_image_is_given_the_package_and_nothing_else_of_the_repository():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    wanted = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert wanted == {"LICENSE", "README.md", "pyproject.toml", "src"}
    assert all((ROOT / name).exists() for name in wanted)


def test_the_commands_of_the_container_start_a_server_whose_health_is_seen(home: Path):
    """Here they run on this machine; the port is one that is free, as the container has its own."""
    service = compose(MUSTER_PORT="0")
    env = {k: str(v) for k, v in service["environment"].items() if v is not None}
    env = {**os.environ, **env, "MUSTER_HOME": str(home)}
    python, *check = json.loads(said("HEALTHCHECK").partition(" CMD ")[2])
    assert python == "python3"
    (command,) = json.loads(said("ENTRYPOINT"))
    assert command == "muster"
    argv = [sys.executable, "-m", command, *json.loads(said("CMD"))]
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE) as server:
        try:
            assert server.stderr is not None
            listens = json.loads(server.stderr.readline())
            running = running_server(home)
            assert running is not None
            assert listens["message"].endswith(f"listens on {running.url}")
            assert running.url.startswith("http://127.0.0.1:")
            port = running.url.rpartition(":")[2]
            healthy = [sys.executable, *check]
            done = subprocess.run(healthy, env={**env, "MUSTER_PORT": port}, timeout=PATIENCE)
            assert done.returncode == 0
        finally:
            server.terminate()
            server.communicate()
    quiet = subprocess.run(healthy, env={**env, "MUSTER_PORT": port}, stderr=subprocess.DEVNULL)
    assert quiet.returncode != 0
