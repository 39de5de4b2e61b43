"""The engine for a PostgreSQL server: how runguard connects.

Every statement is in its own transaction (autocommit). The engine gives up at a deadline even where
the server accepts and never answers, does not trust a connection that was idle for long, and
prepares statements only where it has seen that no pooler stands in between.
"""

from __future__ import annotations

import os
from inspect import signature
from typing import Any, Final, cast

import psycopg
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from ..._clock import ticks
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


_forsaken: Final[list[Any]] = []  # connections that nobody may close: see `_refuse_untrusted`


def make_postgresql_engine(url: URL, *, max_connections: int, patience: float) -> Engine:
    """Make the engine for a psycopg 3 URL. Nothing is connected yet.

    A thread waits `patience` seconds for one of the connections to become free.
    """
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=max_connections,
        max_overflow=0,
        pool_timeout=patience,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # nothing to roll back in autocommit
        **_WITHOUT_ROLLBACK,
        hide_parameters=True,
        use_native_hstore=False,  # asking for the type costs three round trips
        connect_args={"application_name": "runguard"}
        if "application_name" not in url.query
        else {},
    )
    engine.dialect.statement_compiler = PinnedCompiler
    event.listen(engine, "do_connect", _connect_bounded)
    event.listen(engine, "connect", _learn)
    event.listen(engine, "checkin", _note_return)
    event.listen(engine, "checkout", _refuse_untrusted)
    return engine


def _connect_bounded(
    _dialect: Any, _record: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
) -> DBAPIConnection:
    hosts = str(cparams.get("host") or "").count(",") + 1
    cparams.setdefault("connect_timeout", _seconds_to_connect(hosts))
    # The server converts, or says what it cannot hold; of SQL_ASCII texts would come as bytes.
    cparams.setdefault("client_encoding", "UTF8")
    cparams.update(autocommit=True, prepare_threshold=None)
    connection: Any = BoundedConnection.connect(*cargs, **cparams)
    return cast("DBAPIConnection", connection)


def _seconds_to_connect(hosts: int) -> int:
    # Nearly all that is left: a database that sleeps may need it to wake. A host of several
    # addresses, the first of which swallows everything, still gets to its second one.
    left = (DEADLINE.get() - ticks() - 1) / hosts
    return int(max(LEAST_CONNECT_SECONDS, min(left, MOST_CONNECT_SECONDS)))


def _learn(driver_connection: Any, record: ConnectionPoolEntry) -> None:
    """Adapt a new connection to its server, and know it again."""
    # A pooler hands out server sessions that other clients have prepared in; it also gives its
    # clients process ids of its own, which is how it shows.
    if driver_connection.is_direct():
        driver_connection.prepare_threshold = 0
    style = driver_connection.info.parameter_status("DateStyle") or "ISO"
    if not style.startswith("ISO"):  # the one style that psycopg reads
        from .dates import use_binary_cursors

        use_binary_cursors(driver_connection)
    record.info[SOCKET] = _identity_of(driver_connection)


def _note_return(_driver_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[IDLE_SINCE] = ticks()


def _refuse_untrusted(
    driver_connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    # A job that becomes a daemon closes all descriptors, and the next file takes their numbers:
    # nothing may be written to this one, and it may not even be closed.
    if _identity_of(driver_connection) != record.info.get(SOCKET):
        _forsaken.append(driver_connection)
        cast("Any", record).dbapi_connection = None
        raise DisconnectionError("the process has closed the socket")
    # A firewall drops idle connections without a word: the one write that matters would wait for
    # an answer that never comes. A new connection costs less than a ping before every run.
    if ticks() - record.info.get(IDLE_SINCE, ticks()) > IDLE_LIMIT_SECONDS:
        del record.info[IDLE_SINCE]
        raise DisconnectionError("idle for too long to be trusted")


def _identity_of(driver_connection: Any) -> tuple[int, int] | None:
    try:
        found = os.fstat(driver_connection.fileno())
    except (OSError, psycopg.Error):
        return None
    return found.st_dev, found.st_ino
