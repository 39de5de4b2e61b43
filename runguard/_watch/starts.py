"""MISSED: a start was due, its grace is over, and no start covers it.

What covers a due time: a start from a little before it up to the end of its grace, a run that is
going on at that time, a start that the job's lock refused, and any later start, which is told as
late. So only what is due after the newest start matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from .._frozen import frozen
from .._models import TriggerType
from .._monitor.expectations import Closing, Finding, FindingType, Gap, OpenFinding, WatchedRun
from .._monitor.wording import counted, duration, iso
from .case import Case, Opinion, as_seconds, ended_at, time_in
from .schedule import ClockSchedule, EverySchedule, Schedule, Slot, plus
from .zones import all_that_fit, wrong_zone, zone_is_right, zones_of_a_new_job, zones_of_starts

MOST_COUNTED: Final = 1000  # of starts that did not come
MOST_PUT_OFF: Final = 2  # gaps after its grace that put off when a start is missed
MOST_BESIDE: Final = 3  # newest runs of which a long one may excuse that nothing else starts


@frozen
class Starts:
    """What is to be said of a job's starts, and when the next one is due."""

    opinion: Opinion
    next_due_at: datetime | None = None


@frozen
class _Expected:
    """The next start that nothing covers.

    Attributes:
        deadline: When it is missed.
        gap: The last stretch in which nobody looked and that moved the deadline.
    """

    schedule: Schedule
    slot: Slot
    deadline: datetime
    gap: Gap | None


def judge_starts(case: Case) -> Starts:
    """Say whether a start is missed, and whether the schedule's zone is."""
    schedule = case.schedule
    if schedule is None:
        return Starts(Opinion(closings=tuple(_not_expected(case))))
    expected = _expected(case, schedule)
    fits: tuple[ClockSchedule, ...] = ()
    if isinstance(schedule, ClockSchedule) and _may_be_the_zone(case, expected):
        expected, fits = _by_zone(case, schedule, expected)
    findings, closings = [], []
    if fits and isinstance(schedule, ClockSchedule):
        findings.append(wrong_zone(case, schedule, fits[0]))
    elif FindingType.WRONG_ZONE in case.open:
        closings.append(zone_is_right(case, schedule))
    if expected is not None and _is_missed(case, expected):
        findings.append(_missed(case, expected))
    elif FindingType.MISSED in case.open:
        closings.append(_came(case, fits[0] if fits else schedule))
    return Starts(
        Opinion(tuple(findings), tuple(closings), None if expected is None else expected.deadline),
        _next_due(case, expected),
    )


def _by_zone(
    case: Case, schedule: ClockSchedule, expected: _Expected | None
) -> tuple[_Expected | None, tuple[ClockSchedule, ...]]:
    """Return what is due in the zone that the starts fit, and the schedule there, if it is known.

    A start is missed only where that is so in each zone that may be the scheduler's.
    """
    fits = zones_of_starts(case, schedule, is_missed=_is_missed(case, expected))
    if fits:
        expected = _expected(case, fits[0])
        if _is_missed(case, expected):
            everywhere = all_that_fit(case, schedule, fits)
            expected = _latest(_expected(case, one) for one in everywhere)
    elif expected is not None and _is_missed(case, expected):
        elsewhere = (_expected(case, one) for one in zones_of_a_new_job(case, schedule))
        waits_longest = _latest([expected, *elsewhere]) or expected
        expected = replace(expected, deadline=waits_longest.deadline)
    return expected, fits


# What is due -------------------------------------------------------------------------------------


def _expected(case: Case, schedule: Schedule) -> _Expected | None:
    if isinstance(schedule, EverySchedule):
        due = _due_after_the_last(case, schedule)
        slot: Slot | None = Slot(due, due)
    else:
        slot = schedule.slot_after(_covered_until(case, schedule.early))
    if slot is None:
        return None
    deadline, gap = _deadline(slot, schedule.grace, case.gaps)
    return _Expected(schedule, slot, deadline, gap)


def _covered_until(case: Case, early: timedelta) -> datetime:
    """Return up to when all that was due is covered."""
    covered = case.watched_from
    for run in _not_passed_over(case):
        covered = max(covered, run.started_at + early, ended_at(run, case.now))
    return covered


