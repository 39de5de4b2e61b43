"""Bringing the schema of a SQLite file up to date, on its own."""

from __future__ import annotations

from sqlalchemy import Engine


def upgrade_schema(engine: Engine) -> None:
    """Bring a SQLite file's schema up to date."""
    from ..migrate import upgrade  # Alembic is slow to import, and seldom needed here

    upgrade(engine)
