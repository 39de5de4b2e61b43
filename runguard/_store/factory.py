"""From a URL or an engine to a store. Nothing is connected here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from .._errors import StoreUnavailable
from .url import parse_url

if TYPE_CHECKING:
    from .postgresql.recorder import PostgreSqlRecorder
    from .sqlite.recorder import SqliteRecorder


def open_recorder(
    *, url: str | None, engine: Any, max_connections: int = 5, patience: float = 2.5
) -> PostgreSqlRecorder | SqliteRecorder:
    """Return a store that records, for a URL or a ready engine.

    Raises:
        ConfigurationError: the URL cannot be read, or the engine cannot be used.
        StoreUnavailable: a SQLite file's folder cannot be made, or psycopg finds no libpq.
    """
    engine = _engine(url, engine, max_connections, patience)
    # Each dialect on its own: a job that uses one does not wait for the other to be imported.
    if engine.dialect.name == "sqlite":
        from .sqlite.recorder import SqliteRecorder, upgrade_schema

        return SqliteRecorder(engine, upgrade=upgrade_schema)
    from .postgresql.recorder import PostgreSqlRecorder

    return PostgreSqlRecorder(engine, patience)


def _engine(url: str | None, engine: Any, max_connections: int, patience: float) -> Engine:
    if engine is not None:
        from .user_engine import autocommitting

        return autocommitting(engine)
    parsed = parse_url(url or "")
    if parsed.get_backend_name() == "sqlite":
        from .sqlite.engine import have_folder_of, make_sqlite_engine

        have_folder_of(parsed.database or "")
        return make_sqlite_engine(parsed)
    try:
        from .postgresql.engine import make_postgresql_engine

        return make_postgresql_engine(parsed, max_connections=max_connections, patience=patience)
    except ImportError as error:  # psycopg is there; what it wants is libpq
        raise StoreUnavailable(
            "psycopg found no libpq on this machine: pip install 'runguard-runlog[binary]'"
        ) from error
