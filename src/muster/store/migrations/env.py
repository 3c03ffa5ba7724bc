"""Alembic's own entry; muster runs its migrations through `run.py`."""