def _not_passed_over(case: Case) -> Iterator[WatchedRun]:
    """Return the newest runs, down to one during which the scheduler may have left out starts.

    One that the scheduler has started another beside excuses nothing, nor does one of those that
    other programs leave open for ever.
    """
    for run in case.runs[:MOST_BESIDE]:
        yield run
        if run.trigger_type == TriggerType.SCHEDULER:
            return


def _due_after_the_last(case: Case, schedule: EverySchedule) -> datetime:
    if not case.runs:
        return plus(case.watched_from, schedule.every)
    started = case.runs[0].started_at
    ended = max(ended_at(run, case.now) for run in _not_passed_over(case))
    due = schedule.after_run(started, ended)
    # A job that had long been quiet when it was declared gets a whole period.
    return due if due > case.watched_from else plus(case.watched_from, schedule.every)


def _deadline(slot: Slot, grace: timedelta, gaps: tuple[Gap, ...]) -> tuple[datetime, Gap | None]:
    """Return when a start is missed: one more grace follows a gap in which nobody looked.

    Gaps that follow one another put it off a few times: who looks every ten minutes makes a gap
    each time, and looks all the same.
    """
    deadline, last = plus(slot.until, grace), None
    usual, further = deadline, 0
    for gap in gaps:
        if gap.ended_at > slot.due and gap.began_at <= deadline < plus(gap.ended_at, grace):
            further += gap.began_at > usual
            if further > MOST_PUT_OFF:
                break
            deadline, last = plus(gap.ended_at, grace), gap
    return deadline, last


def _is_missed(case: Case, expected: _Expected | None) -> bool:
    return expected is not None and expected.deadline <= case.now


def _may_be_the_zone(case: Case, expected: _Expected | None) -> bool:
    if FindingType.WRONG_ZONE in case.open:
        return True
    known = case.open.get(FindingType.MISSED)
    # What has been missed since the same start as before was looked into before.
    is_new = known is None or _newest_id(case) != known.detail.get("last_run_id")
    return is_new and _is_missed(case, expected)


def _newest_id(case: Case) -> int | None:
    return case.runs[0].id if case.runs else None


def _latest(expected: Iterable[_Expected | None]) -> _Expected | None:
    """Return what is due by the zone that waits longest: all that fit must agree on a miss."""
    known = [one for one in expected if one is not None]
    return max(known, key=lambda one: one.deadline, default=None)


def _next_due(case: Case, expected: _Expected | None) -> datetime | None:
    """Return when the next start is due: within its grace it may have been due already."""
    if expected is None or not _is_missed(case, expected):
        return None if expected is None else expected.slot.due
    if isinstance(expected.schedule, ClockSchedule):
        return expected.schedule.due_after(case.now)
    return expected.slot.due


# Missed ------------------------------------------------------------------------------------------


def _missed(case: Case, expected: _Expected) -> Finding:
    newest, count = _newest_and_count(case, expected)
    schedule, first = expected.schedule, expected.slot.due
    due = _at(newest, schedule)
    return Finding(
        type=FindingType.MISSED,
        title=f"{case.name} did not start: due {due}",
        message=" ".join(
            [
                f"{case.name} was due at {due} ({schedule.words})"
                f" and did not start within {duration(schedule.grace)}.",
                *_more_of_it(case, expected, count),
            ]
        ),
        since=first,
        detail={
            "schedule": schedule.words,
            "due": iso(newest),
            "first_due": iso(first),
            "missed": count,
            "grace_seconds": as_seconds(schedule.grace),
            **_last_start(case),
            **_gap_of(expected),
        },
        mark=iso(newest),
    )


def _more_of_it(case: Case, expected: _Expected, count: int) -> Iterator[str]:
    schedule, gap = expected.schedule, expected.gap
    if count > 1:
        first = _at(expected.slot.due, schedule)
        yield f"{counted(count, 'start')} did not come, the first at {first}."
    if gap is not None:
        began, ended = _at(gap.began_at, schedule), _at(gap.ended_at, schedule)
        yield f"Nobody looked between {began} and {ended}."
    if case.runs:
        yield f"Its last start was at {_at(case.runs[0].started_at, schedule)}."
    else:
        yield "No start of it is known."


def _last_start(case: Case) -> dict[str, Any]:
    if not case.runs:
        return {}
    return {"last_start_at": iso(case.runs[0].started_at), "last_run_id": case.runs[0].id}


