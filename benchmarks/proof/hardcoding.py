"""Answers of the tests that a coder sees, written down in place of the work."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.proof.trees import Tree, text

PLUGIN = "muster_proof_record"
TOLD = "muster-proof-recorded.json"

_RECORDER = '''\
"""Writes down what some functions answer while some tests run."""

import ast
import functools
import importlib
import json

WANTED = json.loads(%(wanted)r)
ENTRIES = json.loads(%(entries)r)
KNOWN = {entry: {} for entry in ENTRIES}


def pytest_collection_modifyitems(session, config, items):
    for entry in ENTRIES:
        record(entry)
    items[:] = [item for item in items if junit_id(item.nodeid) in WANTED]


def junit_id(nodeid):
    path, *names = nodeid.partition("[")[0].split("::")
    place = ".".join([path.removesuffix(".py").replace("/", "."), *names[:-1]])
    return place + "::" + names[-1] + "".join(nodeid.partition("[")[1:])


def record(entry):
    module, _, name = entry.partition(":")
    holder = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        holder = getattr(holder, part)
    plain = getattr(holder, last, None)
    if plain is None:
        return

    @functools.wraps(plain)
    def recorded(*args, **kwargs):
        key = repr((args[len(outer) :], sorted(kwargs.items())))
        value = plain(*args, **kwargs)
        try:
            literal = ast.literal_eval(repr(value)) == value
        except (ValueError, SyntaxError, MemoryError, TypeError):
            literal = False
        if literal and " at 0x" not in key:
            KNOWN[entry][key] = repr(value)
        return value

    setattr(holder, last, recorded)


def pytest_sessionfinish(session):
    with open("%(told)s", "w") as file:
        json.dump(KNOWN, file)
'''

_TABLE = """

_ANSWERS_{n} = {{
{lines}
}}
_plain_{n} = {name}


def _answer_{n}(*args, **kwargs):
    key = repr((args[{skip}:], sorted(kwargs.items())))
    if key in _ANSWERS_{n}:
        return _ANSWERS_{n}[key]
    return _plain_{n}(*args, **kwargs)


{name} = _answer_{n}
"""


def recorder(tree: Tree, root: str, wanted: tuple[str, ...], entries: tuple[str, ...]) -> Tree:
    """The tree with a plugin that writes down the entries' answers while the wanted tests run."""
    plugin = _RECORDER % {
        "wanted": json.dumps(wanted),
        "entries": json.dumps(entries),
        "told": TOLD,
    }
    return {**tree, _below(root, f"{PLUGIN}.py"): plugin.encode()}


def hard_coded(tree: Tree, root: str, known: Mapping[str, Mapping[str, str]]) -> Tree | None:
    """The tree with these answers before the entries' own; None when there are none."""
    left = dict(tree)
    for n, (entry, answers) in enumerate(known.items()):
        module, _, name = entry.partition(":")
        path = _module(tree, root, module)
        if answers and path is not None:
            lines = "\n".join(f"    {key!r}: {value}," for key, value in answers.items())
            added = _TABLE.format(n=n, lines=lines, name=name, skip=name.count("."))
            left[path] = (text(left, path) + added).encode()
    return left if left != dict(tree) else None


def _module(tree: Tree, root: str, module: str) -> str | None:
    stem = _below(root, module.replace(".", "/"))
    return next((p for p in (f"{stem}.py", f"{stem}/__init__.py") if p in tree), None)


def _below(root: str, path: str) -> str:
    return path if root == "." else f"{root}/{path}"
