"""What a database error says, for people. Loaded only where there is one to tell."""

from __future__ import annotations

from .faults import sqlstate_of


def reason_of(error: BaseException) -> str:
    """Say a database error in one line without statement, parameters or connection string."""
    driver_error = getattr(error, "orig", None) or error
    diag = getattr(driver_error, "diag", None)
    primary = getattr(diag, "message_primary", None)
    line = primary or str(driver_error).strip().partition("\n")[0]
    if "local user with ID" in line:
        line += ": name the user in the URL (postgresql://USER@host/database), or set PGUSER"
    state = sqlstate_of(error)
    return f"{line} (SQLSTATE {state})" if state else str(line or type(driver_error).__name__)
