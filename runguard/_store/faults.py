"""What a database error means, and what heals it.

The only place that reads SQLSTATEs and driver texts; everything above sees `StoreUnavailable` or
`SchemaOutOfDate`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Fault(Enum):
    """The kinds of fault, by their remedy."""

    REPEAT = "serialization failure or deadlock: repeat at once"
    RECONNECT = "connection lost or refused: repeat on a new connection"
    TOO_SLOW = "the role's statement timeout: once more, the next try may find no lock in its way"
    MOVED = "the server is read-only, perhaps a standby now: once more on a new connection"
    UNPREPARE = "a pooler mixed up prepared statements: stop preparing, repeat"
    BUSY = "another process is writing: repeat after a moment"
    HOPELESS = "wrong password, database or certificate: tell at once, somebody must mend it"
    SCHEMA = "table or column missing: upgrade the schema"
    DATA = "the store will never take this record: store less of it"
    REFUSED = "the store said no: repeating does not help"


_BY_SQLSTATE: Final = {
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
# SQLite has no SQLSTATE; these are the stable openings of its messages.
_BY_SQLITE_TEXT: Final = {
    "database is locked": Fault.BUSY,
    "database table is locked": Fault.BUSY,
    "database schema is locked": Fault.BUSY,
    "no such table": Fault.SCHEMA,
    "no such column": Fault.SCHEMA,
    "table run_log has no column": Fault.SCHEMA,
    "table alert has no column": Fault.SCHEMA,
    "table job_lock has no column": Fault.SCHEMA,
}


# While it connects, libpq passes on a text only. These are what no second try heals, in the words
# of PostgreSQL, PgBouncer, libpq and OpenSSL.
_HOPELESS: Final = re.compile(
    r"authentication failed"
    r"|authentifi|autenti|подлинности|인증|認証|认证"  # a server's own language
    r"|no password supplied"
    r"|no pg_hba\.conf entry"
    r"|pg_hba\.conf rejects"
    r"|(?:role|user|database) \"[^\"]*\" (?:does not exist|is not permitted)"
    r"|role \"[^\"]*\" is not permitted to log in"
    r"|permission denied for database"
    r"|no such (?:database|user)"
    r"|certificate"
    r"|server does not support SSL"
    r"|tls(?:v\d+)? alert"
    r"|(?:invalid|unsupported) (?:sslmode|port|channel_binding|connection option)"
    r"|private key file",
    re.IGNORECASE,
)


def sqlstate_of(error: BaseException) -> str | None:
    """Return the five characters, from psycopg 3 (`sqlstate`) or psycopg2 (`pgcode`)."""
    driver_error = getattr(error, "orig", error)
    state = getattr(driver_error, "sqlstate", None) or getattr(driver_error, "pgcode", None)
    return state if isinstance(state, str) else None


def fault_of(error: SQLAlchemyError) -> Fault:
    """Sort a database error by its remedy."""
    if isinstance(error, PoolTimeout):
        return Fault.REFUSED
    if not isinstance(error, DBAPIError):
        return Fault.DATA if _is_of_a_parameter(error) else Fault.REFUSED
    if state := sqlstate_of(error):
        if state == "08P01" and _ended_the_connection(error):
            return Fault.RECONNECT  # what PgBouncer says when its server has gone away
        if state in _BY_SQLSTATE:
            return _BY_SQLSTATE[state]
        if state.startswith(_ABOUT_DATA) and state != _NOT_ABOUT_DATA:
            return Fault.DATA
        return Fault.RECONNECT if state.startswith("08") else Fault.REFUSED
    text = str(error.orig)
    for opening, fault in _BY_SQLITE_TEXT.items():
        if text.startswith(opening):
            return fault
    if _is_about_the_connection(error) and _HOPELESS.search(text):
        return Fault.HOPELESS
    if error.connection_invalidated or _is_about_the_connection(error):
        return Fault.RECONNECT
    return Fault.DATA if isinstance(error, DataError | IntegrityError) else Fault.REFUSED


def _is_of_a_parameter(error: SQLAlchemyError) -> bool:
    return isinstance(error, StatementError) and isinstance(error.orig, ValueError | TypeError)


def _ended_the_connection(error: DBAPIError) -> bool:
    diag = getattr(error.orig, "diag", None)
    severity = getattr(diag, "severity_nonlocalized", None) or getattr(diag, "severity", None)
    return severity == "FATAL"


def _is_about_the_connection(error: DBAPIError) -> bool:
    # psycopg gives no SQLSTATE where the server never spoke; nothing but the network is left then.
    driver_error = error.orig
    return type(driver_error).__module__.startswith("psycopg") and isinstance(
        error, _operational_error()
    )


def _operational_error() -> type[DBAPIError]:
    from sqlalchemy.exc import OperationalError

    return OperationalError


def reason_of(error: BaseException) -> str:
    """Say a database error in one line without statement, parameters or connection string."""
    driver_error = getattr(error, "orig", None) or error
    diag = getattr(driver_error, "diag", None)
    primary = getattr(diag, "message_primary", None)
    line = primary or str(driver_error).strip().partition("\n")[0]
    state = sqlstate_of(error)
    return f"{line} (SQLSTATE {state})" if state else str(line or type(driver_error).__name__)
