"""A real project with its mirror, and workspaces of both backends on it."""

from __future__ import annotations

import pytest

from muster.workspace.clone import CloneBackend
from muster.workspace.git import Git
from muster.workspace.overlay import OverlayBackend
from muster.workspace.survey import inspect
from muster.workspace.workspaces import Workspaces
from workspace.project import Project

BOTH = [pytest.param("overlay", marks=pytest.mark.needs_overlay), "clone"]


@pytest.fixture(params=BOTH)
def backend(request) -> str:
    """Each backend by name."""
    return request.param


@pytest.fixture
def make_workspaces(home):
    """Workspaces of one home, as a server that starts would make them."""

    def make(backend: str) -> Workspaces:
        git = Git()
        backends = {"overlay": OverlayBackend(git), "clone": CloneBackend(git)}
        return Workspaces(home, {backend: backends[backend]}, git)

    return make


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
