"""Around a change of the clock, no start that a known scheduler leaves out or moves is missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from oncalendar import OnCalendar

from runguard._monitor.expectations import Expectation
from runguard._watch.judge import judge
from runguard._watch.schedule import ClockSchedule, schedule_of

from .facts import HOUR, MINUTE, SECOND, facts, found, run

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = (
    datetime(2026, 3, 28, 22, 45, tzinfo=UTC),
    datetime(2026, 10, 24, 21, 45, tzinfo=UTC),
)
LENGTH = 6 * HOUR  # of each night; in Berlin, clocks change at 01:00 UTC

EXPRESSIONS = (
    *("30 2 * * *", "0 2 * * *", "0 3 * * *", "*/30 * * * *", "0 * * * *", "15 1-4 * * *"),
    *("30 */2 * * *", "*/20 2,3 * * *"),
)

# Starts in UTC of the two nights in Berlin, where a scheduler is not the library cronsim.
# Celery: `crontab.is_due` of Celery 5.7.0, asked each minute with the last start.
# APScheduler: `CronTrigger.get_next_fire_time` of APScheduler 3.11.3.
# Debian: cron(8), "Notes": jobs of the skipped hour run right after it, those of the repeated hour
# do not run again; both only where neither minute nor hour begins with a star.
IN_SPRING = {
    ("celery", "30 2 * * *"): "01:30",
    ("celery", "0 2 * * *"): "01:00",
    ("celery", "0 3 * * *"): "01:00",
    ("celery", "15 1-4 * * *"): "00:15 01:15 02:15",
    ("celery", "30 */2 * * *"): "23:30 01:30 02:30 04:30",
    ("celery", "*/20 2,3 * * *"): "01:00 01:20 01:40",
    ("apscheduler", "30 2 * * *"): "01:30",
    ("apscheduler", "0 2 * * *"): "01:00",
    ("apscheduler", "15 1-4 * * *"): "00:15 01:15 02:15",
    ("debian", "30 2 * * *"): "01:00",
    ("debian", "0 2 * * *"): "01:00",
    ("debian", "15 1-4 * * *"): "00:15 01:00 01:15 02:15",
    (
        "debian",
        "*/30 * * * *",
    ): "23:00 23:30 00:00 00:30 01:00 01:30 02:00 02:30 03:00 03:30 04:00 04:30",
    ("no start in the skipped hour", "30 2 * * *"): "",
    ("no start in the skipped hour", "15 1-4 * * *"): "00:15 01:15 02:15",
}
IN_AUTUMN = {
    ("celery", "30 2 * * *"): "00:30",
    ("celery", "0 3 * * *"): "02:00",
    ("celery", "*/30 * * * *"): "22:00 22:30 23:00 23:30 00:00 00:30 02:00 02:30 03:00 03:30",
    ("celery", "0 * * * *"): "22:00 23:00 00:00 02:00 03:00",
    ("celery", "15 1-4 * * *"): "23:15 00:15 02:15 03:15",
    ("celery", "30 */2 * * *"): "22:30 00:30 03:30",
    ("celery", "*/20 2,3 * * *"): "00:00 00:20 00:40 02:00 02:20 02:40",
    ("apscheduler", "30 2 * * *"): "00:30 01:30",
    ("apscheduler", "0 2 * * *"): "00:00 01:00",
    ("apscheduler", "15 1-4 * * *"): "23:15 00:15 01:15 02:15 03:15",
    ("apscheduler", "0 * * * *"): "22:00 23:00 00:00 01:00 02:00 03:00",
    ("debian", "30 2 * * *"): "00:30",
    ("debian", "15 1-4 * * *"): "23:15 00:15 02:15 03:15",
    ("debian", "0 * * * *"): "22:00 23:00 00:00 01:00 02:00 03:00",
    ("only the second time", "30 2 * * *"): "01:30",
    ("only the second time", "0 * * * *"): "22:00 23:00 01:00 02:00 03:00",
}


def missed_starts(
    expectation: Expectation, starts: Sequence[datetime], begin: datetime, end: datetime
) -> Iterator[datetime]:
    """When a monitor that looks at each start and whenever it wants to would find one missed."""
    now, coming = begin, list(starts)
    known = [run(begin - 10 * SECOND, took=9 * SECOND)]
    while now < end:
        while coming and coming[0] <= now:
            known.append(run(coming.pop(0), took=0 * SECOND))
        verdict = judge(facts(expectation, known, declared=begin), now=now)
        if "MISSED" in found(verdict):
            yield now
        wanted = [one for one in (verdict.look_at, *coming[:1]) if one is not None and one > now]
        now = min(wanted, default=end)


def starts_on(begin: datetime, times: str) -> list[datetime]:
    """Read times of a night in UTC."""
    made = []
    for time in times.split():
        hour, minute = map(int, time.split(":"))
        start = begin.replace(hour=hour, minute=minute)
        made.append(start if start >= begin else start + timedelta(days=1))
    return [one + SECOND for one in made]


@pytest.mark.parametrize("grace", [None, MINUTE], ids=["its own grace", "a minute"])
@pytest.mark.parametrize(
    ("begin", "scheduler", "cron", "times"),
    [(SPRING, *key, times) for key, times in IN_SPRING.items()]
    + [(AUTUMN, *key, times) for key, times in IN_AUTUMN.items()],
)
def test_what_a_scheduler_starts_around_a_change_is_enough(
    begin: datetime, scheduler: str, cron: str, times: str, grace: timedelta | None
) -> None:
    expectation = Expectation(cron=cron, tz=BERLIN, grace=grace)
    end = (begin + LENGTH).replace(hour=4, minute=0)
    starts = [one for one in starts_on(begin, times) if one < end]

    assert list(missed_starts(expectation, starts, begin, end)) == [], scheduler


CHANGES = (
    (BERLIN, SPRING),
    (BERLIN, AUTUMN),
    ("America/New_York", datetime(2026, 3, 8, 5, 45, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 3, 45, tzinfo=UTC)),
    ("Australia/Sydney", datetime(2026, 4, 4, 13, 45, tzinfo=UTC)),
    ("Australia/Sydney", datetime(2026, 10, 3, 13, 45, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 13, 15, tzinfo=UTC)),  # by half an hour
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 13, 15, tzinfo=UTC)),
)
# cronsim 2.8 goes on by whole hours: where half an hour comes twice, it leaves out 02:00 and 02:20.
LEFT_OUT = ("Australia/Lord_Howe", "*/20 2,3 * * *")


@pytest.mark.parametrize(
    ("zone", "begin", "cron"),
    [
        (zone, begin, cron)
        for zone, begin in CHANGES
        for cron in EXPRESSIONS
        if (zone, cron) != LEFT_OUT
    ],
)
def test_what_cronsim_starts_around_a_change_is_enough(
    zone: str, begin: datetime, cron: str
) -> None:
    end = begin + LENGTH
    ticks = (one.astimezone(UTC) for one in CronSim(cron, begin.astimezone(ZoneInfo(zone))))
    starts = [one + SECOND for one in takewhile(lambda one: one < end, ticks)]

    assert list(missed_starts(Expectation(cron=cron, tz=zone), starts, begin, end)) == []


@pytest.mark.parametrize("begin", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("calendar", ["*-*-* 02:30:00", "*-*-* *:00/30:00", "*-*-* 01..04:15:00"])
def test_what_systemd_starts_around_a_change_is_enough(begin: datetime, calendar: str) -> None:
    end = begin + LENGTH
    ticks = (
        one.astimezone(UTC) for one in OnCalendar(calendar, begin.astimezone(ZoneInfo(BERLIN)))
    )
    starts = [one + SECOND for one in takewhile(lambda one: one < end, ticks)]

    assert list(missed_starts(Expectation(calendar=calendar, tz=BERLIN), starts, begin, end)) == []


@pytest.mark.parametrize(
    ("begin", "hour_utc", "missed_at"),
    [(SPRING, 2, "02:25"), (AUTUMN, 2, "02:25"), (AUTUMN, 0, "01:25")],
    ids=["after the skipped hour", "after the repeated hour", "in the repeated hour"],
)
def test_a_start_that_does_not_come_is_found_in_these_nights_too(
    begin: datetime, hour_utc: int, missed_at: str
) -> None:
    expectation = Expectation(cron="15 * * * *", tz=BERLIN)
    hours = [hour for hour in (23, 0, 1, 2, 3) if hour != hour_utc]
    if hour_utc == 0:
        hours.remove(1)  # nor does it start the second time that the clock shows 02:15
    starts = starts_on(begin, " ".join(f"{hour:02}:15" for hour in hours))

    first = next(missed_starts(expectation, starts, begin, begin + LENGTH))

    assert f"{first:%H:%M}" == missed_at


def due_times(cron: str, zone: str, begin: datetime, length: timedelta) -> list[str]:
    schedule = schedule_of(Expectation(cron=cron, tz=zone))
    assert isinstance(schedule, ClockSchedule)
    return [f"{one:%H:%M}" for one in schedule.due_between(begin, begin + length)]


def test_a_time_that_the_clock_skips_is_not_due() -> None:
    assert due_times("*/30 * * * *", BERLIN, SPRING, 3 * HOUR) == [
        *("23:00", "23:30", "00:00", "00:30", "01:00", "01:30"),
    ]


def test_a_time_that_comes_twice_is_due_once() -> None:
    assert due_times("*/30 * * * *", BERLIN, AUTUMN, 5 * HOUR) == [
        *("22:00", "22:30", "23:00", "23:30", "00:00", "00:30", "02:00", "02:30"),
    ]


def test_a_time_that_comes_twice_may_start_until_its_second() -> None:
    schedule = schedule_of(Expectation(cron="30 2 * * *", tz=BERLIN))
    assert isinstance(schedule, ClockSchedule)
    slot = schedule.slot_after(AUTUMN)

    assert slot is not None
    assert (f"{slot.due:%H:%M}", f"{slot.until:%H:%M}") == ("00:30", "01:30")


def test_in_the_second_of_two_equal_hours_nothing_of_the_first_is_due_again() -> None:
    schedule = schedule_of(Expectation(cron="*/30 * * * *", tz=BERLIN))
    assert isinstance(schedule, ClockSchedule)

    due = schedule.due_after(AUTUMN.replace(day=25, hour=1, minute=10))

    assert f"{due:%d %H:%M}" == "25 02:00"


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("night", [SPRING, AUTUMN])
@pytest.mark.parametrize("step", [1, -1])
def test_what_was_asked_before_changes_no_answer(
    expression: str, night: datetime, step: int
) -> None:
    schedule = schedule_of(Expectation(cron=expression, tz=BERLIN))
    assert isinstance(schedule, ClockSchedule)

    for moment in [night + number * 5 * MINUTE for number in range(LENGTH // (5 * MINUTE))][::step]:
        assert schedule.slot_after(moment) == next(schedule.slots_after(moment))
