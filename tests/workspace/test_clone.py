"""The clone backend: the contract."""

from __future__ import annotations

import pytest

from contracts.workspace import WorkspaceContract
from muster.workspace.base import Backend
from muster.workspace.clone import CloneBackend


class TestClone(WorkspaceContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return CloneBackend()
