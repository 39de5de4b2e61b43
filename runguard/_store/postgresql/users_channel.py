"""What starts and ends runs, on a connection of an engine that a user gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import RawCursor
from psycopg.rows import tuple_row


class UsersChannel:
    """A statement on a connection that others use too.

    A cursor sends it: psycopg alone knows what is prepared there. At a rollback of others it lets
    the server forget all of that.
    """

    __slots__ = ("_cursor", "_query")

    def __init__(self, connection: Any, compiled: Any, _number: int) -> None:
        """Take an open connection."""
        self._query = compiled.query
        self._cursor = RawCursor(connection, row_factory=tuple_row)

    def first_row(self, arguments: list[Any]) -> Sequence[Any] | None:
        """Execute it with these parameters."""
        row: tuple[Any, ...] | None = self._cursor.execute(self._query, arguments).fetchone()
        return row
