"""Operator stores: what runs record, and what operators read, do and delete.

Apart from the recorders, so that a job loads none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable

from .._clock import ticks
from .postgresql.recorder import PostgreSqlRecorder
from .postgresql.transaction import read_committed
from .queries.outbox import OutboxQueries
from .queries.problems import ProblemQueries
from .queries.reports import READ_TIMEOUT_SECONDS
from .queries.told import ToldDetails
from .queries.triage import Triage
from .retry import Attempt
from .sqlite.recorder import SqliteRecorder, upgrade_schema, wait_at_most

T = TypeVar("T")


class PostgreSqlOperatorStore(
    PostgreSqlRecorder, ProblemQueries, ToldDetails, OutboxQueries, Triage
):
    """A PostgreSQL server, for operators."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        def transaction(attempt: Attempt) -> T:
            with read_committed(attempt.connection):
                return work(attempt.connection)

        return self._attempts.run(transaction, timeout=timeout)


class SqliteOperatorStore(SqliteRecorder, ProblemQueries, ToldDetails, OutboxQueries, Triage):
    """A SQLite file, for operators."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        return self._write(work, timeout=timeout)

    def _rows(self, query: Executable, *, timeout: float = READ_TIMEOUT_SECONDS) -> Sequence[Any]:
        self.make_schema()
        return super()._rows(query, timeout=timeout)

    def make_schema(self) -> None:
        """Make the file and its tables, or bring them up to date."""

        def work(attempt: Attempt) -> None:
            wait_at_most(attempt.connection, ticks() + READ_TIMEOUT_SECONDS)
            self.make_schema_once(attempt.connection)

        self._attempts.run(work, timeout=READ_TIMEOUT_SECONDS)


OperatorStore = PostgreSqlOperatorStore | SqliteOperatorStore


def open_operator_store(recorder: Any) -> OperatorStore:
    """Return a store with all that operators ask of it, on the connections of one that records."""
    if isinstance(recorder, PostgreSqlOperatorStore | SqliteOperatorStore):
        return recorder
    if recorder.engine.dialect.name == "sqlite":
        return SqliteOperatorStore(recorder.engine, upgrade=upgrade_schema)
    return PostgreSqlOperatorStore(recorder.engine, recorder.patience)
