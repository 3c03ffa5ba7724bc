"""Which repository of a forge a project is: as the settings say, else as its `origin` does."""

from __future__ import annotations

from pathlib import Path

from muster.forge.base import Forge
from muster.workspace.git import Git
from muster.workspace.remotes import ORIGIN, remotes


def repo_at(forge: Forge, git: Git, git_dir: Path, name: str, wanted: str | None) -> str:
    """The repository as `owner/name`: `wanted`, what `origin` names there, else the owner's `name`.

    Raises:
        Invalid: none of them is a repository's name, or no owner is known.
    """
    if wanted:
        return forge.full_name(wanted)
    return forge.named_by(remotes(git, git_dir).get(ORIGIN, "")) or forge.full_name(name)


def remote_at(forge: Forge, git: Git, git_dir: Path, repo: str) -> str | None:
    """The name of a remote that leads to a repository of the forge; None where there is none."""
    for name, url in remotes(git, git_dir).items():
        if (forge.named_by(url) or "").lower() == repo.lower():
            return name
    return None
