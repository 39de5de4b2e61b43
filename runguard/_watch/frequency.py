"""FREQUENT: a job starts far more often than it is declared to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Final

from .._models import TriggerType
from .._monitor.expectations import Closing, Finding, FindingType, WatchedRun
from .._monitor.wording import counted, duration, iso
from .case import Case, Opinion, as_seconds
from .schedule import Schedule

MOST_STARTS: Final = 3  # in the time of one that is declared
QUIET_STARTS: Final = 2  # the most of a time in which all is well again


def judge_frequency(case: Case) -> Opinion:
    """Say whether more starts came than a few for each that is due."""
    known = case.open.get(FindingType.FREQUENT)
    if case.schedule is None:
        return Opinion(closings=(_quiet(case),) if known else ())
    gap = case.schedule.smallest_gap
    since = max(case.watched_from, case.now - gap)
    starts = [
        one
        for one in takewhile(lambda run: run.started_at > since, case.runs)
        if one.trigger_type == TriggerType.SCHEDULER
    ]
    if len(starts) > MOST_STARTS and len(starts) > MOST_STARTS + _owed(case, starts[-1], gap):
        return Opinion((_frequent(case, case.schedule, starts),))
    if known is None:
        return Opinion()
    if len(starts) <= QUIET_STARTS:
        return Opinion(closings=(_quiet(case),))
    return Opinion(look_at=starts[QUIET_STARTS].started_at + gap)


def _owed(case: Case, first: WatchedRun, gap: timedelta) -> int:
    """Return how many starts were not made before: a scheduler may make up for them at once."""
    before = next((one for one in case.runs if case.now - one.started_at >= gap), None)
    return 0 if before is None else max(0, (first.started_at - before.started_at) // gap - 1)


def _frequent(case: Case, schedule: Schedule, starts: Sequence[WatchedRun]) -> Finding:
    gap = schedule.smallest_gap
    hosts = len({one.host for one in starts if one.host})
    said = f"started {counted(len(starts), 'time')} within {duration(gap)}"
    return Finding(
        type=FindingType.FREQUENT,
        title=f"{case.name} {said}",
        message=(
            f"{case.name} {said}, on {counted(hosts, 'host')}. It is declared as {schedule.words}."
        ),
        since=starts[-1].started_at,
        detail={
            "schedule": schedule.words,
            "starts": len(starts),
            "within_seconds": as_seconds(gap),
            "declared_seconds": as_seconds(gap),
            "hosts": hosts,
            "last_start_at": iso(starts[0].started_at),
        },
    )


def _quiet(case: Case) -> Closing:
    message = f"{case.name} starts as often as it is expected to."
    if case.schedule is None:
        message = f"What is expected of {case.name} has changed."
    return Closing(type=FindingType.FREQUENT, title=message.removesuffix("."), message=message)
