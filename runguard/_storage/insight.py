"""What a page, or `show` and `explain`, reads: bounded answers, each from an index.

Plain SELECTs in autocommit, so that a read-only role on a replica will do. A row without a start
(other programs may have written one) has no place in time: it is found by its id alone.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from .insight_details import DetailInsight
from .insight_jobs import JobInsight
from .insight_pages import PageInsight
from .types import db_now


class Insight(JobInsight, PageInsight, DetailInsight):
    """All of `_ports.OperatorInsight`, for both databases."""

    def now(self) -> datetime:
        """Return the database's clock."""
        [(now,)] = self._rows(select(db_now()))
        instant: datetime = now
        return instant
