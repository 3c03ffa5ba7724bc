"""The forge `github` keeps the contract, as github.com and as GitHub Enterprise have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.forge import ForgeContract
from forge.hubs import GitHubWorld, Time, forge_on
from forge.loopback_github import Hub, running_hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(tmp_path / "hub") as made:
        yield made


class OnGitHub(ForgeContract):
    @pytest.fixture
    def world(self, hub):
        return GitHubWorld(hub)

    @pytest.fixture
    def url(self, hub):
        return hub.url

    @pytest.fixture
    async def forge(self, hub, url, world):
        made = forge_on(url, hub.token, Time())
        yield made
        await made.close()


class TestDotCom(OnGitHub):
    pass


class TestEnterprise(OnGitHub):
    @pytest.fixture
    def url(self, hub):
        return hub.enterprise_url
