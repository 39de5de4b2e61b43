"""A write transaction on SQLite, begun by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError


@contextmanager
def immediate(connection: Connection) -> Iterator[None]:
    """A transaction that takes the write lock before it reads."""
    _execute(connection, "BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):  # on a dead connection: no reason to hide what killed it
            connection.exec_driver_sql("ROLLBACK")
        raise
    _execute(connection, "COMMIT")


def _execute(connection: Connection, statement: str) -> None:
    # Past SQLAlchemy, in a third of the time; its errors are told as SQLAlchemy tells them.
    driver_connection: Any = connection.connection.driver_connection
    try:
        driver_connection.execute(statement).close()
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error
