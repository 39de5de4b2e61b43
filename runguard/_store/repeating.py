"""What is done about a fault: repeat the work where that heals it, or say what it means.

Loaded with the first fault of a process.
"""

from __future__ import annotations

import random
import time
from math import inf
from typing import Any, Final, NoReturn, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .._clock import ticks
from .._errors import StoreUnavailable
from .faults import Fault, fault_of

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
LOOK_AGAIN_SECONDS: Final = 0.1  # for a free connection: a pool does not tell of one that failed


class Attempting(Protocol):
    """Whose work it is, and what it remembers of its faults."""

    engine: Engine
    may_prepare: bool
    hopeless: tuple[StoreUnavailable, float] | None


def await_repeat(
    attempts: Attempting,
    error: SQLAlchemyError | ValueError | OverflowError,
    number: int,
    deadline: float,
    away_until: float | None,
) -> bool:
    """Return when the work may be tried again; say whether its answer may have been lost.

    Args:
        attempts: Whose work it is.
        error: What the attempt came to.
        number: Of the attempt, from 1 on.
        deadline: When the call must end.
        away_until: Until when it waits for a server that is away; None where it was connected.

    Raises:
        StoreUnavailable: the time is up, or repeating does not help.
        SchemaOutOfDate: a table or column is missing.
    """
    if not isinstance(error, SQLAlchemyError):  # a driver's, of a text or a number
        from .giving_up import refusal

        raise refusal(f"the store cannot hold the record: {error}", attempts.engine) from error
    fault = _fault_of(attempts, error)
    most: float = MOST_ATTEMPTS.get(fault, 1)
    until = deadline
    if fault is Fault.RECONNECT and away_until is not None:
        most, until = inf, away_until
    if number >= most or ticks() >= until:
        _give_up(attempts, error, fault)
    if fault is Fault.UNPREPARE:
        attempts.may_prepare = False
    pause(fault, number, deadline)
    return fault is Fault.RECONNECT and away_until is None


def leads_elsewhere(attempts: Attempting, error: SQLAlchemyError) -> bool:
    """Whether the server is a standby now: a new connection leads to its successor."""
    return _fault_of(attempts, error) is Fault.MOVED


def pause(fault: Fault, number: int, deadline: float) -> None:
    """Wait before the next attempt, jittered: who failed together does not come back together."""
    growing = min(LONGEST_PAUSE_SECONDS, 0.05 * 2**number)
    ceiling = {Fault.RECONNECT: growing, Fault.BUSY: 0.02}.get(fault, 0.002 * number)
    left = deadline - ticks()
    time.sleep(max(0.0, min(left, ceiling * (0.5 + random.random() / 2))))  # noqa: S311 - no secret


def await_connection(pool: Any, deadline: float) -> None:
    """Return when fewer connections than the pool may make are in use.

    A pool waits by itself, but by its own limit: 30 seconds in an engine of a user's, whose only
    connection the job may hold. So we wait where it does, and are woken as its own threads are.

    Raises:
        StoreUnavailable: none was free in time.
    """
    returned, most = getattr(pool._pool, "not_empty", None), pool.size() + pool._max_overflow
    if returned is None:
        return
    with returned:
        while (is_full := pool.checkedout() >= most) and (left := deadline - ticks()) > 0:
            returned.wait(min(left, LOOK_AGAIN_SECONDS))
    if is_full:
        from .giving_up import all_busy

        raise all_busy(most)


def schema_error(engine: Engine) -> Exception:
    """Return what to raise where a table or column is missing."""
    from .schema.found import schema_error_of

    with engine.connect() as connection:
        return schema_error_of(connection)


def stop_preparing(driver_connection: Any) -> None:
    """Let a connection prepare no more; a user's engine may have a driver that never does."""
    if hasattr(driver_connection, "prepare_threshold"):
        driver_connection.prepare_threshold = None


def _fault_of(attempts: Attempting, error: SQLAlchemyError) -> Fault:
    # Each dialect on its own: see `factory`.
    if attempts.engine.dialect.name == "sqlite":
        from .sqlite.faults import fault_of as of_driver
    else:
        from .postgresql.faults import fault_of as of_driver
    return fault_of(error, of_driver)


def _give_up(attempts: Attempting, error: SQLAlchemyError, fault: Fault) -> NoReturn:
    if fault is Fault.SCHEMA:
        raise schema_error(attempts.engine) from error
    from .giving_up import trouble_of

    trouble = trouble_of(error, fault, attempts.engine)
    if fault is Fault.HOPELESS:
        attempts.hopeless = (trouble, ticks() + HOPELESS_SECONDS)
    raise trouble from error
