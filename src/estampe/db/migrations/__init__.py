"""Alembic's folder: one file per step of the schema's history. A released step is never changed."""
