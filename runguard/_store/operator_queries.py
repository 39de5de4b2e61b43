"""All that operators read, do and delete, in the words of either dialect."""

from __future__ import annotations

from .queries.metrics import MetricQueries
from .queries.timeline import TimelineQueries
from .queries.triage import Triage
from .queries.watching import WatchQueries


class OperatorQueries(MetricQueries, WatchQueries, TimelineQueries, Triage):
    """All that operators ask of a store beside what runs record."""
