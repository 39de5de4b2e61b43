"""All that operators read, do and delete, in the words of either dialect."""

from __future__ import annotations

from .queries.timeline import TimelineQueries
from .queries.triage import Triage
from .queries.watched import WatchedJobs
from .queries.watching import WatchQueries


class OperatorQueries(WatchedJobs, WatchQueries, TimelineQueries, Triage):
    """All that operators ask of a store beside what runs record."""
