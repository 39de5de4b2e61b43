"""A record that the store will never take, and what the database could hold instead."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .._errors import RecordRefused


def refusal(text: str, engine: Engine) -> RecordRefused:
    """Return the error for a record that was refused; it names the database's encoding."""
    error = RecordRefused(text)
    with suppress(SQLAlchemyError), engine.connect() as connection:
        info: Any = getattr(connection.connection.driver_connection, "info", None)
        if hasattr(info, "parameter_status"):  # of PostgreSQL's drivers: it asks no server
            error.encoding = info.parameter_status("server_encoding")
    return error
