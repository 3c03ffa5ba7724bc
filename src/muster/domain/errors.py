"""Every error a person can meet: what happened, and what to do next."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class MusterError(Exception):
    """The base of all errors that muster raises on purpose.

    Attributes:
        code: stable, documented identifier; the last part of the problem document's `type`.
        status: the HTTP status a door answers with.
        exit_code: the exit status of the command line (`interfaces.md`).
    """

    code = "error"
    title = "Something went wrong"
    status = 500
    exit_code = 1

    def __init__(self, detail: str, *, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """The error as an RFC 9457 problem document."""
        return {
            "type": f"urn:muster:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "code": self.code,
            **self.extra,
        }


class Invalid(MusterError):
    """Input that cannot be accepted as it is."""

    code, title, status, exit_code = "invalid", "That is not valid", 422, 2


class NotFound(MusterError):
    """A name or id that nothing answers to."""

    code, title, status, exit_code = "not-found", "Not found", 404, 3


class NotAllowed(MusterError):
    """The caller is known, but may not do this."""

    code, title, status, exit_code = "not-allowed", "Not allowed", 403, 4


class NeedsRole(NotAllowed):
    """The caller has not the role that a rule wants for this."""

    code, title = "needs-role", "A role is needed"


class NotSignedIn(MusterError):
    """No token, or one that does not open this door."""

    code, title, status, exit_code = "not-signed-in", "Not signed in", 401, 4


class Conflict(MusterError):
    """The thing is not in a state in which this can be done."""

    code, title, status, exit_code = "conflict", "Conflict", 409, 5


class Stale(Conflict):
    """A write by somebody whose claim has passed to another."""

    code, title = "stale", "Stale claim"


class ChangedMeanwhile(Conflict):
    """The thing has changed since the caller looked at it."""

    code, title, status = "changed-meanwhile", "Changed meanwhile", 412


class KeyReused(Conflict):
    """An idempotency key that was used for something else."""

    code, title = "idempotency-key-reused", "Idempotency key reused"


class Cycle(Invalid):
    """Dependencies that would wait for each other for ever."""

    code, title = "dependency-cycle", "Dependency cycle"


class Gone(MusterError):
    """Something that was here and is kept no longer."""

    code, title, status, exit_code = "gone", "Gone", 410, 3


class NoRoom(MusterError):
    """The disk or another resource is full, so nothing can be acknowledged."""

    code, title, status, exit_code = "no-room", "No room", 507, 1


class Unreachable(MusterError):
    """The server does not answer."""

    code, title, status, exit_code = "unreachable", "Server not reachable", 503, 6


class Refused(MusterError):
    """A program that muster depends on is missing or answered no."""

    code, title, status, exit_code = "refused", "Refused", 409, 1


class GitFailed(Refused):
    """git ended with an error; `detail` has its last words."""

    code, title = "git-failed", "git failed"


class Unavailable(MusterError):
    """The machine or the server cannot do this here."""

    code, title, status, exit_code = "unavailable", "Not available here", 501, 1


class Away(Unavailable):
    """A service that muster depends on does not answer now; `retry_after` is in seconds."""

    code, title, status = "away", "No answer for now", 503


class Silence(StrEnum):
    """Why a model gave no answer; the first three may pass by themselves."""

    AWAY = "away"
    BUSY = "busy"
    SLOW = "slow"
    CALLS = "calls"
    REFUSED = "refused"
    TOO_LONG = "too-long"
    UNUSABLE = "unusable"


class NoAnswer(MusterError):
    """A model was asked and gave nothing that can be used; nobody may go on as if it had.

    `after` is in how many seconds it may be asked again, where that is known.
    """

    code, title, status, exit_code = "no-answer", "No answer from the model", 503, 1

    def __init__(
        self,
        detail: str,
        *,
        hint: str = "",
        why: str = Silence.AWAY,
        after: float | None = None,
        retry_after: float | None = None,
        **extra: Any,
    ) -> None:
        """`retry_after` is what the problem document calls `after`."""
        self.why = Silence(why) if why in set(Silence) else Silence.AWAY
        self.after = retry_after if after is None else after
        super().__init__(detail, hint=hint, why=str(self.why), retry_after=self.after, **extra)
