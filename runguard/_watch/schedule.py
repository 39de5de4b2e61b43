"""When starts are due. Pure, and the only place besides quiet windows that knows calendars.

Expressions are read as times on the wall, and each wall time is carried to UTC here, so that one
rule holds for cron and systemd, whatever their libraries make of a change of the clock:

- A wall time that the clock skips is never due: schedulers start it before, after, or not at all.
- A wall time that comes twice is due once, at the first, and may start until the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from .._errors import ConfigurationError
from .._frozen import frozen
from .._monitor.expectations import Expectation

INSTALL: Final = "pip install 'runguard-runlog[monitor]'"
LEAST_GRACE: Final = timedelta(minutes=10)
MOST_EARLY: Final = timedelta(minutes=1)  # clocks differ, and some timers fire a bit early
SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=3660)

_CRON_FIELDS: Final = 5
# Names of files beside the zones: what they mean is another thing on each machine, or nothing.
NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})
_SAMPLE_FROM: Final = datetime(2024, 1, 1)  # on the wall; a leap year
_FEWEST_SAMPLED, _MOST_SAMPLED = 9, 100
_A_WEEK: Final = timedelta(days=8)


@frozen
class Slot:
    """A time at which a start is due, in UTC.

    Attributes:
        until: Later than `due` where the wall time comes twice: a start may be at the second.
    """

    due: datetime
    until: datetime


@frozen
class EverySchedule:
    """Starts that are never further apart than a length: what is due depends on the last one."""

    every: timedelta
    grace: timedelta

    @property
    def smallest_gap(self) -> timedelta:
        """The time between two due starts."""
        return self.every

    @property
    def early(self) -> timedelta:
        """How much before its time a start may be."""
        return _early(self.grace, self.every)

    @property
    def words(self) -> str:
        """The schedule for people."""
        return f"every {_spelled(self.every)}"

    def after_run(self, started_at: datetime, ended_at: datetime) -> datetime:
        """Return when the next start is due after a run.

        A scheduler that leaves out the starts that fall into a run starts it at most a period
        after its end. Its ticks are not known: a run that takes long may have met one.
        """
        is_long = ended_at - started_at > self.every / 2
        return plus(ended_at if is_long else started_at, self.every)


@frozen
class ClockSchedule:
    """Starts at times of a clock on the wall.

    Attributes:
        kind: `cron` or `calendar`.
        expression: As it was declared, without a zone.
        zone: Where the clock hangs.
        grace: How late a start may be.
        smallest_gap: The least time between two starts that are due.
    """

    kind: str
    expression: str
    zone: tzinfo
    grace: timedelta
    smallest_gap: timedelta

    @property
    def early(self) -> timedelta:
        """How much before its time a start may be."""
        return _early(self.grace, self.smallest_gap)

    @property
    def zone_name(self) -> str:
        """The name of the zone."""
        return getattr(self.zone, "key", "UTC")

    @property
    def words(self) -> str:
        """The schedule for people."""
        return f"{self.kind} {self.expression} ({self.zone_name})"

    def in_zone(self, name: str) -> ClockSchedule:
        """Return the same times on the wall of another zone."""
        return replace(self, zone=_zone(name))

    def slot_after(self, moment: datetime) -> Slot | None:
        """Return the first slot that is due after a moment; None where there is none."""
        return _slot_after(self.kind, self.expression, self.zone, moment)

    def due_after(self, moment: datetime) -> datetime | None:
        """Return the first due time after a moment; None where there is none."""
        slot = self.slot_after(moment)
        return None if slot is None else slot.due

    def slots_after(self, moment: datetime) -> Iterator[Slot]:
        """Return all slots that are due after a moment, in order."""
        return _slots(self.kind, self.expression, self.zone, moment)

    def due_between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Return the due times after one moment, up to and with another."""
        return takewhile(lambda due: due <= until, (slot.due for slot in self.slots_after(after)))

    def slot_of(self, start: datetime, *, late: timedelta) -> Slot | None:
        """Return the slot that a start is for, where it is at most so late for one."""
        slot = self.slot_after(start - late - timedelta(microseconds=1))
        return slot if slot is not None and slot.due - self.early <= start else None

    def last_due(self, until: datetime, *, after: datetime) -> datetime | None:
        """Return the newest due time up to a moment and after another; None where none is."""
        reach = self.smallest_gap
        while True:
            begin = max(after, until - reach)
            newest = None
            for newest in self.due_between(begin, until):  # noqa: B007
                pass
            if newest is not None or begin == after:
                return newest
            reach *= 4


