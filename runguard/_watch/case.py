"""What a rule is asked, and what it answers. Odd rows are made sane here, once for all rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

from .._frozen import frozen
from .._models import RunStatus, named_in
from .._monitor.expectations import (
    Closing,
    Expectation,
    Finding,
    FindingType,
    Gap,
    JobFacts,
    JobRecord,
    OpenFinding,
    WatchedRun,
)
from .schedule import Schedule

_FIRST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LAST: Final = datetime(2190, 1, 1, tzinfo=UTC)
_STARTED_AT: Final = attrgetter("started_at")


@frozen
class Case:
    """A job as its rules see it.

    Attributes:
        expectation: What is expected, with what was learned.
        schedule: When its starts are due; None where that is not known.
        runs: Its newest runs, the newest first; no time is in the future, none is naive.
        successes: Those that succeeded and say when they ended.
        open: Its findings whose incidents are open.
        watched_from: Nothing that was due before is judged.
        judged_at: When it was judged last; None where it never was.
        gaps: When nobody looked, the oldest first.
    """

    job: JobRecord
    expectation: Expectation
    schedule: Schedule | None
    runs: tuple[WatchedRun, ...]
    successes: tuple[WatchedRun, ...]
    open: Mapping[FindingType, OpenFinding]
    watched_from: datetime
    judged_at: datetime | None
    now: datetime
    gaps: tuple[Gap, ...]

    @property
    def name(self) -> str:
        """The job and its environment, as people name them."""
        return named_in(self.job.job_name, self.job.environment)


@frozen
class Opinion:
    """What one rule says.

    Attributes:
        look_at: When it wants to be asked again, if nothing starts or ends before.
    """

    findings: tuple[Finding, ...] = ()
    closings: tuple[Closing, ...] = ()
    look_at: datetime | None = None


def case_of(
    facts: JobFacts,
    expectation: Expectation,
    schedule: Schedule | None,
    *,
    now: datetime,
    gaps: Iterable[Gap],
) -> Case:
    """Make the facts sane: no time is naive or in the future, no run ends before it began."""
    now = _within_calendar(now)
    declared_at, judged_at = facts.job.declared_at, facts.job.judged_at
    runs = _sane_runs(facts.runs, now)
    return Case(
        job=facts.job,
        expectation=expectation,
        schedule=schedule,
        runs=runs,
        successes=tuple(one for one in runs if one.status == RunStatus.SUCCESS and one.finished_at),
        open=facts.open,
        watched_from=now if declared_at is None else min(_within_calendar(declared_at), now),
        judged_at=judged_at and _within_calendar(judged_at),
        now=now,
        gaps=tuple(_sane_gaps(gaps)),
    )


def is_running(run: WatchedRun) -> bool:
    """Whether a run goes on; one that was refused never began."""
    return run.finished_at is None and run.status == RunStatus.RUNNING and not run.refused


def ended_at(run: WatchedRun, now: datetime) -> datetime:
    """Return when a run ended; now where it goes on."""
    if run.finished_at is not None:
        return run.finished_at
    return now if is_running(run) else run.started_at


def seconds_of(run: WatchedRun, now: datetime) -> float:
    """Return how long a run took, or has taken so far."""
    return (ended_at(run, now) - run.started_at).total_seconds()


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the first of the moments that are known."""
    return min((one for one in moments if one is not None), default=None)


def time_in(finding: OpenFinding, key: str) -> datetime | None:
    """Read a time of an open finding's detail; None where it holds none."""
    value = finding.detail.get(key)
    try:
        return _within_calendar(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _sane_runs(runs: Iterable[WatchedRun], now: datetime) -> tuple[WatchedRun, ...]:
    sane = [one if _is_sane(one, now) else _mended(one, now) for one in runs if one.started_at]
    sane.sort(key=_STARTED_AT, reverse=True)
    return tuple(sane)


def _is_sane(run: WatchedRun, now: datetime) -> bool:
    start, end = run.started_at, run.finished_at
    if start.tzinfo is None or not _FIRST <= start <= now:
        return False
    return end is None or (end.tzinfo is not None and start <= end <= now)


def _mended(run: WatchedRun, now: datetime) -> WatchedRun:
    start = min(_within_calendar(run.started_at), now)
    end = run.finished_at
    if end is not None:
        end = max(start, min(_within_calendar(end), now))
    return run._replace(started_at=start, finished_at=end)


def _sane_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    sane = [
        Gap(began_at=_within_calendar(one.began_at), ended_at=_within_calendar(one.ended_at))
        for one in gaps
    ]
    return sorted(sane, key=lambda one: one.began_at)


def _within_calendar(moment: datetime) -> datetime:
    """Return an aware time that lengths can be added to; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, _FIRST), _LAST)


def as_seconds(length: timedelta) -> float:
    """Return a length as a detail holds it."""
    return round(length.total_seconds(), 3)
