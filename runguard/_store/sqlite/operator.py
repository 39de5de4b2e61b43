"""A SQLite file, for operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable

from ..._clock import ticks
from ..operator_queries import OperatorQueries
from ..queries.reports import READ_TIMEOUT_SECONDS
from ..retry import Attempt
from .recorder import SqliteRecorder, wait_at_most

T = TypeVar("T")


class SqliteOperatorStore(SqliteRecorder, OperatorQueries):
    """A SQLite file, for operators."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        return self._write(work, timeout=timeout)

    def _rows(self, query: Executable, *, timeout: float = READ_TIMEOUT_SECONDS) -> Sequence[Any]:
        self.make_schema()
        return super()._rows(query, timeout=timeout)

    def make_schema(self) -> None:
        """Make the file and its tables, or bring them up to date."""

        def work(attempt: Attempt) -> None:
            wait_at_most(attempt.pooled, ticks() + READ_TIMEOUT_SECONDS)
            self.make_schema_once(attempt.connection)

        self._attempts.run(work, timeout=READ_TIMEOUT_SECONDS)
