"""A transaction of several statements on PostgreSQL, begun by hand on an autocommit connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

# A process that stands still in the middle would keep the guard rows of jobs that fail.
IDLE_SECONDS: Final = 10
_LIMIT: Final = f"SET LOCAL idle_in_transaction_session_timeout TO '{IDLE_SECONDS}s'"


@contextmanager
def read_committed(connection: Connection) -> Iterator[None]:
    """A transaction that sees what others commit, whatever the role's default is."""
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
    try:
        connection.exec_driver_sql(_LIMIT)
        yield
    except BaseException:
        with suppress(SQLAlchemyError):  # on a dead connection: no reason to hide what killed it
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
