"""Which URLs and engines can be used, and what they are taken as."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .._errors import ConfigurationError

_FORMS: Final = "postgresql://user@host/database or sqlite:///path/to/file.db"


def parse_url(url: str, *, source: str = "database_url") -> URL:
    """Read a URL; every PostgreSQL one is taken as psycopg 3.

    The text of a bad one is never repeated: it may hold a password.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError, NoSuchModuleError):
        raise ConfigurationError(
            f"{source}: expected a URL such as {_FORMS}, found one that cannot be read"
        ) from None
    if "@" in (parsed.host or ""):  # the rest of a password, which errors would repeat
        raise ConfigurationError(
            f"{source}: expected one '@', before the host, found more: write %40 for a '@' in"
            " the password"
        )
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigurationError(
            f"{source}: expected a URL such as {_FORMS}, found the backend {backend!r}"
        )
    if parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            f"{source}: expected a SQLite file (sqlite:///path/to/file.db), found a database in"
            " memory: its rows would be lost when the process ends"
        )
    return parsed.set(drivername="sqlite")


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
