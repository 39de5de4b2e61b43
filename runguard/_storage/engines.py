"""Engines: how runguard connects, how long it waits, and what it repeats.

An engine that runguard makes has every statement in its own transaction (autocommit), gives up at
a deadline even where the server accepts and never answers, does not trust a connection that was
idle for long, and prepares statements only where it has seen that no pooler stands in between.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from itertools import count
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from .._errors import StoreUnavailable
from .deadline import DEADLINE
from .faults import Fault, fault_of, reason_of

IDLE_LIMIT_SECONDS: Final = 60.0
CONNECT_TIMEOUT_SECONDS: Final = 2  # libpq's smallest
MOST_ATTEMPTS: Final = {
    Fault.REPEAT: 20,
    Fault.BUSY: 1_000,  # SQLite: the deadline ends it
    Fault.RECONNECT: 6,
    Fault.UNPREPARE: 2,
    Fault.TOO_SLOW: 2,
    Fault.MOVED: 2,
}
_IDLE_SINCE: Final = "runguard_idle_since"
# SQLAlchemy 2.0.43 and later can leave out the rollback of what was committed by itself.
_WITHOUT_ROLLBACK: Final = {
    name: True
    for name in signature(DefaultDialect).parameters
    if name == "skip_autocommit_rollback"
}

T = TypeVar("T")


class Attempt(NamedTuple):
    """One try: a connection, and whether an earlier try may have been committed unanswered."""

    connection: Connection
    answer_lost: bool


class Attempts:
    """Runs work on an engine's connections, and again where a repeat heals the fault."""

    def __init__(self, engine: Engine, schema_error: Callable[[], Exception]) -> None:
        """Take the engine, and what to raise where a table or column is missing."""
        self.engine = engine
        self._schema_error = schema_error
        self._may_prepare = True

    def run(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Return what `work` returns. `timeout` is in seconds.

        Raises:
            StoreUnavailable: the time is up, or repeating does not help.
            SchemaOutOfDate: a table or column is missing.
        """
        deadline = time.monotonic() + timeout
        token = DEADLINE.set(deadline)
        try:
            return self._until(deadline, work)
        finally:
            DEADLINE.reset(token)

    def _until(self, deadline: float, work: Callable[[Attempt], T]) -> T:
        answer_lost = False
        for attempt in count(1):
            DEADLINE.set(deadline)
            try:
                with self.engine.connect() as connection:
                    if attempt == 1 and _IDLE_SINCE in connection.info:
                        # It may be dead without a word: leave time for a new one.
                        DEADLINE.set((time.monotonic() + deadline) / 2)
                    if not self._may_prepare:
                        _stop_preparing(connection)
                    with _leaving_the_demoted(connection):
                        return work(Attempt(connection, answer_lost))
            except SQLAlchemyError as error:
                fault = fault_of(error)
                if attempt >= MOST_ATTEMPTS.get(fault, 1) or time.monotonic() >= deadline:
                    self._give_up(error, fault)
                answer_lost = answer_lost or fault is Fault.RECONNECT
                if fault is Fault.UNPREPARE:
                    self._may_prepare = False
                _pause(fault, attempt, deadline)
        raise AssertionError("unreachable")

    def note_backend(self, connection: Connection, backend_pid: int) -> None:
        """Stop preparing where the session that answered is not the one we connected to."""
        driver_connection: Any = connection.connection.driver_connection
        info = getattr(driver_connection, "info", None)
        if info is not None and getattr(info, "backend_pid", backend_pid) != backend_pid:
            self._may_prepare = False

    def _give_up(self, error: SQLAlchemyError, fault: Fault) -> NoReturn:
        if fault is Fault.SCHEMA:
            raise self._schema_error() from error
        raise StoreUnavailable(
            f"the store could not be used: {reason_of(error)}; `runguard doctor` looks closer"
        ) from error


@contextmanager
def _leaving_the_demoted(connection: Connection) -> Iterator[None]:
    # A server that became a standby keeps its sessions: only a new one leads to its successor.
    try:
        yield
    except SQLAlchemyError as error:
        if fault_of(error) is Fault.MOVED:
            connection.invalidate()
        raise


def _pause(fault: Fault, attempt: int, deadline: float) -> None:
    # Jittered, so that those who failed together do not come back together.
    ceiling = {Fault.RECONNECT: 0.05 * 2**attempt, Fault.BUSY: 0.02}.get(fault, 0.002 * attempt)
    left = deadline - time.monotonic()
    time.sleep(max(0.0, min(left, ceiling * (0.5 + random.random() / 2))))  # noqa: S311 - no secret


def autocommitting(engine: Engine) -> Engine:
    """Return a user's engine in autocommit, without changing it for the user."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


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
    event.listen(engine, "do_connect", _bounded_connecting())
    event.listen(engine, "connect", _prepare_if_direct)
    _distrust_idle(engine)
    return engine


def _bounded_connecting() -> Callable[..., DBAPIConnection]:
    from .bounded_connection import BoundedConnection

    def connect(
        _dialect: Any, _record: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
    ) -> DBAPIConnection:
        cparams.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
        cparams.update(autocommit=True, prepare_threshold=None)
        connection: Any = BoundedConnection.connect(*cargs, **cparams)
        return cast("DBAPIConnection", connection)

    return connect


def _stop_preparing(connection: Connection) -> None:
    driver_connection: Any = connection.connection.driver_connection
    if hasattr(driver_connection, "prepare_threshold"):  # a user's engine may have another driver
        driver_connection.prepare_threshold = None


def _prepare_if_direct(driver_connection: Any, _record: ConnectionPoolEntry) -> None:
    # A pooler hands out server sessions that other clients have prepared in; it also gives its
    # clients process ids of its own, which is how it shows.
    if driver_connection.is_direct():
        driver_connection.prepare_threshold = 0


def make_sqlite_engine(url: URL) -> Engine:
    """Make the engine for a SQLite file. Transactions are begun by hand: BEGIN IMMEDIATE."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(driver_connection: Any, _record: ConnectionPoolEntry) -> None:
    # FULL: a commit is on the disk when it returns; NORMAL could lose the newest on power loss.
    driver_connection.execute("PRAGMA synchronous = FULL")


def _distrust_idle(engine: Engine) -> None:
    # A firewall drops idle connections without a word: the one write that matters would wait for
    # an answer that never comes. A new connection costs less than a ping before every run.
    def note_return(_driver_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    def refuse_stale(
        _driver_connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if time.monotonic() - record.info.get(_IDLE_SINCE, time.monotonic()) > IDLE_LIMIT_SECONDS:
            del record.info[_IDLE_SINCE]
            raise DisconnectionError("idle for too long to be trusted")

    event.listen(engine, "checkin", note_return)
    event.listen(engine, "checkout", refuse_stale)
