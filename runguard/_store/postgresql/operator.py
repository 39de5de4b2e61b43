"""A PostgreSQL server, for operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Select

from ..._monitor.delivering import ClaimedDelivery
from ..._monitor.strips import RunCell, strips_of
from ..operator_queries import OperatorQueries
from ..queries.dispatching import delivery_from
from ..queries.outbox import claiming
from ..retry import Attempt
from ..schema.notice_tables import alert_delivery
from .recorder import PostgreSqlRecorder
from .streaming import rows_as_they_come
from .transaction import read_committed

T = TypeVar("T")


class PostgreSqlOperatorStore(PostgreSqlRecorder, OperatorQueries):
    """A PostgreSQL server, for operators."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        def transaction(attempt: Attempt) -> T:
            with read_committed(attempt.connection):
                return work(attempt.connection)

        return self._attempts.run(transaction, timeout=timeout)

    def _many_strips(self, query: Select[Any]) -> dict[str, list[RunCell]]:
        """Make the strips of the first jobs while the server reads those of the next ones."""

        def work(attempt: Attempt) -> dict[str, list[RunCell]]:
            with rows_as_they_come(attempt, query) as rows:
                return strips_of(rows)

        return self._read(work)

    def _claim_untried(
        self, first: Select[Any], who: str, lease: timedelta, *, timeout: float
    ) -> ClaimedDelivery | None:
        """Take what comes first, unless it was tried before: a recovery may tell that instead."""
        its = first.cte("first")
        is_untried = its.c.attempts == 0, its.c.claimed_by.is_(None)
        claim = claiming(who, lease).where(alert_delivery.c.id == its.c.id, *is_untried)
        rows = self._rows(claim, timeout=timeout)
        return ClaimedDelivery(record=delivery_from(rows[0])) if rows else None
