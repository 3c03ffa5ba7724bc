"""What the control plane knows of a workspace, out of its agent's reach: index, last snapshot."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from muster.workspace.checkout import INDEX
from muster.workspace.records import read_record, write_record

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """The commit that was opened, or that the last snapshot made.

    `parent` is what that commit stands on when it is a snapshot, else None. `index` describes the
    tree `indexed`, which is the commit's own when that is empty; `recorded` are the paths in which
    snapshots differed from what was opened. `layer` are the paths that the setup layer under the
    tree brought, `layer_key` is its name.
    """

    commit: str
    parent: str | None
    tree: str
    index: str = INDEX
    indexed: str = ""
    recorded: tuple[str, ...] = ()
    gitlinks: tuple[str, ...] = ()
    layer: tuple[str, ...] = ()
    layer_key: str | None = None


class Control:
    """The folder `root/control`."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "control"

    def begin(self, state: State) -> None:
        """Start from a fresh checkout."""
        self._save(state)

    def state(self) -> State | None:
        """The state; None when the workspace was never finished."""
        record = read_record(self.folder / _STATE)
        if record is None:
            return None
        lists = {name: tuple(record[name]) for name in ("gitlinks", "layer", "recorded")}
        return State(**{**record, **lists})

    def index(self, state: State) -> Path:
        """The index that belongs to a state."""
        return self.folder / state.index

    def draft_index(self) -> Path:
        """A name for the next index; what a crash leaves under such names is never read."""
        return self.folder / f"index-{secrets.token_hex(4)}"

    def advance(self, state: State, draft: Path | None = None) -> None:
        """Move on to a state in one step; `draft` is the index of its tree, if it has one."""
        if draft is None:
            self._save(state)
            return
        moved = replace(state, index=draft.name, indexed="")
        self._save(moved)
        for old in self.folder.glob(f"{INDEX}*"):
            if old.name != moved.index:
                old.unlink(missing_ok=True)

    def _save(self, state: State) -> None:
        # git does not sync an index either; the commit that it led to is on the disk by itself.
        write_record(self.folder / _STATE, asdict(state), sync=False)