Schedule = EverySchedule | ClockSchedule


@lru_cache(maxsize=8192)
def schedule_of(expectation: Expectation) -> Schedule | None:
    """Return when an expectation's starts are due; None where it names no schedule.

    Raises:
        ConfigurationError: The schedule cannot be read here.
    """
    if expectation.every is not None:
        _check_length("every", expectation.every, least=SHORTEST)
        return EverySchedule(
            expectation.every, _grace(expectation.grace, smallest_gap=expectation.every)
        )
    if expectation.cron is not None:
        kind, expression, zone = "cron", expectation.cron, _zone(expectation.tz)
        if len(expression.split()) != _CRON_FIELDS:
            raise ConfigurationError(
                f"cron: expected five fields, such as '0 2 * * *', found {expression!r}"
            )
    elif expectation.calendar is not None:
        kind = "calendar"
        expression, own_zone = _split_zone(expectation.calendar)
        zone = _zone(own_zone or expectation.tz)
    else:
        return None
    gap = _smallest_gap(kind, expression)
    return ClockSchedule(
        kind, expression, zone, _grace(expectation.grace, smallest_gap=gap), smallest_gap=gap
    )


def expectation_problem(expectation: Expectation) -> str | None:
    """Say why nobody can watch what is expected; None where there is no reason.

    >>> expectation_problem(Expectation(cron="0 2 * *"))
    "cron: expected five fields, such as '0 2 * * *', found '0 2 * *'"
    """
    try:
        schedule = schedule_of(expectation)
        if expectation.max_runtime is not None:
            _check_length("max_runtime", expectation.max_runtime, least=timedelta(0))
    except ConfigurationError as problem:
        return str(problem)
    if isinstance(schedule, ClockSchedule) and not any(
        _walls(schedule.kind, schedule.expression, _SAMPLE_FROM)
    ):
        return f"{schedule.kind}: expected a time that comes, found {schedule.expression!r}"
    return None


def plus(moment: datetime, length: timedelta) -> datetime:
    """Add a length to a time, at most up to the end of the calendar."""
    try:
        return moment + length
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


# Lengths -----------------------------------------------------------------------------------------


def _grace(declared: timedelta | None, *, smallest_gap: timedelta) -> timedelta:
    if declared is not None:
        _check_length("grace", declared, least=timedelta(0))
        return declared
    return min(max(LEAST_GRACE, smallest_gap / 10), smallest_gap / 2)


def _early(grace: timedelta, smallest_gap: timedelta) -> timedelta:
    return min(grace, MOST_EARLY, smallest_gap / 4)


def _check_length(name: str, length: timedelta, *, least: timedelta) -> None:
    if not least <= length <= LONGEST:
        raise ConfigurationError(
            f"{name}: expected {_spelled(least)} to {LONGEST.days} days, found {_spelled(length)}"
        )


def _spelled(length: timedelta) -> str:
    """Spell a length.

    >>> [_spelled(timedelta(seconds=one)) for one in (0, 90, 900, 86400, 0.5)]
    ['0 s', '90 s', '15 min', '1 d', '0.5 s']
    """
    seconds = length.total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size:g} {unit}"
    return f"{seconds:g} s"


# Zones -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> tzinfo:
    if name is None or name == "UTC":
        return UTC
    try:
        return _zone_info(name)
    except (LookupError, ValueError, OSError):
        if not _is_zone("Europe/London"):
            problem = "there is no zone database here: pip install tzdata"
        else:
            problem = "it is no zone of the IANA database, such as 'Europe/Berlin'"
        raise ConfigurationError(f"tz: expected a zone, found {name!r}: {problem}") from None


