"""Rows moved into the past, for tests: time passes, and nobody waits for it.

Apart from everything that runs: only `runguard.testing` loads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Table, bindparam, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .schema.indexes import metadata
from .schema.tables import run_log
from .schema.types import SQLITE_TIME_FORMAT, UtcDateTime

if TYPE_CHECKING:
    from .operator import OperatorStore

TIMEOUT_SECONDS = 30.0


class earlier(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """A time (the first argument), a number of seconds (the second) before; NULL stays NULL."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(earlier)
def _earlier_postgresql(element: earlier, compiler: SQLCompiler, **kw: Any) -> str:
    time, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({time} OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => {seconds}))"


@compiles(earlier, "sqlite")
def _earlier_sqlite(element: earlier, compiler: SQLCompiler, **kw: Any) -> str:
    time, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"strftime('{SQLITE_TIME_FORMAT}', {time}, (-{seconds}) || ' seconds')"


def move_into_past(store: OperatorStore, by: timedelta) -> None:
    """Move every time in every table of runguard back, in one transaction."""

    def work(connection: Connection) -> None:
        for table in metadata.sorted_tables:
            if times := _moved(_times_of(table)):
                connection.execute(update(table).values(times), {"by": by.total_seconds()})

    store._transact(work, timeout=TIMEOUT_SECONDS)


def move_run_into_past(store: OperatorStore, run_id: int, by: timedelta) -> None:
    """Move all times of one run back."""

    def work(connection: Connection) -> None:
        moved = (
            update(run_log)
            .where(run_log.c.id == bindparam("run"))
            .values(_moved(_times_of(run_log)))
        )
        connection.execute(moved, {"by": by.total_seconds(), "run": run_id})

    store._transact(work, timeout=TIMEOUT_SECONDS)


def _times_of(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, UtcDateTime)]


def _moved(columns: Iterable[Column[Any]]) -> dict[str, Any]:
    return {column.name: earlier(column, bindparam("by")) for column in columns}
