"""What jobs with `expect="learn"` are expected to do: what their starts prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from .._clock import ticks
from .._monitor.cadence import LOOKS_BACK, learned
from .._monitor.expectations import Expectation, FindingType, JobFacts

LEARNS_EVERY_SECONDS: Final = 3600.0
MOST_STARTS: Final = 30_000  # three weeks of one a minute


class StartsStore(Protocol):
    """Where starts are."""

    def starts(
        self, job_name: str, *, since: datetime, environment: str | None, limit: int
    ) -> Sequence[datetime]:
        """Return when a job started in an environment, the newest first."""
        ...


class Learner:
    """Learns schedules, each anew once an hour: thousands of starts are read for one."""

    def __init__(self, store: StartsStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str | None], tuple[float, Expectation, Expectation]] = {}

    def taught(self, facts: JobFacts, *, now: datetime, zone: tzinfo = UTC) -> JobFacts:
        """Return the facts with what was learned, where something is to be.

        Args:
            facts: Of one job.
            now: The database's clock.
            zone: In which times of day are looked for, unless the job names one.
        """
        expectation = facts.job.expectation
        if not expectation.learn or expectation.has_schedule:
            return facts
        key = (facts.job.job_name, facts.job.environment)
        at, declared, known = self._known.get(key, (0.0, None, expectation))
        if declared != expectation or ticks() > at + LEARNS_EVERY_SECONDS:
            since = _lived_until(facts, now) - LOOKS_BACK
            starts = self._store.starts(key[0], since=since, environment=key[1], limit=MOST_STARTS)
            its_zone = ZoneInfo(expectation.tz) if expectation.tz else zone
            known = learned(expectation, starts, zone=its_zone)
            self._known[key] = (ticks(), expectation, known)
        return replace(facts, learned=known if known.has_schedule else None)


def _lived_until(facts: JobFacts, now: datetime) -> datetime:
    """Return from when to look back: what a job was missed by is expected until it starts again."""
    if FindingType.MISSED in facts.open and facts.runs:
        return min(now, facts.runs[0].started_at)
    return now
