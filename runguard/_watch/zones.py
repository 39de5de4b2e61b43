"""Starts that are right on the wall of another zone: a mistake that says nothing of the job.

Where all starts of a job are off by the same quarter hours, its scheduler reads the schedule in
another zone than the one that is declared. That is one finding, and what is due follows the zone
that the starts fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from .._errors import ConfigurationError
from .._models import TriggerType
from .._monitor.expectations import Closing, Finding, FindingType, OpenFinding, WatchedRun
from .._monitor.wording import iso
from .case import Case, as_seconds, ended_at
from .schedule import ClockSchedule, Schedule

MOST_STARTS: Final = 10  # the newest ones, which are compared
FEWEST_AFTER_ON_TIME: Final = 2  # starts that must be off where earlier ones were on time
PROMPT: Final = timedelta(minutes=5)  # how late most of several starts may be in another zone
PROMPT_OF_FEW: Final = timedelta(minutes=2)  # the same of one or two: people start jobs too
FEW: Final = 2
MISFITS: Final = 0.4  # the share of starts that may be elsewhere: late, by hand, in a changed hour
NO_LONGER_NEW: Final = 5  # starts, after which those that are late no longer leave a doubt
_DECLARED_AFTER: Final = timedelta(minutes=10)  # a run's end, by the process that ran it

# One of each set of zones whose clocks agree all year, the most common ones first.
ZONES: Final = (
    *("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles"),
    *("America/Chicago", "Asia/Seoul", "Asia/Shanghai", "Asia/Kolkata", "Australia/Sydney"),
    *("America/Sao_Paulo", "America/Denver", "Europe/Athens", "Europe/Moscow", "Asia/Bangkok"),
    *("Pacific/Auckland", "Asia/Dubai", "Africa/Johannesburg", "Africa/Lagos", "Asia/Jerusalem"),
    *("America/Phoenix", "America/Bogota", "America/Mexico_City", "America/Halifax"),
    *("America/St_Johns", "America/Santiago", "America/Caracas", "America/Anchorage"),
    *("Pacific/Honolulu", "Pacific/Pago_Pago", "America/Noronha", "America/Nuuk"),
    *("Atlantic/Azores", "Atlantic/Cape_Verde", "Africa/Cairo", "Asia/Tehran"),
    *("Asia/Kabul", "Asia/Karachi", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon"),
    *("Australia/Eucla", "Australia/Darwin", "Australia/Adelaide"),
    *("Australia/Brisbane", "Australia/Lord_Howe", "Pacific/Noumea", "Pacific/Norfolk"),
    *("Pacific/Fiji", "Pacific/Chatham", "Pacific/Tongatapu", "Pacific/Kiritimati"),
)


def zones_of_starts(
    case: Case, schedule: ClockSchedule, *, is_missed: bool
) -> tuple[ClockSchedule, ...]:
    """Return the schedule in other zones that the starts fit, the likeliest first.

    While the finding is open, that is the zone it names.

    Args:
        case: The job.
        schedule: As it is declared.
        is_missed: Whether a start is missed, as it is declared.

    Returns:
        Nothing where the declared zone may be right.
    """
    starts = [one.started_at for one in scheduled_runs(case)]
    known = case.open.get(FindingType.WRONG_ZONE)
    if known is not None:
        return _named(schedule, starts, known)
    if not is_missed or not starts:
        return ()
    on_time = [_is_at(schedule, one, late=schedule.grace) for one in starts]
    if all(on_time):
        return ()
    fits = _fitting(schedule, starts, better_than=sum(on_time))
    newest_off = starts[: on_time.index(True)] if any(on_time) else starts
    if not fits and len(newest_off) >= FEWEST_AFTER_ON_TIME:
        fits = _fitting(schedule, newest_off)
    return fits


def zones_of_a_new_job(case: Case, schedule: ClockSchedule) -> tuple[ClockSchedule, ...]:
    """Return the schedule in each zone that a job which was never on time may be started in.

    A job without history cannot be told from one whose zone is wrong, before each zone has had
    its turn; starts that come late leave several.
    """
    starts = [one.started_at for one in scheduled_runs(case)]
    if not starts:
        return _elsewhere(schedule)
    if len(starts) >= NO_LONGER_NEW or any(
        _is_at(schedule, one, late=schedule.grace) for one in starts
    ):
        return ()
    return _loosely_fitting(schedule, starts)


def scheduled_runs(case: Case) -> list[WatchedRun]:
    """Return the newest runs that show when the scheduler starts what is declared now.

    Many schedulers do not say that they are one: where no run does, all but retries may be theirs.
    """
    since = case.watched_from - _DECLARED_AFTER
    runs = [
        one
        for one in case.runs
        if one.trigger_type != TriggerType.RETRY and ended_at(one, case.now) >= since
    ]
    said = [one for one in runs if one.trigger_type == TriggerType.SCHEDULER]
    return (said or runs)[:MOST_STARTS]


def wrong_zone(case: Case, schedule: ClockSchedule, fits: ClockSchedule) -> Finding:
    """Say which zone the starts fit."""
    starts = scheduled_runs(case)
    declared, fitting = schedule.zone_name, fits.zone_name
    last = starts[0].started_at if starts else None
    shift = None
    if last is not None and (slot := fits.slot_of(last, late=max(PROMPT, fits.grace))) is not None:
        wall = slot.due.astimezone(fits.zone).replace(tzinfo=schedule.zone)
        shift = slot.due - wall
    return Finding(
        type=FindingType.WRONG_ZONE,
        title=f"{case.name} starts as if its zone were {fitting}, not {declared}",
        message=(
            f"{case.name} is declared as {schedule.words}, but its starts fit {fits.words}."
            f" Declare tz = {fitting!r}, or let its scheduler use {declared}."
            f" Until then, starts are expected by {fitting}."
        ),
        since=starts[-1].started_at if starts else case.now,
        detail={
            "schedule": schedule.words,
            "declared_zone": declared,
            "fits_zone": fitting,
            "starts": len(starts),
            **({} if last is None else {"last_start_at": iso(last)}),
            **({} if shift is None else {"shift_seconds": as_seconds(shift)}),
        },
    )


def zone_is_right(case: Case, schedule: Schedule) -> Closing:
    """Say that the starts fit the declared zone, or that it is another one now."""
    known = case.open[FindingType.WRONG_ZONE]
    runs = scheduled_runs(case)
    if known.detail.get("schedule") != schedule.words:
        message, run = f"What is expected of {case.name} has changed.", None
    else:
        message = f"The starts of {case.name} fit {schedule.words}."
        run = runs[0] if runs else None
    return Closing(
        type=FindingType.WRONG_ZONE,
        title=message.removesuffix("."),
        message=message,
        detail={} if run is None else {"started_at": iso(run.started_at)},
        run_id=None if run is None else run.id,
    )


def all_that_fit(
    case: Case, schedule: ClockSchedule, fits: tuple[ClockSchedule, ...]
) -> tuple[ClockSchedule, ...]:
    """Return the schedule in each zone that may be the one its scheduler uses.

    Clocks of the zone that the finding names and of the real one may change on different days.
    """
    starts = [one.started_at for one in scheduled_runs(case)]
    if FindingType.WRONG_ZONE not in case.open or not starts:
        return fits
    return (
        _fitting(schedule, starts)
        or _loosely_fitting(schedule, starts)
        or _fitting(schedule, starts[:1])
        or fits
    )


def _named(
    schedule: ClockSchedule, starts: Sequence[datetime], known: OpenFinding
) -> tuple[ClockSchedule, ...]:
    """Return the schedule in the zone that an open finding names; nothing where it is over."""
    if known.detail.get("schedule") != schedule.words:
        return ()
    try:
        named = schedule.in_zone(str(known.detail.get("fits_zone")))
    except ConfigurationError:
        return ()
    is_right = bool(starts) and _is_at(schedule, starts[0], late=PROMPT)
    return () if is_right and not _is_at(named, starts[0], late=PROMPT) else (named,)


def _fitting(
    schedule: ClockSchedule, starts: Sequence[datetime], *, better_than: int = 0
) -> tuple[ClockSchedule, ...]:
    """Return the schedule in each other zone in which most of the starts are prompt."""
    late = PROMPT if len(starts) > FEW else PROMPT_OF_FEW
    return _fitting_within(late, schedule, starts, better_than=better_than)


def _loosely_fitting(
    schedule: ClockSchedule, starts: Sequence[datetime]
) -> tuple[ClockSchedule, ...]:
    """Return the schedule in each other zone in which most of the starts are within the grace."""
    return _fitting_within(max(PROMPT, schedule.grace), schedule, starts)


def _fitting_within(
    late: timedelta, schedule: ClockSchedule, starts: Sequence[datetime], *, better_than: int = 0
) -> tuple[ClockSchedule, ...]:
    most_off = min(int(MISFITS * len(starts)), len(starts) - better_than - 1)
    return tuple(one for one in _elsewhere(schedule) if _are_at(one, starts, late, most_off))


def _are_at(
    schedule: ClockSchedule, starts: Sequence[datetime], late: timedelta, most_off: int
) -> bool:
    off = 0
    for start in starts:
        off += not _is_at(schedule, start, late=late)
        if off > most_off:
            return False
    return True


def _is_at(schedule: ClockSchedule, start: datetime, *, late: timedelta) -> bool:
    return schedule.slot_of(start, late=late) is not None


@lru_cache(maxsize=1024)
def _elsewhere(schedule: ClockSchedule) -> tuple[ClockSchedule, ...]:
    """Return the schedule in each other zone that this machine knows."""
    names = (name for name in ZONES if name != schedule.zone_name)
    return tuple(_known(schedule, names))


def _known(schedule: ClockSchedule, names: Iterable[str]) -> list[ClockSchedule]:
    known = []
    for name in names:
        try:
            known.append(schedule.in_zone(name))
        except ConfigurationError:
            continue
    return known
