"""Is it complete? What the change itself shows, before any test runs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from muster.domain.agent import Outcome
from muster.domain.globs import matches
from muster.domain.plain import few, plain_line
from muster.domain.task import Task
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changes
from muster.supervision.placeholders import left_out, stub_in
from muster.supervision.secrets import secret_in
from muster.supervision.severity import strongest_first

BIG = 5_000_000
"""Bytes from which a binary file is worth a note."""

MOST_PATHS = 50
_MOST_PROMISED, _LONGEST_PATH = 200, 1000

_AGENT = {
    Outcome.FAILED: "The agent failed",
    Outcome.CANCELLED: "The agent was cancelled",
    Outcome.RATE_LIMITED: "The agent met a rate limit",
    Outcome.UNAVAILABLE: "The service of the agent's model failed",
    Outcome.AUTH: "The agent could not sign in",
    Outcome.BUDGET: "The agent spent its budget",
    Outcome.TIMEOUT: "The agent ran out of time",
    Outcome.CRASHED: "The agent crashed",
    Outcome.REFUSED: "The agent refused the work or could not be started",
    Outcome.LOST: "The agent's run was lost",
    Outcome.HELD: "The agent was stopped until a person decides",
}
_GUARDED = (
    "/.muster/",
    ".gitattributes",
    ".gitmodules",
    ".gitconfig",
    ".lfsconfig",
    "/.github/workflows/",
    "/.github/actions/",
    "/.gitlab-ci.yml",
    "/.husky/",
    "/.githooks/",
    ".envrc",
    "/.claude/",
    "/.codex/",
    "/.gemini/",
    ".mcp.json",
)
_MARK_START = re.compile(r"^<{7}(?: |$)", re.MULTILINE)
_MARK_END = re.compile(r"^>{7}(?: |$)", re.MULTILINE)
_ELIDED = re.compile(
    r"^[ \t]{0,200}(?:#|//|/\*|<!--|--|;)?[ \t]{0,9}(?:\.{3}|…)[ \t]{0,9}"
    r"(?:\(?(?:the )?(?:rest of|existing|remaining|previous|other|unchanged|same as)\b)",
    re.IGNORECASE | re.MULTILINE,
)
_UNFINISHED = re.compile(
    r"raise NotImplementedError|\bTODO:? implement|unimplemented!\(|\btodo!\(", re.IGNORECASE
)
_BAD_STATUS = frozenset({"failed", "failure", "error", "cancelled", "blocked", "incomplete"})


def validate(
    outcome: Outcome,
    ending_reason: str,
    changed: Changes,
    nested_repos: Iterable[str],
    structured_result: object,
    task: Task,
    *,
    added: Mapping[str, str] | None = None,
    test_paths: Iterable[str] = (),
    files: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """The findings about how the agent ended and what its change looks like, strongest first.

    `structured_result` is what the agent left in its result file, parsed, or None; it can only
    speak against the work. `added` holds the added lines per path (`evidence.added_lines`).
    `files` are all paths of the result, where they are known; what the agent says it made is looked
    for among them. Tests under `test_paths` may be touched even when `task.paths` does not name
    them.
    """
    test_paths = tuple(test_paths)
    allowed = (*task.paths, *test_paths) if task.paths else ()
    found = [
        *about_agent(outcome, ending_reason, structured_result),
        *_amount(outcome, changed),
        *_places(changed, allowed),
        *_links(changed, added or {}),
        *_nested({*nested_repos, *_bare(changed)}),
        *_contents(added or {}),
        *_stubs(added or {}, test_paths),
        *_promised(structured_result, changed, files),
        *_secrets(added or {}, test_paths),
    ]
    return strongest_first(found)


def about_agent(outcome: Outcome, reason: str, result: object) -> Iterator[Finding]:
    """What its ending and its own result say against the attempt; neither can speak for it."""
    said = plain_line(reason)
    if outcome is not Outcome.COMPLETED:
        text = f"{_AGENT[outcome]}: {said}" if said else _AGENT[outcome]
        text = text if text.endswith((".", "!", "?", "…")) else f"{text}."
        yield Finding(f"agent.{outcome}", Severity.VETO, text, {"reason": said})
    if result is None:
        return
    if not isinstance(result, Mapping):
        text = "The agent's result file is no small JSON object, so that it says nothing."
        yield Finding("agent.result", Severity.NOTE, text)
        return
    yield from _structured(result, outcome)


def _structured(result: Mapping[Any, Any], outcome: Outcome) -> Iterator[Finding]:
    status = plain_line(str(result.get("status", "")), 40).lower()
    if status in _BAD_STATUS and outcome is Outcome.COMPLETED:
        output = plain_line(str(result.get("output", "")))
        text = f"The agent itself reports '{status}'" + (f": {output}" if output else "") + "."
        yield Finding("agent.says_failed", Severity.VETO, text, {"status": status})


def _amount(outcome: Outcome, changed: Changes) -> Iterator[Finding]:
    if not changed and outcome is Outcome.COMPLETED:
        text = "The agent says it is done, but nothing has changed."
        yield Finding("change.none", Severity.VETO, text)
    for change in changed:
        if change.binary and change.size >= BIG:
            text = f"{plain_line(change.path)} is a binary file of {change.size / 1e6:.0f} MB."
            yield Finding("change.big", Severity.NOTE, text, {"paths": _listed([change.path])})


def _places(changed: Changes, allowed: tuple[str, ...]) -> Iterator[Finding]:
    paths = sorted({path for change in changed for path in change.paths})
    odd = [path for path in paths if _odd(path)]
    if odd:
        text = f"The change has paths that no repository should have: {_some(odd)}."
        yield Finding("change.path", Severity.VETO, text, {"paths": _listed(odd)})
    guarded = [path for path in paths if matches(_GUARDED, path)]
    if guarded:
        text = f"The change touches configuration that acts by itself: {_some(guarded)}."
        yield Finding("change.guarded", Severity.ASK, text, {"paths": _listed(guarded)})
    outside = [path for path in paths if allowed and not matches(allowed, path)]
    if outside:
        text = f"The change goes beyond the paths of the task: {_some(outside)}."
        yield Finding("plan.outside", Severity.ASK, text, {"paths": _listed(outside)})


def _links(changed: Changes, added: Mapping[str, str]) -> Iterator[Finding]:
    """Links out of the repository: what is behind them is another thing on each machine."""
    targets = {change.path: added.get(change.path, "") for change in changed if change.link}
    found = [path for path, target in sorted(targets.items()) if _leads_out(path, target)]
    if found:
        text = f"The change holds links that lead out of the repository: {_some(found)}."
        yield Finding("change.link", Severity.ASK, text, {"paths": _listed(found)})


def _leads_out(path: str, target: str) -> bool:
    if target.startswith("/"):
        return True
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return whole == ".." or whole.startswith("../")


def _odd(path: str) -> bool:
    parts = path.split("/")
    return (
        not path
        or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts)
        or any(ord(char) < 32 or ord(char) == 127 for char in path)
    )


def _bare(changed: Changes) -> Iterator[str]:
    """Folders that git would take for a repository, with the settings and hooks in them."""
    left = {change.path for change in changed if change.status != "deleted"}
    for path in left:
        folder, slash, name = path.rpartition("/")
        beside = (f"{folder}{slash}objects/", f"{folder}{slash}refs/")
        found = f"{folder}{slash}config" in left or any(p.startswith(beside) for p in left)
        if name.upper() == "HEAD" and found:
            yield folder or "."


def _nested(repos: Iterable[str]) -> Iterator[Finding]:
    found = sorted(repos)
    if found:
        text = f"The work holds a repository within the repository: {_some(found)}."
        yield Finding("change.nested_repository", Severity.VETO, text, {"paths": _listed(found)})


def _contents(added: Mapping[str, str]) -> Iterator[Finding]:
    marked = [p for p, text in added.items() if _MARK_START.search(text) and _MARK_END.search(text)]
    if marked:
        text = f"Conflict markers were left in {_some(marked)}."
        yield Finding("change.conflict_markers", Severity.VETO, text, {"paths": _listed(marked)})
    elided = [p for p, lines in added.items() if _ELIDED.search(lines) or left_out(p, lines)]
    if elided:
        text = f"Code seems to be left out behind a placeholder in {_some(elided)}."
        yield Finding("change.elided", Severity.ASK, text, {"paths": _listed(elided)})
    unfinished = [path for path, lines in added.items() if _UNFINISHED.search(lines)]
    if unfinished:
        text = f"Something is marked as not implemented in {_some(unfinished)}."
        yield Finding("change.unfinished", Severity.NOTE, text, {"paths": _listed(unfinished)})


def _stubs(added: Mapping[str, str], test_paths: tuple[str, ...]) -> Iterator[Finding]:
    """Functions added in place of work; what tests stand in with is left alone."""
    found = {
        path: stub
        for path, lines in sorted(added.items())
        if not matches(test_paths, path) and (stub := stub_in(path, lines))
    }
    if found:
        path, stub = next(iter(found.items()))
        more = f" (and in {len(found) - 1} more)" if len(found) > 1 else ""
        what = f"'{plain_line(stub, 80)}' in {plain_line(path)}"
        text = f"{what} only says that it is not implemented{more}."
        yield Finding("change.stub", Severity.ASK, text, {"paths": _listed(found)})


def promised(result: object) -> tuple[str, ...]:
    """The files that an agent's structured result says it made: `files`, or `data.files`."""
    if not isinstance(result, Mapping):
        return ()
    data = result.get("data")
    named = result.get("files") or (data.get("files") if isinstance(data, Mapping) else None)
    paths = named if isinstance(named, list) else []
    texts = (p for p in paths[:_MOST_PROMISED] if isinstance(p, str))
    inside = (p.removeprefix("./").rstrip("/") for p in texts if not p.startswith(("/", "~")))
    return tuple(dict.fromkeys(p for p in inside if 0 < len(p) < _LONGEST_PATH))


