"""The SQLite store counts agents as every store must."""

from __future__ import annotations

import pytest

from contracts.analytics import AnalyticsContract
from house.databases import put_database
from muster.store.sqlite import SqliteStore


class TestSqlite(AnalyticsContract):
    @pytest.fixture
    async def store(self, tmp_path):
        await put_database(tmp_path)
        store = SqliteStore(tmp_path / "muster.db")
        yield store
        await store.close()
