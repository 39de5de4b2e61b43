"""A write transaction on SQLite, begun by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from .direct import RunConnection


@contextmanager
def immediate(connection: RunConnection) -> Iterator[None]:
    """A transaction that takes the write lock before it reads."""
    _execute(connection, "BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # On a dead connection: no reason to hide what killed it.
        with suppress(SQLAlchemyError, sqlite3.Error):
            _execute(connection, "ROLLBACK")
        raise
    _execute(connection, "COMMIT")


def _execute(connection: RunConnection, statement: str) -> None:
    # Past SQLAlchemy, in a third of the time; its errors are told as SQLAlchemy tells them.
    driver_connection: Any = connection.connection.driver_connection
    try:
        driver_connection.execute(statement).close()
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error
