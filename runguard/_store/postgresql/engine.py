"""The engine for a PostgreSQL server: how runguard connects.

Every statement is in its own transaction (autocommit). The engine gives up at a deadline even where
the server never answers, trusts no connection that idled for long, and prepares beside no pooler.
"""

from __future__ import annotations

import os
from errno import EBADF
from inspect import signature
from math import inf
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.pool.base import _ConnectionRecord

from ..._clock import ticks
from ..._idle import Idle
from ..retry import DEADLINE, IDLE_SINCE
from .connection import BoundedConnection
from .pinning import PinnedCompiler

IDLE_LIMIT_SECONDS: Final = 60.0
SOCKET: Final = "runguard_socket"  # in a connection's info: which socket it had at first
LEAST_CONNECT_SECONDS: Final = 2  # libpq's smallest
MOST_CONNECT_SECONDS: Final = 3600
# SQLAlchemy 2.0.43 and later can leave out the rollback of what was committed by itself.
_SKIP: Final = "skip_autocommit_rollback"
_WITHOUT_ROLLBACK: Final = {_SKIP: True} if _SKIP in signature(DefaultDialect).parameters else {}

_forsaken: Final[list[Any]] = []  # connections that nobody may close: see `DirectPool`


class DirectPool(QueuePool):
    """Trusts no connection that may be dead; lends without a lock, and without a proxy too."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.QueuePool"  # where its log is looked for
    is_disposed = False

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what every pool takes."""
        super().__init__(*args, **options)
        places = (_ConnectionRecord(self, connect=False) for _ in range(self.size()))
        self.idle = Idle[Any](places)

    def take(self) -> Any:
        """Return the entry of a connection; None where somebody listens to what proxies do."""
        if self.is_watched():
            return None
        entry: Any = self._do_get()
        try:
            entry.get_connection()
        except BaseException as error:
            entry._checkin_failed(error, _fairy_was_created=False)
            raise
        return entry

    def checkedout(self) -> int:
        """Count those that somebody uses."""
        return self.size() - len(self.idle)

    def dispose(self) -> None:
        """Close those that nobody uses, and the others when they come back."""
        self.is_disposed = True
        for entry in self.idle:
            entry.close()

    def is_watched(self) -> bool:
        """Whether somebody listens to what proxies do."""
        return bool(self.dispatch.checkout or self.dispatch.checkin or self.dispatch.reset)

    def is_sound(self, entry: Any) -> bool:
        """Whether an entry has a connection that can be trusted."""
        connection, info = entry.dbapi_connection, entry.info
        return (
            connection is not None
            and entry.starttime >= self._invalidate_time
            # A firewall drops idle connections without a word: the one write that matters would
            # wait for an answer that never comes. A new one costs less than a ping before each run.
            and ticks() - info.get(IDLE_SINCE, inf) <= IDLE_LIMIT_SECONDS
            and _identity_of(connection) == info.get(SOCKET)
        )

    def let_go(self, entry: Any) -> None:
        """Have an entry connect anew, whatever its connection was used for."""
        # A job that becomes a daemon closes all descriptors, and the next file takes their numbers:
        # nothing may be written to this one, and it may not even be closed.
        found = entry.dbapi_connection and _identity_of(entry.dbapi_connection)
        if found and found != entry.info.get(SOCKET):
            _forsaken.append(entry.dbapi_connection)
            entry.dbapi_connection = None
        entry.invalidate()

    def _do_get(self) -> Any:
        until = DEADLINE.get()
        entry = self.idle.take(until if until < inf else ticks() + self.timeout())
        if entry is None:
            from ..giving_up import all_busy

            raise all_busy(self.size())
        if entry.dbapi_connection is not None and not self.is_sound(entry):
            self.let_go(entry)
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.info[IDLE_SINCE] = ticks()
        self.idle.give_back(record, first=record.dbapi_connection is not None)
        if self.is_disposed:
            self.dispose()


def make_postgresql_engine(url: URL, *, max_connections: int, patience: float) -> Engine:
    """Make the engine for a psycopg 3 URL. Nothing is connected yet.

    A thread waits `patience` seconds for one of the connections to become free.
    """
    engine = create_engine(
        url,
        poolclass=DirectPool,
        isolation_level="AUTOCOMMIT",
        pool_size=max_connections,
        max_overflow=-1,  # its number of places is fixed all the same
        pool_timeout=patience,
        pool_reset_on_return=None,  # nothing to roll back in autocommit
        **_WITHOUT_ROLLBACK,
        hide_parameters=True,
        use_native_hstore=False,  # asking for the type costs three round trips
        connect_args={} if "application_name" in url.query else {"application_name": "runguard"},
    )
    engine.dialect.statement_compiler = PinnedCompiler
    event.listen(engine, "do_connect", _connect_bounded)
    event.listen(engine, "connect", _learn)
    return engine


def _connect_bounded(
    _dialect: Any, _record: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
) -> Any:
    hosts = str(cparams.get("host") or "").count(",") + 1
    # Nearly all that is left: a database that sleeps may need it to wake. A host of several
    # addresses, the first of which swallows everything, still gets to its second one.
    left = (DEADLINE.get() - ticks() - 1) / hosts
    seconds = int(max(LEAST_CONNECT_SECONDS, min(left, MOST_CONNECT_SECONDS)))
    cparams.setdefault("connect_timeout", seconds)
    # The server converts, or says what it cannot hold; of SQL_ASCII texts would come as bytes.
    cparams.setdefault("client_encoding", "UTF8")
    cparams.update(autocommit=True, prepare_threshold=None)
    return BoundedConnection.connect(*cargs, **cparams)


def _learn(driver_connection: Any, record: ConnectionPoolEntry) -> None:
    """Adapt a new connection to its server, and know it again."""
    # A pooler gives out sessions that others have prepared in; its own process ids give it away.
    if driver_connection.is_direct():
        driver_connection.prepare_threshold = 0
    style = driver_connection.info.parameter_status("DateStyle") or "ISO"
    if not style.startswith("ISO"):  # the one style that psycopg reads
        from .dates import use_binary_cursors

        use_binary_cursors(driver_connection)
    record.info[SOCKET] = _identity_of(driver_connection)


def _identity_of(driver_connection: Any) -> tuple[int, int] | None:
    try:
        found = os.fstat(driver_connection.fileno())
    except psycopg.Error:
        return None  # it was closed
    except OSError as error:
        if error.errno != EBADF:  # of a time limit that strikes here
            raise
        return -1, -1  # somebody else has closed its descriptor
    return found.st_dev, found.st_ino
