"""Agents' terminals: over the WebSocket, and in the command line."""
