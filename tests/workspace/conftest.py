"""A real project with its mirror, and workspaces of every backend on it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from house import left_behind
from muster.workspace.git import Git
from muster.workspace.survey import inspect
from muster.workspace.workspaces import Workspaces
from workspace.disks import disk, unmount_below
from workspace.dying import BACKENDS, mortals
from workspace.project import Project

KINDS = {"reflink": "xfs", "btrfs": "btrfs"}
"""Backends that need a disk of their own kind."""

EVERY = [
    pytest.param("overlay", marks=pytest.mark.needs_overlay),
    "clone",
    # In CI these have their contract and one whole life with all that is planted (`test_lives`).
    pytest.param("userns-overlay", marks=[pytest.mark.needs_overlay, pytest.mark.long]),
    pytest.param("reflink", marks=[pytest.mark.needs_xfs, pytest.mark.long]),
    pytest.param("btrfs", marks=[pytest.mark.needs_btrfs, pytest.mark.long]),
]


@pytest.fixture(scope="module")
def mortal():
    """Calls of the control plane can die, each in a process of its own."""
    with mortals():
        yield


@pytest.fixture(scope="session")
def btrfs():
    with disk("btrfs") as folder:
        yield folder


@pytest.fixture(scope="session")
def xfs():
    with disk("xfs") as folder:
        yield folder


@pytest.fixture
def home(request):
    """A fresh state folder, on a disk that the backend under test can use."""
    asked = getattr(request.node, "callspec", None)
    kind = KINDS.get(asked.params.get("backend", "")) if asked else None
    where = request.getfixturevalue(kind) if kind else None
    folder = Path(tempfile.mkdtemp(prefix="mu-", dir=where))
    left_behind.belongs(folder)
    yield folder
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=EVERY)
def backend(request) -> str:
    """Each backend by name."""
    return request.param


@pytest.fixture
def make_workspaces(home):
    """Workspaces of one home, as a server that starts would make them."""
    made = []

    def make(backend: str, **more: int) -> Workspaces:
        git = Git()
        made.append(Workspaces(home, {backend: BACKENDS[backend](git, **more)}, git))
        return made[-1]

    yield make
    for one in made:
        one.rest()  # who reads its mirrors would else live until somebody collects the garbage


@pytest.fixture
def workspaces(make_workspaces, backend) -> Workspaces:
    return make_workspaces(backend)


@pytest.fixture
def plain(make_workspaces) -> Workspaces:
    """For what does not depend on the backend."""
    return make_workspaces("clone")


@pytest.fixture
def make_project(git_repo, git):
    def make(workspaces: Workspaces, name: str = "sample", **more) -> Project:
        folder = git_repo(name, **more)
        found = inspect(folder)
        commit = workspaces.mirror("prj_1").fetch(found.git_dir, "main")
        return Project(workspaces, folder, found.git_dir, commit, git)

    return make


@pytest.fixture
def project(make_project, workspaces) -> Project:
    """A project whose workspaces are of the backend under test."""
    return make_project(workspaces)


@pytest.fixture
def sample(make_project, plain) -> Project:
    """A project for what does not depend on the backend."""
    return make_project(plain)
