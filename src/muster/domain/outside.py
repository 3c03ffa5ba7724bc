"""A fact from outside of muster, put by a person, a program or a file: what it may say. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.event import KINDS
from muster.domain.playbook import ORDERS, ROUTED, SEEN
from muster.domain.telling import refuse_deep, text

_NAMES = {"task": ("task", "task_id"), "project": ("project", "project_id")}
_KNOWN = ("type", "subject", "payload", *(name for names in _NAMES.values() for name in names))
_RESERVED = frozenset(kind.split(".")[0] for kind in KINDS) - {"task"}
_TYPE_BYTES, _REF_BYTES, _SUBJECT_BYTES = 200, 1000, 64_000
_SUBJECT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class OutsideFact:
    """A fact that was checked; `task` and `project` are as they were named, or empty."""

    type: str
    subject: str
    payload: Mapping[str, Any]
    task: str = ""
    project: str = ""


def outside_fact(body: Mapping[str, Any]) -> OutsideFact:
    """What somebody outside says, if they may.

    Raises:
        Invalid: a part of it cannot be, or the type is one that only muster may say.
    """
    for name in body:
        if name not in _KNOWN:
            known = "type, subject, payload, project, task"
            raise Invalid(f"an event has no '{name:.100}'", hint=f"it has {known}")
    kind = text(body, "type", _TYPE_BYTES)
    task, project = (_ref(body, *names) for names in _NAMES.values())
    _refuse_of_muster(kind, task)
    # The subject is a line to read; a long one is cut.
    subject = text(body, "subject", _SUBJECT_BYTES) if _is_given(body, "subject") else ""
    return OutsideFact(kind, subject[:_SUBJECT_CHARACTERS], _payload(body), task, project)


def _refuse_of_muster(kind: str, task: str) -> None:
    if kind in ROUTED and kind not in SEEN:
        if not task and kind not in ORDERS:
            raise Invalid(
                f"'{kind}' is about a task, and none is named", hint="name the task that it is of"
            )
    elif kind in KINDS or kind.split(".")[0] in _RESERVED:
        raise Invalid(
            f"only muster itself says '{kind}'", hint="use a type of your own, as ci.finished"
        )


def _ref(body: Mapping[str, Any], *names: str) -> str:
    given = [text(body, name, _REF_BYTES) for name in names if _is_given(body, name)]
    if len(given) > 1:
        raise Invalid(f"'{names[0]}' and '{names[1]}' are the same", hint="send one of them")
    return given[0] if given else ""


def _is_given(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) not in (None, "")


def _payload(body: Mapping[str, Any]) -> dict[str, Any]:
    payload = body.get("payload")
    if payload is None:
        return {}
    if not isinstance(payload, Mapping):
        raise Invalid("'payload' must be an object", hint='for example "payload": {}')
    # First, because what follows walks it by recursion.
    refuse_deep(payload, "payload")
    try:
        json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise Invalid("'payload' is not valid Unicode", hint="send it as UTF-8") from error
    except ValueError as error:
        raise Invalid("a number in 'payload' is not finite", hint="JSON has none such") from error
    return dict(payload)
