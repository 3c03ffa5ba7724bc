"""What a contained run that failed was kept from, and the setting that lets it through."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from muster.domain.errors import Invalid
from muster.domain.project import Project
from muster.runtimes.base import Runtime
from muster.runtimes.egress import USUAL_PORTS, rules
from muster.runtimes.refusals import NETWORK, read_refusals
from muster.runtimes.rundir import RunDir
from muster.runtimes.visible import installation

_MOST = 5
_TAIL = 8192
_NOT_FOUND = re.compile(
    r"(?:^|[\s:'\"\u2018])([^\s:'\"\u2018\u2019]{1,300})['\"\u2019]?: "
    r"(?:command not found|not found|No such file or directory|cannot execute)",
    re.MULTILINE,
)


def kept_out(
    runtime: Runtime,
    run_dir: Path,
    project: Project,
    env: Mapping[str, str],
    code: int | None,
    setting: str = "network",
) -> str:
    """In words for a person, empty when it was kept from nothing.

    `setting` is the narrowest one that lets such a run go further.
    """
    if code == 0:
        return ""
    # Another machine contains it too, and its programs are not these.
    here = _programs(run_dir, project, env, code) if runtime.distance.contains else ()
    return "; ".join([*_network(run_dir, project, setting), *here])


def _network(run_dir: Path, project: Project, setting: str) -> Iterator[str]:
    found, _ = read_refusals(run_dir)
    places = dict.fromkeys(
        place
        for refusal in found
        if refusal.kind == NETWORK and (place := _rule(refusal.host, refusal.port))
    )
    if not places:
        return
    first = list(places)[:_MOST]
    more = f" and {len(places) - _MOST} more" if len(places) > _MOST else ""
    allowed = getattr(project.settings, setting) or ()
    wanted = ",".join(dict.fromkeys((*allowed, *first)))
    yield (
        f"its network refused {', '.join(first)}{more}; if it needs that: "
        f"muster project set {project.name} {setting} {wanted}"
    )


def _rule(host: str, port: int) -> str:
    """The rule that lets through to it; empty where the stranger's text is no place."""
    text = f"[{host}]" if ":" in host else host
    text = text if port in USUAL_PORTS else f"{text}:{port}"
    try:
        rules((text,))
    except Invalid:
        return ""
    return text


def _programs(
    run_dir: Path, project: Project, env: Mapping[str, str], code: int | None
) -> Iterator[str]:
    if code not in {126, 127}:
        return
    record = RunDir(run_dir)
    page = record.log(max(0, record.log_size() - _TAIL), _TAIL)
    said = "".join(item.text for item in page.items)
    for name in dict.fromkeys(_NOT_FOUND.findall(said)):
        path = shutil.which(name, path=env.get("PATH", os.defpath))
        if path is None or not path.startswith("/") or not installation(path):
            continue  # it is nowhere, or a part of the system, which is shown
        wanted = ",".join(dict.fromkeys((*(project.settings.readable or ()), path)))
        yield (
            f"{path} is on this machine and is not shown to a contained run; if it needs that: "
            f"muster project set {project.name} readable {wanted} (or runtime process)"
        )
        return
