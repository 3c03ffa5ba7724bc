"""muster: a control plane for fleets of AI coding agents that merges only what passes muster."""

__version__ = "0.1.0"
