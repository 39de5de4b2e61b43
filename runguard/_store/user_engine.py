"""An engine of the user's own: whether it can be used, and how."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .._errors import ConfigurationError
from .postgresql.dates import read_any_dates

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql.base import PGCompiler


def autocommitting(engine: Engine) -> Engine:
    """Return a user's engine in autocommit, without changing it for the user.

    Raises:
        ConfigurationError: it cannot be used.
    """
    check_engine(engine)
    ours = engine.execution_options(isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "postgresql":
        pin_shared_engine(ours)
        read_any_dates(ours)
    return ours


def pin_shared_engine(engine: Engine, compiler: type[PGCompiler] | None = None) -> None:
    """Let the statements of an option engine be pinned, and none of the engine behind it."""
    from .postgresql.pinning import PinnedCompiler

    pinned: list[Dialect] = []

    def pin(connection: Connection) -> None:
        if not pinned:  # a dialect knows its server from its first connection on
            pinned.append(copy.copy(connection.dialect))
            pinned[0].statement_compiler = compiler or PinnedCompiler
        connection.dialect = pinned[0]

    event.listen(engine, "engine_connect", pin)


def check_engine(engine: object) -> None:
    """Raise a `ConfigurationError` unless a user's engine can be used."""
    if not isinstance(engine, Engine):
        hint = ": give its .sync_engine's URL as database_url" if _is_async(engine) else ""
        raise ConfigurationError(
            f"engine: expected a sqlalchemy.Engine, found {type(engine).__name__}{hint}"
        )
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        raise ConfigurationError(
            f"engine: expected a pool that gives every thread a connection of its own, found"
            f" {type(engine.pool).__name__}: create the engine with poolclass=QueuePool or NullPool"
        )
    if engine.dialect.name not in ("postgresql", "sqlite"):
        raise ConfigurationError(
            f"engine: expected PostgreSQL or SQLite, found the dialect {engine.dialect.name!r}"
        )


def _is_async(engine: object) -> bool:
    return type(engine).__name__ == "AsyncEngine"
