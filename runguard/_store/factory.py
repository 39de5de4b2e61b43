"""From a URL or an engine to a store. Nothing is connected here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from .._errors import StoreUnavailable
from .url import check_engine, parse_url

if TYPE_CHECKING:
    from .operator import OperatorStore
    from .postgresql.recorder import PostgreSqlRecorder
    from .sqlite.recorder import SqliteRecorder


def open_recorder(
    *,
    url: str | None,
    engine: Any,
    max_connections: int = 5,
    patience: float = 2.5,
) -> PostgreSqlRecorder | SqliteRecorder:
    """Return a store that records, for a URL or a ready engine.

    Raises:
        ConfigurationError: the URL cannot be read, or the engine cannot be used.
        StoreUnavailable: a SQLite file's folder cannot be made, or psycopg finds no libpq.
    """
    engine = _engine(url, engine, max_connections, patience)
    # Each dialect on its own: a job that uses one does not wait for the other to be imported.
    if engine.dialect.name == "sqlite":
        from .sqlite.recorder import SqliteRecorder

        return SqliteRecorder(engine, upgrade=_upgrade)
    from .postgresql.recorder import PostgreSqlRecorder

    return PostgreSqlRecorder(engine)


def open_operator_store(recorder: Any) -> OperatorStore:
    """Return a store with all that operators ask of it, on the connections of one that records."""
    from .operator import PostgreSqlOperatorStore, SqliteOperatorStore

    if isinstance(recorder, PostgreSqlOperatorStore | SqliteOperatorStore):
        return recorder
    if recorder.engine.dialect.name == "sqlite":
        return SqliteOperatorStore(recorder.engine, upgrade=_upgrade)
    return PostgreSqlOperatorStore(recorder.engine)


def _upgrade(engine: Engine) -> None:
    from .migrate import upgrade  # Alembic is slow to import, and seldom needed here

    upgrade(engine)


def _engine(url: str | None, engine: Any, max_connections: int, patience: float) -> Engine:
    if engine is not None:
        check_engine(engine)
        return autocommitting(engine)
    parsed = parse_url(url or "")
    if parsed.get_backend_name() == "sqlite":
        from .sqlite.engine import make_sqlite_engine

        _make_folder(Path(parsed.database or ""))
        return make_sqlite_engine(parsed)
    try:
        from .postgresql.engine import make_postgresql_engine

        return make_postgresql_engine(parsed, max_connections=max_connections, patience=patience)
    except ImportError as error:  # psycopg is there; what it wants is libpq
        raise StoreUnavailable(
            "psycopg found no libpq on this machine: pip install 'runguard-runlog[binary]'"
        ) from error


def autocommitting(engine: Engine) -> Engine:
    """Return a user's engine in autocommit, without changing it for the user."""
    ours = engine.execution_options(isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "postgresql":
        from .postgresql.pinning import pin_shared_engine

        pin_shared_engine(ours)
    return ours


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot create the folder of {file}: {error.strerror}; set RUNGUARD_DATABASE_URL"
        ) from error
