"""Lets the shared contract suites explain their failed assertions."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contracts.runtime", "contracts.supervised")
