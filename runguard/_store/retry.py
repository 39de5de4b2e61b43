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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import Pool, QueuePool

from .._clock import ticks
from .._errors import RecordRefused, StoreUnavailable
from .faults import Fault, fault_of

# When the store call that is under way in this thread must end, in seconds of `ticks`.
DEADLINE: Final[ContextVar[float]] = ContextVar("runguard_deadline", default=inf)
IDLE_SINCE: Final = "runguard_idle_since"  # in a connection's info: when it went back to the pool
LOOK_EVERY_SECONDS: Final = 0.01  # for a free connection
HOPELESS_SECONDS: Final = 60.0  # that a process waits before it tries a refused login again
MOST_ATTEMPTS: Final = {
    Fault.REPEAT: 20,
    Fault.BUSY: 1_000,  # SQLite: the deadline ends it
    Fault.RECONNECT: 6,  # of work that was cut off; see `Attempts.patience`
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

    patience = inf
    """The seconds that a call waits for a server that is away: who reads wants to hear of it."""

    def __init__(
        self,
        engine: Engine,
        schema_error: Callable[[], Exception],
        of_driver: Callable[[DBAPIError], Fault | None],
    ) -> None:
        """Take the engine, what to raise where a table is missing, and who reads errors."""
        self.engine = engine
        self._of_driver = of_driver
        self._schema_error = schema_error
        self._may_prepare = True
        self._hopeless: tuple[StoreUnavailable, float] | None = None

    def run(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Return what `work` returns. `timeout` is in seconds.

        Raises:
            StoreUnavailable: the time is up, or repeating does not help.
            SchemaOutOfDate: a table or column is missing.
        """
        if self._hopeless is not None and ticks() < self._hopeless[1]:
            raise StoreUnavailable(str(self._hopeless[0]))  # who asks on has an account locked
        deadline = ticks() + timeout
        token = DEADLINE.set(deadline)
        try:
            return self._until(deadline, work)
        finally:
            DEADLINE.reset(token)

    def _until(self, deadline: float, work: Callable[[Attempt], T]) -> T:
        found_until = min(deadline, ticks() + self.patience)
        answer_lost = False
        for attempt in count(1):
            DEADLINE.set(deadline)
            _wait_for_free_connection(self.engine.pool, deadline)
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
                        if self._is_spoilt_by(error):
                            with suppress(SQLAlchemyError):  # of a dead one: no reason to hide
                                connection.invalidate()  # what killed it
                        raise
            except SQLAlchemyError as error:
                fault = fault_of(error, self._of_driver)
                is_away = fault is Fault.RECONNECT and not is_connected
                most = inf if is_away else MOST_ATTEMPTS.get(fault, 1)
                if attempt >= most or ticks() >= (found_until if is_away else deadline):
                    self._give_up(error, fault)
                answer_lost = answer_lost or (fault is Fault.RECONNECT and is_connected)
                if fault is Fault.UNPREPARE:
                    self._may_prepare = False
                _pause(fault, attempt, deadline)
            except (ValueError, OverflowError) as error:  # a driver's, of a text or a number
                from .giving_up import refusal

                text = f"the store cannot hold the record: {error}"
                raise refusal(text, self.engine) from error
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
        from .giving_up import trouble_of

        trouble = trouble_of(error, fault, self.engine)
        if fault is Fault.HOPELESS:
            self._hopeless = (trouble, ticks() + HOPELESS_SECONDS)
        raise trouble from error

    def _is_spoilt_by(self, error: BaseException) -> bool:
        """Whether a connection must not be used again, after this came out of its use."""
        if isinstance(error, SQLAlchemyError):
            # A server that became a standby keeps its sessions: a new one leads to its successor.
            return fault_of(error, self._of_driver) is Fault.MOVED
        # It may have cut a command off in the middle: a time limit of the host's, Ctrl-C. Not our
        # own refusal, which comes after the answer.
        return not isinstance(error, RecordRefused)


def _wait_for_free_connection(pool: Pool, deadline: float) -> None:
    """Return when a connection is free.

    A pool waits by itself, but by its own limit: 30 seconds in an engine of a user's, whose only
    connection the job may hold.

    Raises:
        StoreUnavailable: none was free in time.
    """
    if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # no limit
        return
    most = pool.size() + pool._max_overflow
    while pool.checkedout() >= most:
        if ticks() >= deadline:
            from .giving_up import all_busy

            raise all_busy(most)
        time.sleep(LOOK_EVERY_SECONDS)


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
