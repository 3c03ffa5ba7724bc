"""What an error of LiteLLM means; aider and mini-swe-agent ask their models through it.

Its errors are named by their kind, for whichever service; their texts hold the service's words.
"""

from __future__ import annotations

from muster.agents import service_errors
from muster.agents.base import Ending

_STATUS = {
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "BadGatewayError": 502,
    "ServiceUnavailableError": 503,
    "Timeout": 504,
}


def ending(kind: str, said: str, now: float) -> Ending:
    """The outcome of a run that such an error ended."""
    return service_errors.ending(said or kind, _STATUS.get(kind), now)


def is_of_service(kind: str) -> bool:
    """Whether an error of this kind is the service's answer."""
    return kind in _STATUS
