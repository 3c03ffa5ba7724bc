"""Does added text look like a secret? A net with known shapes, not a proof of absence."""

from __future__ import annotations

import re

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]{2,20} ){0,3}PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{50,255})")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20,64}")),
    ("an Anthropic key", re.compile(r"\bsk-ant-[\w-]{24,255}")),
    ("an OpenAI key", re.compile(r"\bsk-(?=[\w-]{0,80}\d)(?=[\w-]{0,80}[A-Z])[\w-]{32,255}")),
    ("a Google key", re.compile(r"\bAIza[\w-]{35}\b")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{20,255}")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,255}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-AgE[\w-]{50,255}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{34,64}\b")),
)
_SHORTEST, _LONGEST_LINE = 18, 20_000


def secret_in(text: str) -> str:
    """What kind of secret `text` seems to hold, or an empty string. Never the secret itself."""
    for line in text.split("\n"):
        if len(line) >= _SHORTEST and (found := _in_line(line[:_LONGEST_LINE])) is not None:
            return found
    return ""


def _in_line(line: str) -> str | None:
    return next((name for name, shape in _SHAPES if shape.search(line)), None)
