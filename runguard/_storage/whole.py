"""Whole stores: what runs record, and what operators read, do and delete.

Apart from the recording stores, so that a job loads none of it.
"""

from __future__ import annotations

from .postgresql import PostgreSqlStore
from .sqlite import SqliteStore
from .views import Views


class WholePostgreSqlStore(PostgreSqlStore, Views):
    """All of `_ports.Store` on PostgreSQL."""


class WholeSqliteStore(SqliteStore, Views):
    """All of `_ports.Store` in a SQLite file."""
