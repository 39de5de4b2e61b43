"""What SQLite's errors mean: it has no SQLSTATE, so by how their texts begin."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError

from ..faults import Fault

_BY_TEXT: Final = {
    **{f"database {what}is locked": Fault.BUSY for what in ("", "table ", "schema ")},
    "Error binding parameter": Fault.DATA,
    "no such table": Fault.SCHEMA,
    "no such column": Fault.SCHEMA,
    **{f"table {table} has no column": Fault.SCHEMA for table in ("run_log", "alert", "job_lock")},
}


def fault_of(error: DBAPIError) -> Fault | None:
    """Sort an error by its remedy; None where it does not say."""
    text = str(error.orig)
    return next((fault for opening, fault in _BY_TEXT.items() if text.startswith(opening)), None)
