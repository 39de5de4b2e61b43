"""The times of day, and the days of the week, at which starts come without fail. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple

from .._frozen import frozen

EARLY: Final = timedelta(seconds=5)  # a clock may be behind
DAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS: Final = frozenset(range(5))
EVERY_DAY: Final = frozenset(range(7))

_WEEKS: Final = 3  # in each of which every due start came
_DENSE_WEEKS: Final = 2  # the same, where so many starts are due in a week:
_DENSE: Final = 42
_REACH: Final = timedelta(days=7 * _WEEKS + 15)  # days on which clocks change are passed over
_MOST_IN_REACH: Final = 36 * 150  # starts; where there are more, no two times can be told apart
_WIDEST: Final = 1800  # seconds between the earliest and the latest start of one time of day
_SPLITS: Final = (240, 1200)  # seconds without a start that part two times of day
_SAME_MINUTE: Final = 4  # minutes within which times of different hours are taken for the same
_MOST_EXTRA: Final = 0.1  # of the starts, at other times
_MONDAY: Final = date(2024, 1, 1).toordinal() % 7
_DAY_SECONDS: Final = 86_400


@frozen
class TimesOfDay:
    """Times of day, in seconds, on some days of the week (0 is Monday), in one zone.

    Attributes:
        latest: How long after its time the latest start of these weeks came.
        weeks: In each of how many weeks starts came at all of them.
    """

    seconds: tuple[int, ...]
    days: frozenset[int]
    latest: timedelta
    weeks: int

    @property
    def in_a_week(self) -> int:
        """How many starts are due in a week."""
        return len(self.seconds) * len(self.days)

    @property
    def gaps(self) -> list[timedelta]:
        """The times between two due starts."""
        due = sorted(day * _DAY_SECONDS + one for day in self.days for one in self.seconds)
        around = [*due, due[0] + 7 * _DAY_SECONDS]
        return [timedelta(seconds=later - earlier) for earlier, later in pairwise(around)]

    def held(self, starts: Iterable[datetime], zone: tzinfo, *, within: timedelta) -> int:
        """Count the starts that came at one of the times, or so soon after it."""
        room = within.total_seconds()
        there = (_local(one, zone) for one in starts)
        return sum(
            _weekday(one.day) in self.days
            and any(0 <= one.second - second <= room for second in self.seconds)
            for one in there
        )

    def cron(self) -> str:
        """Return the five fields of cron."""
        minutes, hours = _minutes_and_hours(self.seconds)
        on = sorted((day + 1) % 7 for day in self.days)
        return f"{_field(minutes, 60)} {_field(hours, 24)} * * {_field(on, 7)}"

    def words(self) -> str:
        """Say them for people.

        >>> TimesOfDay((7200,), WEEKDAYS, timedelta(0), 3).words()
        'weekdays at 02:00'
        """
        minutes, hours = _minutes_and_hours(self.seconds)
        past = ", ".join(f":{minute:02}" for minute in minutes)
        if len(hours) == 24 and self.days == EVERY_DAY:
            return f"every hour at {past}"
        if len(self.seconds) <= 4:
            times = ", ".join(f"{one // 3600:02}:{one // 60 % 60:02}" for one in self.seconds)
            return f"{_days(self.days)} at {times}"
        return f"{_days(self.days)}, from {hours[0]:02} h to {hours[-1]:02} h at {past}"


def times_of_day(starts: Sequence[datetime], zone: tzinfo) -> TimesOfDay | None:
    """Find the times at which starts came in each of the last weeks, and hardly others.

    Three weeks are needed; two, where a week has 42 such times or more. Days on which the clocks
    of the zone change prove nothing: the same day of the week before stands in for them. `starts`
    are in the order of time.
    """
    reach = starts[bisect_left(starts, starts[-1] - _REACH) :]
    if len(reach) > _MOST_IN_REACH:
        return None
    there = [_local(one, zone) for one in reach]
    changing = _days_of_change(there[0].day, there[-1].day, zone)
    there = [one for one in there if one.day not in changing]
    if not there:
        return None
    by_time = sorted(there, key=lambda start: start.second)
    for split in _SPLITS:
        groups = _groups(by_time, split)
        for weeks in (_WEEKS, _DENSE_WEEKS):
            found = _found(there, groups, changing, weeks)
            if found is not None and (weeks == _WEEKS or found.in_a_week >= _DENSE):
                return found
    return None


class _Start(NamedTuple):
    """A start in local time: the number of its day, and the second of the day."""

    day: int
    second: int


def _found(
    starts: Sequence[_Start],
    groups: Sequence[Sequence[_Start]],
    changing: frozenset[int],
    weeks: int,
) -> TimesOfDay | None:
    horizon = starts[-1].day - 7 * weeks
    held: list[list[_Start]] = []
    days: frozenset[int] | None = None
    for group in groups:
        on = _days_held(group, starts[0], starts[-1], changing, weeks)
        if not on:
            continue
        recent = [one for one in group if one.day > horizon]
        if days not in (None, on) or {_weekday(one.day) for one in recent} != on:
            return None  # a start is lacking, or there are two rules, which is no line of cron
        days = on
        held.append(recent)
    if days is None:
        return None
    seen = sum(one.day > horizon for one in starts)
    if sum(map(len, held)) < (1 - _MOST_EXTRA) * seen:
        return None
    times = _aligned([min(one.second for one in group) for group in held])
    if len(set(times)) != len(times) or not _is_product(times):
        return None
    latest = max(
        max(one.second for one in group) - second for second, group in zip(times, held, strict=True)
    )
    return TimesOfDay(tuple(sorted(times)), days, timedelta(seconds=latest), weeks)


def _groups(by_time: Sequence[_Start], split: int) -> list[list[_Start]]:
    """Part starts by their time of day, where nothing starts for a while; none that is wide."""
    groups: list[list[_Start]] = []
    for one in by_time:
        if groups and one.second - groups[-1][-1].second <= split:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [group for group in groups if group[-1].second - group[0].second <= _WIDEST]


def _days_held(
    group: Sequence[_Start], first: _Start, last: _Start, changing: frozenset[int], weeks: int
) -> frozenset[int]:
    """Return the days of the week on which each of the last weeks has a start of a group."""
    seen = {one.day for one in group}
    newest = last.day if last.day in seen or group[-1].second <= last.second else last.day - 1
    oldest = first.day if first.day in seen or group[0].second >= first.second else first.day + 1
    held = set()
    for weekday in range(7):
        on = newest - (_weekday(newest) - weekday) % 7
        found = 0
        while found < weeks and on >= oldest and (on in seen or on in changing):
            found += on in seen
            on -= 7
        if found == weeks:
            held.add(weekday)
    return frozenset(held)


def _aligned(firsts: Sequence[int]) -> list[int]:
    """Return times of whole minutes, the same minute in all hours where they are near."""
    known: list[int] = []
    for minute in sorted({first // 60 % 60 for first in firsts}):
        if not known or minute - known[-1] > _SAME_MINUTE:
            known.append(minute)
    return [
        first - first % 3600 + 60 * max(one for one in known if one <= first // 60 % 60)
        for first in firsts
    ]


def _is_product(seconds: Sequence[int]) -> bool:
    """Whether the times are the same minutes of each of some hours, as cron can say it."""
    minutes, hours = _minutes_and_hours(seconds)
    return len(minutes) * len(hours) == len(seconds)


def _minutes_and_hours(seconds: Sequence[int]) -> tuple[list[int], list[int]]:
    return sorted({one // 60 % 60 for one in seconds}), sorted({one // 3600 for one in seconds})


def _field(values: Sequence[int], size: int) -> str:
    """Write a field of cron.

    >>> [_field(*one) for one in (([0, 30], 60), ([9, 10, 11], 24), ([1, 3], 7), ([5], 24))]
    ['*/30', '9-11', '1,3', '5']
    """
    if len(values) == size:
        return "*"
    steps = {later - earlier for earlier, later in pairwise(values)}
    step = next(iter(steps)) if len(steps) == 1 else 0
    if step == 1 and len(values) > 2:
        return f"{values[0]}-{values[-1]}"
    if values[0] == 0 and step * len(values) == size:
        return f"*/{step}"
    return ",".join(map(str, values))


def _days(days: frozenset[int]) -> str:
    if days == EVERY_DAY:
        return "every day"
    if days == WEEKDAYS:
        return "weekdays"
    if len(days) == 1:
        return f"every {DAY_NAMES[min(days)]}"
    return ", ".join(DAY_NAMES[day][:3] for day in sorted(days))


def _weekday(day: int) -> int:
    return (day - _MONDAY) % 7


def _local(start: datetime, zone: tzinfo) -> _Start:
    there = (start + EARLY).astimezone(zone)
    return _Start(there.toordinal(), there.hour * 3600 + there.minute * 60 + there.second)


def _days_of_change(first: int, last: int, zone: tzinfo) -> frozenset[int]:
    """Return the days on which the clocks of a zone change."""
    if zone is UTC:
        return frozenset()
    midnights = [datetime.fromordinal(day).replace(tzinfo=zone) for day in range(first, last + 2)]
    return frozenset(
        one.toordinal()
        for one, following in pairwise(midnights)
        if one.utcoffset() != following.utcoffset()
    )
