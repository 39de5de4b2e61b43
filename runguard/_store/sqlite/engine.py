"""The engine for a SQLite file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry


def make_sqlite_engine(url: URL) -> Engine:
    """Make the engine for a SQLite file. Transactions are begun by hand: BEGIN IMMEDIATE."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(driver_connection: Any, _record: ConnectionPoolEntry) -> None:
    # FULL: a commit is on the disk when it returns; NORMAL could lose the newest on power loss.
    driver_connection.execute("PRAGMA synchronous = FULL")
