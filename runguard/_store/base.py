"""A store's connection to its database: what recording and reading have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Executable, inspect, text

from .._clock import ticks
from .._errors import SchemaOutOfDate
from .retry import Attempt, Attempts
from .rows import NOTHING, Lacking
from .schema.tables import ADDED_SINCE, SCHEMA_VERSION, VERSION_TABLE, VERSIONS_BEFORE

READ_TIMEOUT_SECONDS: Final = 30.0
READER_PATIENCE_SECONDS: Final = 3.0
LOOK_FOR_UPGRADE_SECONDS: Final = 300.0
_VERSION: Final = text(f"select version_num from {VERSION_TABLE}")  # noqa: S608 - a constant
_IS_THERE: Final = text(f"select pg_catalog.to_regclass('{VERSION_TABLE}') is not null")

T = TypeVar("T")


class BaseStore:
    """Runs statements on an engine. The base of every store.

    Attributes:
        lacking: columns that this release writes and the store has not got yet. Nothing, until a
            statement fails for one of them; then what came with the newest schema version.
    """

    def __init__(self, engine: Engine) -> None:
        """Take an engine in autocommit."""
        self.engine = engine
        self.lacking: Lacking = NOTHING
        self._look_for_upgrade_at = 0.0
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
        return self._read(lambda attempt: attempt.connection.execute(query).all(), timeout=timeout)

    def _read(self, work: Callable[[Attempt], T], *, timeout: float = READ_TIMEOUT_SECONDS) -> T:
        """Do what somebody waits for, who wants to hear soon that the server is away."""
        return self._attempts.run(work, timeout=timeout, patience=READER_PATIENCE_SECONDS)

    def _adapting(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Do the work; once more without the newest columns where the store lacks them."""
        deadline = ticks() + timeout
        try:
            return self._attempts.run(work, timeout=timeout)
        except SchemaOutOfDate as error:
            if not self._can_adapt_to(error.found):
                raise
        return self._attempts.run(work, timeout=max(0.1, deadline - ticks()))

    def _can_adapt_to(self, version: str | None) -> bool:
        """Write no more than this version has; False where that changes nothing."""
        lacked = self.lacking
        if version == SCHEMA_VERSION:  # upgraded between the statement and the look
            self.lacking = NOTHING
            return True
        if version in VERSIONS_BEFORE:
            self.lacking = ADDED_SINCE
            self._look_for_upgrade_at = ticks() + LOOK_FOR_UPGRADE_SECONDS
        return self.lacking != lacked

    def _notice_upgrade(self, connection: Connection) -> None:
        """Look now and then whether the lacking columns have come. One look costs a round trip."""
        if self.lacking and ticks() >= self._look_for_upgrade_at:
            self._look_for_upgrade_at = ticks() + LOOK_FOR_UPGRADE_SECONDS
            if connection.execute(_VERSION).scalar_one_or_none() == SCHEMA_VERSION:
                self.lacking = NOTHING

    def _schema_error(self) -> SchemaOutOfDate:
        with self.engine.connect() as connection:
            return schema_error_of(connection)


def schema_error_of(connection: Connection) -> SchemaOutOfDate:
    """Say what is wrong with the schema that this connection leads to."""
    from .schema.places import remedy_for_place  # no run needs it that goes well

    found = schema_version_of(connection)
    remedy = remedy_for_place(connection)
    if remedy is None and found == SCHEMA_VERSION:
        remedy = "a table or column of it is missing: `runguard db check` names it"
    return SchemaOutOfDate(found=found, needed=SCHEMA_VERSION, remedy=remedy)


def schema_version_of(connection: Connection) -> str | None:
    """Read the schema's version, or None where there is no schema of ours."""
    if not _has_version(connection):
        return None
    version: str | None = connection.execute(_VERSION).scalar_one_or_none()
    return version


def _has_version(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return inspect(connection).has_table(VERSION_TABLE)
    return bool(connection.execute(_IS_THERE).scalar_one())
