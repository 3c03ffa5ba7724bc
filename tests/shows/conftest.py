"""The sample repository's tests are its own; they are run where it is a repository."""

from __future__ import annotations

collect_ignore = ["purse"]
