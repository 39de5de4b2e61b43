"""Servers that write dates in another style than ISO 8601, the only one that psycopg reads.

Times are then asked for in the binary format, which has no style. Nothing is set in the session: it
may be a pooler's, or its user's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


def writes_iso_dates(driver_connection: Any) -> bool:
    """Whether the server, or the pooler, said so when it greeted."""
    info: Any = getattr(driver_connection, "info", None)
    if not hasattr(info, "parameter_status"):  # another driver, which sees to it by itself
        return True
    return str(info.parameter_status("DateStyle") or "ISO").startswith("ISO")


def read_any_dates(engine: Engine) -> None:
    """Let the statements of an option engine read every style."""

    def look(connection: Connection) -> None:
        if not writes_iso_dates(connection.connection.driver_connection):
            event.listen(connection, "before_cursor_execute", _ask_for_binary)

    event.listen(engine, "engine_connect", look)


def use_binary_cursors(driver_connection: Any) -> None:
    """The same for a psycopg connection of our own."""
    from psycopg import Cursor  # a user's engine may do without

    class BinaryCursor(Cursor[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            _ask_for_binary(None, self)

    driver_connection.cursor_factory = BinaryCursor


def _ask_for_binary(_connection: Connection | None, cursor: Any, *_: Any) -> None:
    cursor.format = 1
