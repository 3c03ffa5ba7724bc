"""What added text only announces: code left out behind a comment, functions that do nothing yet.

Exact rather than complete: each shape stands alone on its line or is a function's whole body, and
what is meant to be empty (abstract methods, protocols, overloads, tests) is left alone. There is
no parser, because the added lines of a change need not be a whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

_PROSE = (".md", ".rst", ".txt", ".adoc", ".html")
_LONGEST = 1_000_000
_MOST = 2000
"""Functions of one file that are looked at."""

_FARTHEST = 300
"""Lines above a method in which its class is looked for."""

_COMMENT = r"^[ \t]{0,200}(?:\{?/\*|<!--|//|#|--|;)[ \t]{0,9}(?:\.{3}|…)?[ \t]{0,9}\(?"
_WHOLE = (
    r"(?:the |this |your )?(?:code|file|function|method|class|component|implementation|content|"
    r"module|logic|body|script|tests|imports|methods|functions)"
)
_LEFT_OUT = re.compile(
    _COMMENT + r"(?:"
    rf"(?:the )?(?:rest|remainder) of {_WHOLE}[^\n]{{0,40}}"
    r"\b(?:unchanged|same|as before|as is|here|omitted|stays?|remains?|continues)\b"
    rf"|existing {_WHOLE}[ \t]{{0,3}}(?:here|unchanged|remains?|stays?|goes here|\.\.\.|…)"
    rf"|(?:your|actual|real) (?:code|implementation|logic) (?:goes |comes )?here"
    rf"|{_WHOLE} (?:is |was )?omitted for (?:brevity|clarity)"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_DEF = re.compile(r"^([ \t]*)(?:async[ \t]+)?def[ \t]+(\w+)")
_CLASS = re.compile(r"^([ \t]*)class[ \t]+(\w+)([^\n]*)")
_RAISES = re.compile(r"raise NotImplementedError\b(?P<rest>.*)")
_MEANT = re.compile(r"subclass|overrid|abstract|implement(?:ed|s)? (?:by|in)", re.IGNORECASE)
_OPEN = re.compile(r"ABC|Protocol|Abstract|Base|Interface|Mixin")
_TO_DO = re.compile(r"^(?:pass|\.\.\.)?[ \t]*#[ \t]*(?:TODO|FIXME)\b", re.IGNORECASE)
_SAYS = re.compile(
    r"throw new \w{0,60}\([^\n]{0,2}(?:not (?:yet )?implemented|unimplemented|todo)\b"
    r"|\btodo!\(|\bunimplemented!\(|\bpanic\(\"(?:not (?:yet )?implemented|todo)\b",
    re.IGNORECASE,
)
_HEAD = re.compile(r"\b(?:function|func|fn|fun)\b|=>[ \t]*$|\)[ \t]*(?::[^;]{0,80}|->[^;]{0,80})?$")
_NO_HEAD = re.compile(r"[ \t]*\}?[ \t]*(?:if|for|while|switch|catch|else|match|do|try|when)\b")
_ENDS = re.compile(r"[^\n{}]{0,120}\s{0,80}\}")
_BEFORE = 400
_BRACES = (
    ".js",
    ".jsx",
    ".ts",
    ".tsx",
    ".mjs",
    ".cjs",
    ".java",
    ".kt",
    ".cs",
    ".go",
    ".rs",
    ".php",
)


def left_out(path: str, added: str) -> bool:
    """Whether code of a file was left out behind a comment that stands for it."""
    if path.lower().endswith(_PROSE):
        return False
    return _LEFT_OUT.search(added[:_LONGEST]) is not None


def stub_in(path: str, added: str) -> str:
    """The first added function that only says that it is not implemented; empty for none."""
    small, text = path.lower(), added[:_LONGEST]
    if small.endswith((".py", ".pyi")):
        return next(_python_stubs(text.split("\n")), "") if small.endswith(".py") else ""
    if small.endswith(_BRACES):
        return next(_braced_stubs(text), "")
    return ""


def _braced_stubs(text: str) -> Iterator[str]:
    """The heads of functions whose one statement between braces says that it is not there."""
    for found in _SAYS.finditer(text):
        before = text[max(found.start() - _BEFORE, 0) : found.start()].rstrip()
        last = before.rpartition("\n")
        if last[2].lstrip().startswith("//"):
            before = last[0].rstrip()
        head = before[:-1].rpartition("\n")[2].rstrip()
        alone = before.endswith("{") and _ENDS.match(text, found.end())
        if alone and _HEAD.search(head) and not _NO_HEAD.match(head):
            yield " ".join(head.split())[:80]


def _python_stubs(lines: Sequence[str]) -> Iterator[str]:
    heads = ((at, head) for at, line in enumerate(lines) if (head := _DEF.match(line)))
    for at, head in islice(heads, _MOST):
        if _is_open(lines, at, len(head[1])):
            continue
        body = _first_statement(lines, at, len(head[1]))
        raises = _RAISES.match(body)
        if (raises and not _MEANT.search(raises["rest"])) or _TO_DO.match(body):
            yield head[2]


def _is_open(lines: Sequence[str], at: int, indent: int) -> bool:
    """Whether a function is meant to be filled in by others: abstract, or of a class that is."""
    above = at - 1
    while above >= 0 and lines[above].strip().startswith("@"):
        if "abstract" in lines[above] or "overload" in lines[above]:
            return True
        above -= 1
    for line in reversed(lines[max(above - _FARTHEST, 0) : max(above + 1, 0)]):
        found = _CLASS.match(line)
        if found and len(found[1]) < indent:
            return _OPEN.search(found[2] + found[3]) is not None
    # A method whose class is not among the added lines: nothing tells what it is for.
    return indent > 0


def _first_statement(lines: Sequence[str], at: int, indent: int) -> str:
    """What stands first in a function's body, after its docstring; empty when more follows it."""
    inside = at
    while inside < len(lines) and not lines[inside].split("#")[0].rstrip().endswith(":"):
        inside += 1
        if inside - at > 40:
            return ""
    body = []
    for line in lines[inside + 1 : inside + 60]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        if line.strip():
            body.append(line.strip())
    body = _without_docstring(body)
    told = [line for line in body if not line.startswith("#") or _TO_DO.match(line)]
    if not told:
        return ""
    rest = [line for line in told[1:] if line not in {"pass", "..."}]
    return "" if rest else told[0]


def _without_docstring(body: list[str]) -> list[str]:
    for quote in ('"""', "'''"):
        if body and body[0].lstrip("rR").startswith(quote):
            first = body[0].lstrip("rR")
            if first.count(quote) >= 2:
                return body[1:]
            ends = next((n for n, line in enumerate(body[1:], 1) if quote in line), len(body))
            return body[ends + 1 :]
    return body
