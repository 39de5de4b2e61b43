"""What PostgreSQL's errors mean: by their SQLSTATE, or by their text while it connects."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError

from ..faults import Fault, sqlstate_of

BY_SQLSTATE: Final = {
    "40001": Fault.REPEAT,  # serialization_failure
    "40P01": Fault.REPEAT,  # deadlock_detected
    "55P03": Fault.REPEAT,  # lock_not_available: cheap to ask again until the deadline
    "28000": Fault.HOPELESS,  # invalid_authorization_specification
    "28P01": Fault.HOPELESS,  # invalid_password
    "3D000": Fault.HOPELESS,  # invalid_catalog_name
    "57014": Fault.TOO_SLOW,  # query_canceled
    "57P01": Fault.RECONNECT,  # admin_shutdown
    "57P02": Fault.RECONNECT,  # crash_shutdown
    "57P03": Fault.RECONNECT,  # cannot_connect_now
    "57P05": Fault.RECONNECT,  # idle_session_timeout
    "25P03": Fault.RECONNECT,  # idle_in_transaction_session_timeout
    "53300": Fault.RECONNECT,  # too_many_connections
    "25006": Fault.MOVED,  # read_only_sql_transaction
    "0A000": Fault.UNPREPARE,  # a column of a prepared statement has another type now
    "26000": Fault.UNPREPARE,  # prepared statement does not exist
    "42P05": Fault.UNPREPARE,  # prepared statement already exists
    "08P01": Fault.UNPREPARE,  # another client's statement takes other parameters; but see below
    "42P01": Fault.SCHEMA,  # undefined_table
    "42703": Fault.SCHEMA,  # undefined_column
    "42P10": Fault.SCHEMA,  # no unique index for the ON CONFLICT target
}
# Classes of SQLSTATEs that are about the data of a statement, and not about its moment: bad data,
# constraint, function of a trigger, view's condition, a size beyond a limit, RAISE in a trigger.
_ABOUT_DATA: Final = ("22", "23", "38", "39", "44", "54", "P0")
_NOT_ABOUT_DATA: Final = "2200H"  # sequence_generator_limit_exceeded: no record will ever fit


def fault_of(error: DBAPIError) -> Fault | None:
    """Sort an error by its remedy; None where it does not say."""
    if state := sqlstate_of(error):
        if state == "08P01" and _ended_the_connection(error):
            return Fault.RECONNECT  # what PgBouncer says when its server has gone away
        if state in BY_SQLSTATE:
            return BY_SQLSTATE[state]
        if state.startswith(_ABOUT_DATA) and state != _NOT_ABOUT_DATA:
            return Fault.DATA
        return Fault.RECONNECT if state.startswith("08") else Fault.REFUSED
    if not _is_about_the_connection(error):
        return None
    from .hopeless import is_hopeless

    return Fault.HOPELESS if is_hopeless(str(error.orig)) else Fault.RECONNECT


def _ended_the_connection(error: DBAPIError) -> bool:
    diag = getattr(error.orig, "diag", None)
    severity = getattr(diag, "severity_nonlocalized", None) or getattr(diag, "severity", None)
    return severity == "FATAL"


def _is_about_the_connection(error: DBAPIError) -> bool:
    # psycopg gives no SQLSTATE where the server never spoke; nothing but the network is left then.
    driver_error = error.orig
    return type(driver_error).__module__.startswith("psycopg") and isinstance(
        error, OperationalError
    )
