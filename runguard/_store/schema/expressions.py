"""SQL expressions that differ between the two databases: what locks and looks need of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .moments import argument
from .types import UtcDateTime


class released(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The end of a lease that was given back: a moment of the past for every clock.

    The moment of the release would be in the future of a clock that steps back, and the lock held.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(released)
def _released_postgresql(_element: released, _compiler: SQLCompiler, **_: Any) -> str:
    return "timestamptz '1970-01-01 00:00:00+00'"


@compiles(released, "sqlite")
def _released_sqlite(_element: released, _compiler: SQLCompiler, **_: Any) -> str:
    return "'1970-01-01 00:00:00.000'"


RELEASED = released()


class finite(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """A time, or NULL where another program wrote `infinity`, which Python cannot hold."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(finite)
def _finite_postgresql(element: finite, compiler: SQLCompiler, **kw: Any) -> str:
    time = argument(element, compiler, **kw)
    return f"CASE WHEN pg_catalog.isfinite({time}) THEN {time} END"


@compiles(finite, "sqlite")
def _finite_sqlite(element: finite, compiler: SQLCompiler, **kw: Any) -> str:
    return argument(element, compiler, **kw)


class names_run(FunctionElement[bool]):  # noqa: N801 - reads as a SQL function
    """Whether an alert's detail (the first argument) names the run of an id (the second)."""

    type = Boolean()
    inherit_cache = True


@compiles(names_run)
def _names_run_postgresql(element: names_run, compiler: SQLCompiler, **kw: Any) -> str:
    detail, run_id = (compiler.process(clause, **kw) for clause in element.clauses)
    # In the words of the indexes on both sides.
    named = f"({detail} OPERATOR(pg_catalog.->>) 'run_id')"
    return f"{named} OPERATOR(pg_catalog.=) CAST({run_id} AS pg_catalog.text)"


@compiles(names_run, "sqlite")
def _names_run_sqlite(element: names_run, compiler: SQLCompiler, **kw: Any) -> str:
    detail, run_id = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{run_id} = CASE WHEN json_valid({detail}) THEN json_extract({detail}, '$.run_id') END"
