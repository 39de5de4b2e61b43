"""A store's connection to its database: what recording and reading have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable, inspect, text

from .._errors import SchemaOutOfDate
from .retry import Attempts
from .schema.tables import SCHEMA_VERSION, VERSION_TABLE

READ_TIMEOUT_SECONDS: Final = 30.0


class BaseStore:
    """Runs statements on an engine. The base of every store."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine in autocommit."""
        self.engine = engine
        self._attempts = Attempts(engine, self._schema_error)

    def before_fork(self, *, timeout: float) -> bool:  # noqa: ARG002 - for stores that need it
        """Hold up nobody: a child gets on without what a thread of its parent was doing."""
        return True

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork(self) -> None:
        """Leave the parent's sockets alone; connect anew when asked."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()

    def _rows(self, query: Executable, *, timeout: float = READ_TIMEOUT_SECONDS) -> Sequence[Any]:
        return self._attempts.run(
            lambda attempt: attempt.connection.execute(query).all(), timeout=timeout
        )

    def _schema_error(self) -> SchemaOutOfDate:
        with self.engine.connect() as connection:
            return SchemaOutOfDate(found=schema_version_of(connection), needed=SCHEMA_VERSION)


def schema_version_of(connection: Connection) -> str | None:
    """Read the schema's version, or None where there is no schema of ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(
        text(f"select version_num from {VERSION_TABLE}")  # noqa: S608 - a constant
    ).scalar_one_or_none()
    return version
