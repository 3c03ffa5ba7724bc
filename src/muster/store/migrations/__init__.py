"""The schema's history: numbered migrations, run by Alembic."""
