"""The typed client: `from muster.client import Muster`; the standard library only."""

from muster.client.calls import Muster
from muster.client.wire import Clock, Patience

__all__ = ["Clock", "Muster", "Patience"]
