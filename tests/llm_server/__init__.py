"""Model services on the loopback as muster asks them: Ollama, OpenAI-compatible, Anthropic."""