def _is_zone(name: str) -> bool:
    try:
        _zone_info(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _zone_info(name: str) -> ZoneInfo:
    if name in NO_ZONES:
        raise LookupError(name)
    return ZoneInfo(name)


def _split_zone(calendar: str) -> tuple[str, str | None]:
    """Split off the zone that a calendar expression may end with."""
    if "\n" in calendar.strip():
        raise ConfigurationError("calendar: expected one expression, found several lines")
    times, _, last = calendar.strip().rpartition(" ")
    if times and last[:1].isalpha() and _is_zone(last):
        return times.strip(), last
    return calendar.strip(), None


# Times on the wall -------------------------------------------------------------------------------


def _walls(kind: str, expression: str, after: datetime) -> Iterator[datetime]:
    """Return the times on the wall after one, all without a zone."""
    return _cron_walls(expression, after) if kind == "cron" else _calendar_walls(expression, after)


def _cron_walls(expression: str, after: datetime) -> Iterator[datetime]:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise _missing("cronsim", "cron") from None
    try:
        return CronSim(expression, after)
    except CronSimError as problem:
        raise _unreadable("cron", expression, str(problem)) from None


def _calendar_walls(expression: str, after: datetime) -> Iterator[datetime]:
    try:
        from oncalendar import OnCalendar, OnCalendarError
    except ImportError:
        raise _missing("oncalendar", "calendar") from None
    try:
        # It wants a zone: in UTC no clock changes.
        found = OnCalendar(expression, after.replace(tzinfo=UTC, microsecond=0))
    except OnCalendarError as problem:
        raise _unreadable("calendar", expression, str(problem)) from None
    return (one.replace(tzinfo=None) for one in found)


def _missing(library: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"{key}: expected the library {library}, which reads it, found none: {INSTALL}"
    )


def _unreadable(key: str, expression: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{key}: expected an expression, found {expression!r}: {problem}")


@lru_cache(maxsize=8192)
def _smallest_gap(kind: str, expression: str) -> timedelta:
    """Return the least time between two times on the wall, of those that are looked at."""
    smallest = LONGEST
    walls = _walls(kind, expression, _SAMPLE_FROM)
    for number, (earlier, later) in enumerate(pairwise(walls), start=2):
        smallest = min(smallest, later - earlier)
        # Each day alike: there is no smaller one to come.
        is_daily = smallest <= timedelta(days=1) and later - _SAMPLE_FROM > _A_WEEK
        if number >= _MOST_SAMPLED or (number >= _FEWEST_SAMPLED and is_daily):
            break
    return smallest


# Moments -----------------------------------------------------------------------------------------


def _slots(kind: str, expression: str, zone: tzinfo, moment: datetime) -> Iterator[Slot]:
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    for one in _walls(kind, expression, wall):
        slot = _slot(one, zone)
        # In an hour that comes twice the wall says again what has been.
        if slot is not None and slot.due > moment:
            yield slot


# What was found last for each schedule, and from which moment on it follows: until it is due, each
# later moment has the same slot. Jobs share schedules, and runs of one slot come at other seconds.
_found: dict[tuple[str, str, tzinfo], tuple[datetime, Slot]] = {}
_MOST_FOUND: Final = 8192


def _slot_after(kind: str, expression: str, zone: tzinfo, moment: datetime) -> Slot | None:
    key = (kind, expression, zone)
    known = _found.get(key)
    if known is not None and known[0] <= moment < known[1].due:
        return known[1]
    slot = _searched(kind, expression, zone, moment)
    if slot is not None:
        if len(_found) >= _MOST_FOUND:
            _found.clear()
        _found[key] = moment, slot
    return slot


@lru_cache(maxsize=16_384)
def _searched(kind: str, expression: str, zone: tzinfo, moment: datetime) -> Slot | None:
    return next(_slots(kind, expression, zone, moment), None)


def _slot(wall: datetime, zone: tzinfo) -> Slot | None:
    """Carry a time on the wall to UTC; None where the clock skips it."""
    if zone is UTC:
        due = wall.replace(tzinfo=UTC)
        return Slot(due, due)
    first = wall.replace(tzinfo=zone)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    if before is None or after is None or before < after:
        return None
    due = (wall - before).replace(tzinfo=UTC)
    return Slot(due, due if before == after else (wall - after).replace(tzinfo=UTC))
