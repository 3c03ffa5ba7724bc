"""Objects from one repository into another: packed there, indexed here, and nothing else runs.

No transport, no hook, no remote's configuration takes part. Every object's name is computed from
its bytes as it arrives, and a pack appears whole or not at all: a commit that came this way has all
that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.domain.guard import commit_id
from muster.workspace.git import Git, Place


def transfer(
    git: Git, source: Place, target: Place, want: Iterable[str], have: Iterable[str]
) -> None:
    """Bring `want` and what it stands on, without what `have` stands on.

    `have` has to be known to both sides.

    Raises:
        GitFailed: one side lacks something, or the disk is full.
    """
    lines = [*map(commit_id, want), *(f"^{commit_id(known)}" for known in have)]
    git.pipe(
        source,
        ("pack-objects", "--quiet", "--revs", "--stdout", "--delta-base-offset"),
        target,
        ("index-pack", "--stdin"),
        "".join(f"{line}\n" for line in lines).encode(),
    )
