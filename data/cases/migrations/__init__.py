"""Alembic migrations of the case log."""
