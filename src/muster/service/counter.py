"""The counter as one thing: what every door is given."""

from __future__ import annotations

from muster.service.breakpoint_rules import BreakpointRules
from muster.service.bundles import Bundles
from muster.service.common_ground import CommonGround
from muster.service.decisions import Decisions
from muster.service.diffs import Diffs
from muster.service.figures import Figures
from muster.service.forge import Forging
from muster.service.forge_hooks import ForgeHooks
from muster.service.managing import Managing
from muster.service.outcomes import Outcomes
from muster.service.people import People
from muster.service.playbooks import Playbooks
from muster.service.projects import Projects
from muster.service.queue import Queue
from muster.service.terminals import Terminals
from muster.service.watching import Watching


class Service(
    Terminals,
    Diffs,
    BreakpointRules,
    Decisions,
    Managing,
    CommonGround,
    Bundles,
    Figures,
    Forging,
    ForgeHooks,
    Outcomes,
    People,
    Playbooks,
    Projects,
    Queue,
    Watching,
):
    """Every request a door can make, as one object."""
