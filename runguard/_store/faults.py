"""What a database error means, and what heals it.

The only place that reads SQLSTATEs and driver texts; everything above sees `StoreUnavailable` or
`SchemaOutOfDate`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Fault(Enum):
    """The kinds of fault, by their remedy."""

    REPEAT = "serialization failure or deadlock: repeat at once"
    RECONNECT = "connection lost or refused: repeat on a new connection"
    TOO_SLOW = "the role's statement timeout: once more, the next try may find no lock in its way"
    MOVED = "the server is read-only, perhaps a standby now: once more on a new connection"
    UNPREPARE = "a prepared statement is not what it was: stop preparing, repeat"
    BUSY = "another process is writing: repeat after a moment"
    HOPELESS = "wrong password, database or certificate: tell at once, somebody must mend it"
    SCHEMA = "table or column missing: upgrade the schema"
    DATA = "the store will never take this record: store less of it"
    REFUSED = "the store said no: repeating does not help"


def sqlstate_of(error: BaseException | None) -> str | None:
    """Return the five characters, from psycopg 3 (`sqlstate`) or psycopg2 (`pgcode`)."""
    driver_error = getattr(error, "orig", error)
    state = getattr(driver_error, "sqlstate", None) or getattr(driver_error, "pgcode", None)
    return state if isinstance(state, str) else None


DENIED = "42501"  # insufficient_privilege


def fault_of(error: SQLAlchemyError, of_driver: Callable[[DBAPIError], Fault | None]) -> Fault:
    """Sort a database error by its remedy; `of_driver` knows what its database says."""
    if isinstance(error, PoolTimeout):
        return Fault.REFUSED
    if not isinstance(error, DBAPIError):
        return Fault.DATA if _is_of_a_parameter(error) else Fault.REFUSED
    if (fault := of_driver(error)) is not None:
        return fault
    if error.connection_invalidated:
        return Fault.RECONNECT
    return Fault.DATA if isinstance(error, DataError | IntegrityError) else Fault.REFUSED


def _is_of_a_parameter(error: SQLAlchemyError) -> bool:
    return isinstance(getattr(error, "orig", None), ValueError | TypeError | OverflowError)
