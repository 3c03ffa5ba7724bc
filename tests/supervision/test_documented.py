"""Every code of a finding is documented, and so is every answer."""

from __future__ import annotations

import re
from pathlib import Path

from muster.domain.verdict import OPTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evidence.md").read_text("utf-8")


def test_every_code_of_a_finding_is_explained() -> None:
    sources = (ROOT / "src" / "muster" / "supervision").glob("*.py")
    text = "".join(path.read_text("utf-8") for path in sources)
    codes = set(
        re.findall(r'"((?:tests|change|agent|plan|worker|manager|review|role)\.[a-z_]+)"', text)
    )
    codes |= {
        f"{kind}.{end}"
        for kind in ("lint", "type")
        for end in re.findall(r'f"\{kind\}\.(\w+)"', text)
    }
    assert len(codes) > 30
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_question_is_explained_with_its_answers() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for kind, answers in OPTIONS.items():
        assert any(
            f"`{kind}`" in row.split("|")[1] and all(f"`{a}`" in row for a in answers)
            for row in rows
        ), kind
