"""Walks of whole playbooks on a real server that is killed at each of their events."""