def _promised(result: object, changed: Changes, files: Collection[str] | None) -> Iterator[Finding]:
    if files is None:
        return
    gone = {change.path for change in changed if change.status == "deleted"}
    old = {change.old_path for change in changed}
    named = [p for p in promised(result) if p not in files and p not in gone and p not in old]
    missing = [p for p in named if not any(path.startswith(f"{p}/") for path in files)]
    if missing:
        text = f"The agent names files that are not there: {_some(missing)}."
        yield Finding("change.promised", Severity.ASK, text, {"paths": _listed(missing)})


def _secrets(added: Mapping[str, str], test_paths: tuple[str, ...]) -> Iterator[Finding]:
    """Tests may well hold made-up secrets; there a person looks."""
    kinds = {path: kind for path, lines in sorted(added.items()) if (kind := secret_in(lines))}
    if not kinds:
        return
    path, kind = next(iter(kinds.items()))
    more = f" (and in {len(kinds) - 1} more)" if len(kinds) > 1 else ""
    only_tests = all(matches(test_paths, path) for path in kinds)
    yield Finding(
        "change.secret",
        Severity.ASK if only_tests else Severity.VETO,
        f"The change seems to add {kind} in {plain_line(path)}{more}.",
        {"paths": _listed(kinds)},
    )


def _some(paths: Iterable[str]) -> str:
    return few(sorted(paths), 5)


def _listed(paths: Iterable[str]) -> list[str]:
    return [plain_line(path) for path in sorted(paths)[:MOST_PATHS]]
