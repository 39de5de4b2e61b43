"""A PostgreSQL server, for operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from ..operator_queries import OperatorQueries
from ..retry import Attempt
from .recorder import PostgreSqlRecorder
from .transaction import read_committed

T = TypeVar("T")


class PostgreSqlOperatorStore(PostgreSqlRecorder, OperatorQueries):
    """A PostgreSQL server, for operators."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        def transaction(attempt: Attempt) -> T:
            with read_committed(attempt.connection):
                return work(attempt.connection)

        return self._attempts.run(transaction, timeout=timeout)
