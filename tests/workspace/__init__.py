"""Tests of workspaces, on real git and real mounts."""
