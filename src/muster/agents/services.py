"""Where the services of models are on the network, which a contained agent has to reach."""

from __future__ import annotations

from urllib.parse import urlsplit

ANTHROPIC = ("api.anthropic.com", "console.anthropic.com", "platform.claude.com", "claude.ai")
OPENAI = ("api.openai.com", "auth.openai.com", "chatgpt.com")
GOOGLE = (
    *("generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"),
    "oauth2.googleapis.com",
)
QWEN = ("chat.qwen.ai", "dashscope.aliyuncs.com")
ANY = (
    *(*ANTHROPIC, *OPENAI, *GOOGLE, *QWEN),
    *("openrouter.ai", "api.deepseek.com", "models.dev", "opencode.ai"),
)
"""For a program of which nobody knows whom it asks."""

_PORTS = {"http": 80, "https": 443}


def place_of(url: str) -> str:
    """`HOST:PORT` of an address, as an allow-list names it; empty where it names none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if not host or not port:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
