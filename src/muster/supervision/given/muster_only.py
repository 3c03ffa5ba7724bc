"""A plugin of pytest: only some tests are run, whatever the command names.

`only.json` beside it lists them by node id, or as `class::name` as JUnit reports do.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

ONLY = frozenset(
    json.loads(Path(os.environ["MUSTER_GIVEN"], os.environ["MUSTER_ONLY"]).read_text("utf-8"))
)


def junit_id(nodeid: str) -> str:
    """The id of a test as a report has it."""
    address, bracket, parameters = nodeid.partition("[")
    names = address.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return f"{'.'.join(names[:-1])}::{names[-1]}"


_PLACES = frozenset(re.split(r"::|\[", test, maxsplit=1)[0] for test in ONLY)


def pytest_ignore_collect(collection_path: Path, config: Any) -> bool | None:
    """Leave out files that have none of them; loading all takes longer than running one."""
    if collection_path.suffix != ".py" or collection_path.is_dir():
        return None
    try:
        place = collection_path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return None
    dotted = place[:-3].replace("/", ".")
    near = (p in {place, dotted} or p.startswith(f"{dotted}.") for p in _PLACES)
    return None if any(near) else True


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out the other tests of those files."""
    wanted = [i for i in items if i.nodeid in ONLY or junit_id(i.nodeid) in ONLY]
    left = [item for item in items if item not in set(wanted)]
    if left:
        config.hook.pytest_deselected(items=left)
    items[:] = wanted
