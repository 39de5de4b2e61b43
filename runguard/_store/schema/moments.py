"""Moments that are counted from the database's clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import elements
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .types import SQLITE_TIME_FORMAT, UtcDateTime


class db_now_plus(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's clock plus a number of seconds, which may be negative or a fraction."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(db_now_plus)
def _now_plus_postgresql(element: db_now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = argument(element, compiler, **kw)
    interval = f"pg_catalog.make_interval(secs => {seconds})"
    return f"(pg_catalog.now() OPERATOR(pg_catalog.+) {interval})"


@compiles(db_now_plus, "sqlite")
def _now_plus_sqlite(element: db_now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = argument(element, compiler, **kw)
    return f"strftime('{SQLITE_TIME_FORMAT}', 'now', ({seconds}) || ' seconds')"


def argument(element: FunctionElement[datetime], compiler: SQLCompiler, **kw: Any) -> str:
    """Spell the argument of an expression of ours."""
    clause: elements.ClauseList = element.clauses
    return str(compiler.process(clause, **kw))
