"""Problem documents turned back into the errors they were."""

from __future__ import annotations

import json
from typing import Any

from muster.domain import errors
from muster.domain.errors import MusterError

_MEMBERS = frozenset({"type", "title", "status", "detail", "hint", "code"})
_BY_STATUS: dict[int, type[MusterError]] = {
    400: errors.Invalid,
    401: errors.NotSignedIn,
    403: errors.NotAllowed,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    412: errors.Stale,
    413: errors.Invalid,
    415: errors.Invalid,
    421: errors.NotAllowed,
    422: errors.Invalid,
    501: errors.Unavailable,
    502: errors.Unreachable,
    503: errors.Unreachable,
    504: errors.Unreachable,
    507: errors.NoRoom,
}


def _family(kind: type[MusterError]) -> dict[str, type[MusterError]]:
    """Each error by its code; one that only says more of another has the other's code."""
    named = {kind.code: kind}
    for child in kind.__subclasses__():
        named = _family(child) | named
    return named


def from_problem(document: dict[str, Any], status: int) -> MusterError:
    """The error that a problem document tells of, by its `code`, else by the status."""
    kind = _family(MusterError).get(str(document.get("code")))
    kind = kind or _BY_STATUS.get(status, MusterError)
    known = {key: value for key, value in document.items() if key not in _MEMBERS}
    error = kind(
        str(document.get("detail") or document.get("title") or f"the server answered {status}"),
        hint=str(document.get("hint") or ""),
        **known,
    )
    error.status = status
    error.code = str(document.get("code") or kind.code)
    error.title = str(document.get("title") or kind.title)
    return error


def from_answer(status: int, body: bytes) -> MusterError:
    """The error in an answer that is not a success, whatever its body is."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return from_problem(document, status)
    words = body[:200].decode(errors="replace").strip()
    return from_problem({"detail": f"the server answered {status}: {words or 'nothing'}"}, status)
