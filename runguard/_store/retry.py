"""Attempts: how long a store call may take, and what is repeated because a repeat heals it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from math import inf
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from .._errors import RecordRefused, StoreUnavailable
from .faults import Fault, fault_of, reason_of

# When the store call that is under way in this thread must end, in seconds of `time.monotonic`.
DEADLINE: Final[ContextVar[float]] = ContextVar("runguard_deadline", default=inf)
IDLE_SINCE: Final = "runguard_idle_since"  # in a connection's info: when it went back to the pool
MOST_ATTEMPTS: Final = {
    Fault.REPEAT: 20,
    Fault.BUSY: 1_000,  # SQLite: the deadline ends it
    Fault.RECONNECT: 6,
    Fault.UNPREPARE: 2,
    Fault.TOO_SLOW: 2,
    Fault.MOVED: 2,
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
                    if attempt == 1 and IDLE_SINCE in connection.info:
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
            except (ValueError, OverflowError) as error:  # a driver's, of a text or a number
                raise RecordRefused(f"the store cannot hold the record: {error}") from error
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
        if fault is Fault.DATA:
            raise RecordRefused(f"the store refused the record: {reason_of(error)}") from error
        raise StoreUnavailable(
            f"the store could not be used: {reason_of(error)}; run `runguard doctor`"
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


def _stop_preparing(connection: Connection) -> None:
    driver_connection: Any = connection.connection.driver_connection
    if hasattr(driver_connection, "prepare_threshold"):  # a user's engine may have another driver
        driver_connection.prepare_threshold = None
