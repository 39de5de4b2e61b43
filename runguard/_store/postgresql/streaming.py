"""Rows by the ten thousand, taken while the server still looks for the next ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Dialect, Select

from ..retry import Attempt
from .connection import BoundedConnection

ROWS_AT_ONCE: Final = 2000


@contextmanager
def rows_as_they_come(attempt: Attempt, query: Select[Any]) -> Iterator[Iterator[Sequence[Any]]]:
    """Execute a query, and give its rows as the driver makes them; psycopg's errors as Core's.

    Its columns are texts and numbers: of other types the server's binary form is read otherwise.
    All at once where somebody watches statements, on a connection of the user's own, and with a
    libpq that is older than 17.
    """
    connection: Any = attempt.pooled.driver_connection
    comes_at_once = (
        not isinstance(connection, BoundedConnection)
        or connection.cursor_factory is not psycopg.Cursor
        or not psycopg.capabilities.has_stream_chunked()
        or attempt.is_watched
    )
    if comes_at_once:
        cursor: Any = attempt.connection.execute(query).cursor
        yield iter(cursor.fetchall())
        return
    statement, values = _compiled(query, attempt.engine.dialect)
    with (
        connection.cursor() as cursor,
        closing(cursor.stream(statement, values, binary=True, size=ROWS_AT_ONCE)) as rows,
    ):
        yield _raising_as_core(rows, attempt, statement)


def _raising_as_core(
    rows: Iterator[Sequence[Any]], attempt: Attempt, statement: str
) -> Iterator[Sequence[Any]]:
    try:
        yield from rows
    except Exception as error:
        attempt.raise_as_core(error, statement)


def _compiled(query: Select[Any], dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Return a query as the driver takes it, and what it is given."""
    compiled = query.compile(dialect=dialect)
    values = dict(compiled.params)
    for name, value in compiled.params.items():
        step = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        values[name] = value if step is None else step(value)
    return compiled.string, values
