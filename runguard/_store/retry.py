"""Attempts: how long a store call may take, and what is repeated because a repeat heals it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from math import inf
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from .._clock import ticks
from .._errors import RecordRefused, StoreUnavailable
from .faults import Fault, fault_of, reason_of
from .waiting import wait_for_free_connection

# When the store call that is under way in this thread must end, in seconds of `ticks`.
DEADLINE: Final[ContextVar[float]] = ContextVar("runguard_deadline", default=inf)
IDLE_SINCE: Final = "runguard_idle_since"  # in a connection's info: when it went back to the pool
HOPELESS_SECONDS: Final = 60.0  # that a process waits before it tries a refused login again
MOST_ATTEMPTS: Final = {
    Fault.REPEAT: 20,
    Fault.BUSY: 1_000,  # SQLite: the deadline ends it
    Fault.RECONNECT: 6,  # of work that was cut off; a server that is away has until the deadline
    Fault.UNPREPARE: 2,
    Fault.TOO_SLOW: 2,
    Fault.MOVED: 2,
}
LONGEST_PAUSE_SECONDS: Final = 1.0
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
        self._encoding: str | None = None
        self._hopeless: tuple[StoreUnavailable, float] | None = None

    def run(
        self, work: Callable[[Attempt], T], *, timeout: float, patience: float | None = None
    ) -> T:
        """Return what `work` returns.

        Args:
            work: what to do with a connection.
            timeout: how many seconds all of it may take.
            patience: how many of them to wait for a server that is away; all where None.

        Raises:
            StoreUnavailable: the time is up, or repeating does not help.
            SchemaOutOfDate: a table or column is missing.
        """
        if self._hopeless is not None:
            self._spare_the_server()
        deadline = ticks() + timeout
        to_be_found_until = deadline if patience is None else ticks() + patience
        token = DEADLINE.set(deadline)
        try:
            return self._until(deadline, to_be_found_until, work)
        finally:
            DEADLINE.reset(token)

    def _until(self, deadline: float, to_be_found_until: float, work: Callable[[Attempt], T]) -> T:
        answer_lost = False
        for attempt in count(1):
            DEADLINE.set(deadline)
            wait_for_free_connection(self.engine.pool, deadline)
            is_connected = False
            try:
                with self.engine.connect() as connection:
                    is_connected = True
                    if attempt == 1 and IDLE_SINCE in connection.info:
                        # It may be dead without a word: leave time for a new one.
                        DEADLINE.set((ticks() + deadline) / 2)
                    if not self._may_prepare:
                        _stop_preparing(connection)
                    try:
                        return work(Attempt(connection, answer_lost))
                    except BaseException as error:
                        self._note_encoding(connection, error)
                        if _is_spoilt_by(error):
                            _throw_away(connection)
                        raise
            except SQLAlchemyError as error:
                fault = fault_of(error)
                if fault is Fault.RECONNECT and not is_connected:
                    is_last = ticks() >= to_be_found_until
                else:
                    is_last = attempt >= MOST_ATTEMPTS.get(fault, 1) or ticks() >= deadline
                if is_last:
                    self._give_up(error, fault)
                answer_lost = answer_lost or (fault is Fault.RECONNECT and is_connected)
                if fault is Fault.UNPREPARE:
                    self._may_prepare = False
                _pause(fault, attempt, deadline)
            except (ValueError, OverflowError) as error:  # a driver's, of a text or a number
                raise self._refusal(f"the store cannot hold the record: {error}") from error
        raise AssertionError("unreachable")

    def _spare_the_server(self) -> None:
        """Raise what will not heal by itself, without asking: an account is locked so."""
        assert self._hopeless is not None  # noqa: S101 - the caller has looked
        error, until = self._hopeless
        if ticks() < until:
            raise StoreUnavailable(str(error))
        self._hopeless = None

    def note_backend(self, connection: Connection, backend_pid: int) -> None:
        """Stop preparing where the session that answered is not the one we connected to."""
        driver_connection: Any = connection.connection.driver_connection
        info = getattr(driver_connection, "info", None)
        if info is not None and getattr(info, "backend_pid", backend_pid) != backend_pid:
            self._may_prepare = False

    def _note_encoding(self, connection: Connection, error: BaseException) -> None:
        """Note what the database can hold, where it has just refused some text."""
        if isinstance(error, SQLAlchemyError | ValueError) and not connection.invalidated:
            info: Any = getattr(connection.connection.driver_connection, "info", None)
            if hasattr(info, "parameter_status"):  # of PostgreSQL's drivers
                self._encoding = info.parameter_status("server_encoding")

    def _refusal(self, text: str) -> RecordRefused:
        refusal = RecordRefused(text)
        refusal.encoding = self._encoding
        return refusal

    def _give_up(self, error: SQLAlchemyError, fault: Fault) -> NoReturn:
        if fault is Fault.SCHEMA:
            raise self._schema_error() from error
        if fault is Fault.DATA:
            raise self._refusal(f"the store refused the record: {reason_of(error)}") from error
        unavailable = StoreUnavailable(
            f"the store could not be used: {reason_of(error)}; run `runguard doctor`"
        )
        unavailable.is_away = fault is Fault.RECONNECT
        if fault is Fault.HOPELESS:
            self._hopeless = (unavailable, ticks() + HOPELESS_SECONDS)
        raise unavailable from error


def _is_spoilt_by(error: BaseException) -> bool:
    """Whether a connection must not be used again, after this came out of its use."""
    if isinstance(error, SQLAlchemyError):
        # A server that became a standby keeps its sessions: only a new one leads to its successor.
        return fault_of(error) is Fault.MOVED
    # It may have cut a command off in the middle: a time limit of the host's, Ctrl-C. Not our own
    # refusal, which comes after the answer.
    return not isinstance(error, RecordRefused)


def _throw_away(connection: Connection) -> None:
    with suppress(SQLAlchemyError):  # of one that is dead: no reason to hide what killed it
        connection.invalidate()


def _pause(fault: Fault, attempt: int, deadline: float) -> None:
    # Jittered, so that those who failed together do not come back together.
    growing = min(LONGEST_PAUSE_SECONDS, 0.05 * 2**attempt)
    ceiling = {Fault.RECONNECT: growing, Fault.BUSY: 0.02}.get(fault, 0.002 * attempt)
    left = deadline - ticks()
    time.sleep(max(0.0, min(left, ceiling * (0.5 + random.random() / 2))))  # noqa: S311 - no secret


def _stop_preparing(connection: Connection) -> None:
    driver_connection: Any = connection.connection.driver_connection
    if hasattr(driver_connection, "prepare_threshold"):  # a user's engine may have another driver
        driver_connection.prepare_threshold = None