def _gap_of(expected: _Expected) -> dict[str, Any]:
    gap = expected.gap
    if gap is None:
        return {}
    return {"gap_began_at": iso(gap.began_at), "gap_ended_at": iso(gap.ended_at)}


def _newest_and_count(case: Case, expected: _Expected) -> tuple[datetime, int]:
    """Return which start was missed last, and how many were."""
    schedule, slot = expected.schedule, expected.slot
    over = case.now - schedule.grace
    if isinstance(schedule, EverySchedule):
        periods = max(0, (over - slot.due) // schedule.every)
        return slot.due + periods * schedule.every, min(periods + 1, MOST_COUNTED)
    counted_to, count = _counted(case.open.get(FindingType.MISSED), slot)
    further = schedule.due_after(counted_to)
    if further is None or further > over:
        return counted_to, count
    newest = schedule.last_due(over, after=counted_to) or counted_to
    left = MOST_COUNTED - count
    return newest, count + sum(1 for _ in islice(schedule.due_between(counted_to, newest), left))


def _counted(known: OpenFinding | None, slot: Slot) -> tuple[datetime, int]:
    """Return up to where an open finding has counted, and how many."""
    if known is not None and time_in(known, "first_due") == slot.due:
        due, missed = time_in(known, "due"), known.detail.get("missed")
        if due is not None and due >= slot.due and isinstance(missed, int) and missed > 0:
            return due, min(missed, MOST_COUNTED)
    return slot.due, 1


# Not missed any more -----------------------------------------------------------------------------


def _came(case: Case, schedule: Schedule) -> Closing:
    """Say which start covers what was missed, and how late it is."""
    known = case.open[FindingType.MISSED]
    due = time_in(known, "first_due") or time_in(known, "due") or known.opened_at
    run = _covering(case, due, schedule)
    if run is None or due <= case.watched_from:
        return _changed(case, FindingType.MISSED)
    said, detail = _how_it_came(schedule, due, run.started_at)
    return Closing(
        type=FindingType.MISSED,
        title=f"{case.name} {said}",
        message=f"{case.name} was due at {_at(due, schedule)}. It {said}.",
        detail={
            "due": iso(due),
            "since": iso(due),
            "missed": known.detail.get("missed", 1),
            "started_at": iso(run.started_at),
            **detail,
        },
        run_id=run.id,
    )


def _how_it_came(
    schedule: Schedule, due: datetime, started_at: datetime
) -> tuple[str, dict[str, Any]]:
    """Say whether a start was late, was reported late, or is the one of a later due time."""
    start = _at(started_at, schedule)
    late = started_at - due
    if late <= _longest_wait(schedule, due):
        return f"started on time, at {start}, and was reported late", {"reported_late": True}
    if isinstance(schedule, ClockSchedule):
        own = schedule.slot_of(started_at, late=schedule.grace)
        if own is not None and own.due > due:
            said = f"starts again: the start that was due {_at(own.due, schedule)} came"
            return said, {"next_due": iso(own.due)}
    return f"started {duration(late)} late, at {start}", {"late_seconds": as_seconds(late)}


def _longest_wait(schedule: Schedule, due: datetime) -> timedelta:
    if isinstance(schedule, ClockSchedule):
        slot = schedule.slot_after(due - timedelta(microseconds=1))
        if slot is not None and slot.due == due:
            return slot.until - due + schedule.grace
    return schedule.grace


def _covering(case: Case, due: datetime, schedule: Schedule) -> WatchedRun | None:
    """Return the first run that covers a due time."""
    for run in reversed(case.runs):
        if run.started_at + schedule.early >= due or ended_at(run, case.now) >= due:
            return run
    return None


def _not_expected(case: Case) -> Iterable[Closing]:
    for kind in (FindingType.MISSED, FindingType.WRONG_ZONE):
        if kind in case.open:
            yield _changed(case, kind)


def _changed(case: Case, kind: FindingType) -> Closing:
    message = f"What is expected of {case.name} has changed."
    title = message.removesuffix(".")
    return Closing(type=kind, title=title, message=message, detail={"changed": True})


# Words -------------------------------------------------------------------------------------------


def _at(moment: datetime, schedule: Schedule) -> str:
    """Spell a time on the wall of the schedule's zone."""
    zone = schedule.zone if isinstance(schedule, ClockSchedule) else UTC
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"
