"""Whole stores: what runs record, and what operators read, do and delete.

Apart from the recording stores, so that a job loads none of it.
"""

from __future__ import annotations

from .desk import Desk
from .insight import Insight
from .postgresql import PostgreSqlStore
from .sqlite import SqliteStore


class WholePostgreSqlStore(PostgreSqlStore, Insight, Desk):
    """All of `_ports.Store` on PostgreSQL."""


class WholeSqliteStore(SqliteStore, Insight, Desk):
    """All of `_ports.Store` in a SQLite file."""


def completed(store: PostgreSqlStore | SqliteStore) -> WholePostgreSqlStore | WholeSqliteStore:
    """Return a whole store on the connections of one that records."""
    kind = WholeSqliteStore if isinstance(store, SqliteStore) else WholePostgreSqlStore
    return kind(store.engine)
