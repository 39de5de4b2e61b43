"""What is raised where a store could not be used. Loaded only then."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .._errors import RecordRefused, StoreUnavailable
from .error_text import reason_of
from .faults import Fault


def trouble_of(error: SQLAlchemyError, fault: Fault, engine: Engine) -> StoreUnavailable:
    """Return what to raise for a fault that no repeat has healed."""
    if fault is Fault.DATA:
        return refusal(f"the store refused the record: {reason_of(error)}", engine)
    unavailable = StoreUnavailable(
        f"the store could not be used: {reason_of(error)}; run `runguard doctor`"
    )
    unavailable.is_away = fault is Fault.RECONNECT
    return unavailable


def all_busy(connections: int) -> StoreUnavailable:
    """Return the error for a pool that had no connection free in time."""
    return StoreUnavailable(
        f"the store could not be used: no connection was free in time, all {connections} are busy;"
        " raise max_connections, or the pool_size of the engine that you gave"
    )


def refusal(text: str, engine: Engine) -> RecordRefused:
    """Return the error for a record that was refused; it names the database's encoding."""
    error = RecordRefused(text)
    with suppress(SQLAlchemyError), engine.connect() as connection:
        info: Any = getattr(connection.connection.driver_connection, "info", None)
        if hasattr(info, "parameter_status"):  # of PostgreSQL's drivers: it asks no server
            error.encoding = info.parameter_status("server_encoding")
    return error
