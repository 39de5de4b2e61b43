"""Reading what other programs may have written: whatever it is, it stops nobody's delivery."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..schema.moments import argument
from ..schema.types import SQLITE_TIME_FORMAT, UtcDateTime

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998  # so that what is reckoned with a time stays one


def json_object(text: str | bytes | None) -> dict[str, Any]:
    """Read a document: nothing where it is no object."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):  # such as no JSON, or thousands of brackets
        return {}
    return found if isinstance(found, dict) else {}


def text_of(value: object) -> str:
    """Read a text; in a SQLite file it may be bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def time_of(value: object) -> datetime | None:
    """Read a time with its zone from a document; None where it is none of our days."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None or found.tzinfo is None:
        return None
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None


class readable(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """A time, or NULL where another program wrote none of our days."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(readable)
def _readable_postgresql(element: readable, compiler: SQLCompiler, **kw: Any) -> str:
    time = argument(element, compiler, **kw)
    first, end = (
        f"CAST('{year}-01-01 00:00:00+00' AS pg_catalog.timestamptz)"
        for year in (_FIRST_YEAR, _LAST_YEAR)
    )
    return (
        f"CASE WHEN {time} OPERATOR(pg_catalog.>=) {first}"
        f" AND {time} OPERATOR(pg_catalog.<) {end} THEN {time} END"
    )


@compiles(readable, "sqlite")
def _readable_sqlite(element: readable, compiler: SQLCompiler, **kw: Any) -> str:
    time = f"strftime('{SQLITE_TIME_FORMAT}', {argument(element, compiler, **kw)})"
    return f"CASE WHEN {time} BETWEEN '{_FIRST_YEAR}' AND '{_LAST_YEAR}' THEN {time} END"
