"""What added text only announces is seen; what is meant to be empty is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from house.trees import ROOT
from muster.supervision.placeholders import left_out, stub_in

LEFT_OUT = [
    "    # rest of the code remains unchanged", "// ... rest of the function stays the same ...",
    "/* existing code here */", "# your code here", "    // Your implementation goes here",
    "<!-- rest of the file unchanged -->", "{/* rest of the component unchanged */}",
    "# (rest of the class as before)", "-- code omitted for brevity", "# existing imports ...",
    "    # ... existing methods unchanged", "; remainder of the module continues",
]  # fmt: skip
WHOLE = [
    "# the rest of the file is parsed by the caller", "rest = code.rest_of(unchanged)",
    "# existing code paths call this with a lock held", "x = 'your code here'",
    "// keep the existing methods in order", "# see the rest of the docs",
    "print('rest of the code remains unchanged')", "# your code is formatted by ruff",
    "# comments are omitted from the digest",
]  # fmt: skip


@pytest.mark.parametrize("line", LEFT_OUT)
def test_code_left_out_behind_a_comment_is_seen(line):
    assert left_out("src/a.py", f"x = 1\n{line}\ny = 2\n")
    assert not left_out("docs/a.md", line)


@pytest.mark.parametrize("line", WHOLE)
def test_a_comment_that_only_sounds_like_it_is_not(line):
    assert not left_out("src/a.py", line)


STUBS = [
    ("a.py", "def add(a, b):\n    raise NotImplementedError\n"),
    ("a.py", 'async def add(\n  a: int,\n) -> int:\n  """Add."""\n  raise NotImplementedError()\n'),
    ("a.py", 'def add(a):\n    """Add.\n\n    More.\n    """\n    # TODO: implement\n    pass\n'),
    ("a.py", "class Sums:\n    def add(self):\n        raise NotImplementedError('later')\n"),
    ("a.ts", "export function add(a: number) {\n  throw new Error('Not implemented');\n}\n"),
    ("a.js", "const add = (a) => {\n  // later\n  throw new Error(\"not implemented yet\")\n}\n"),
    ("a.rs", "fn add(a: i32) -> i32 {\n    todo!()\n}\n"),
    ("a.java", "int add(int a) {\n  throw new UnsupportedOperationException(\"TODO\");\n}\n"),
    ("a.go", 'func Add(a int) int {\n\tpanic("not implemented")\n}\n'),
]  # fmt: skip
MEANT = [
    ("a.py", "class Base(ABC):\n @abstractmethod\n def add(self):\n  raise NotImplementedError\n"),
    ("a.py", "class Adder(Protocol):\n    def add(self):\n        raise NotImplementedError\n"),
    ("a.py", "def add(a):\n    if a:\n        return a\n    raise NotImplementedError\n"),
    ("a.py", "        raise NotImplementedError\n"),
    ("a.py", "    def add(self):\n        raise NotImplementedError\n"),
    ("a.py", "def add():\n    raise NotImplementedError('subclasses must override this')\n"),
    ("a.py", "def add(a):\n    pass\n"),
    ("a.py", "def add(a):\n    # TODO: make it faster\n    return a + 1\n"),
    ("a.py", "def add(a):\n    raise NotImplementedError\n    return 1\n"),
    ("a.pyi", "def add(a):\n    raise NotImplementedError\n"),
    ("a.ts", "if (a) {\n  throw new Error('not implemented');\n}\n"),
    ("a.ts", "function add(a) {\n  log(a);\n  throw new Error('not implemented');\n}\n"),
    ("a.ts", "if (!known) {\n  throw new Error('unknown');\n}\n"),
    ("a.rs", "match a {\n    A => 1,\n    _ => unimplemented!(),\n}\n"),
    ("a.md", "def add(a):\n    raise NotImplementedError\n"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text"), STUBS)
def test_a_function_that_only_says_it_is_not_implemented_is_seen(path, text):
    assert stub_in(path, text)


@pytest.mark.parametrize(("path", "text"), MEANT)
def test_what_is_meant_to_be_empty_or_does_something_is_left_alone(path, text):
    assert stub_in(path, text) == ""


def test_the_standard_library_and_muster_hold_next_to_none():
    library = sorted(Path(random.__file__).parent.glob("*.py"))[::3]
    own = sorted((ROOT / "src" / "muster").rglob("*.py"))
    assert len(library) > 40
    found = {
        path.name: stub
        for path in (*library, *own)
        if (text := path.read_text("utf-8", "replace"))
        and (stub := stub_in(path.name, text) or ("left out" if left_out(path.name, text) else ""))
    }
    assert len(found) <= 3, found
