"""The clock of the database, by which all times are taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .types import SQLITE_TIME_FORMAT, UtcDateTime


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's clock, at the start of the statement."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(db_now)
def _now_postgresql(_element: db_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "pg_catalog.now()"


@compiles(db_now, "sqlite")
def _now_sqlite(_element: db_now, _compiler: SQLCompiler, **_: Any) -> str:
    return f"(strftime('{SQLITE_TIME_FORMAT}', 'now'))"
