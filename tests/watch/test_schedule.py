"""When starts are due, how late they may be, and what cannot be read."""

from __future__ import annotations

import builtins
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard import ConfigurationError
from runguard._monitor.expectations import Expectation
from runguard._watch import schedule as schedules
from runguard._watch.schedule import ClockSchedule, expectation_problem, schedule_of

from .facts import DAY, HOUR, MINUTE, SECOND, at


def clock(**expected: object) -> ClockSchedule:
    schedule = schedule_of(Expectation(**expected))  # type: ignore[arg-type]
    assert isinstance(schedule, ClockSchedule)
    return schedule


@pytest.mark.parametrize(
    ("expectation", "grace"),
    [
        (Expectation(every=5 * MINUTE), 2.5 * MINUTE),  # half the gap
        (Expectation(every=20 * MINUTE), 10 * MINUTE),
        (Expectation(every=HOUR), 10 * MINUTE),
        (Expectation(every=100 * MINUTE), 10 * MINUTE),
        (Expectation(every=DAY), 144 * MINUTE),  # a tenth of it
        (Expectation(cron="* * * * *"), 30 * SECOND),
        (Expectation(cron="0 9-17 * * 1-5"), 10 * MINUTE),
        (Expectation(cron="0,5 2 * * *"), 2.5 * MINUTE),
        (Expectation(cron="0 2 * * 1"), 7 * DAY / 10),
        (Expectation(cron="0 2 1 * 0"), 144 * MINUTE),  # the first of a month beside a Sunday
        (Expectation(calendar="Mon..Fri 09..17:00"), 10 * MINUTE),
        (Expectation(calendar="*-*-* *:*:0/10"), 5 * SECOND),
        (Expectation(cron="0 2 * * *", grace=3 * HOUR), 3 * HOUR),
    ],
    ids=str,
)
def test_grace_is_ten_minutes_or_a_tenth_and_at_most_half_of_the_smallest_gap(
    expectation: Expectation, grace: timedelta
) -> None:
    schedule = schedule_of(expectation)

    assert schedule is not None
    assert schedule.grace == grace


@pytest.mark.parametrize(
    ("cron", "early"), [("0 2 * * *", 60.0), ("*/2 * * * *", 30.0), ("* * * * *", 15.0)]
)
def test_a_start_may_be_a_minute_early_and_at_most_a_quarter_of_the_gap(
    cron: str, early: float
) -> None:
    assert clock(cron=cron).early == early * SECOND


def test_times_are_on_the_wall_of_the_declared_zone() -> None:
    seoul = clock(cron="0 2 * * *", tz="Asia/Seoul")

    assert seoul.due_after(at("4 00:00")) == at("4 17:00")
    assert seoul.words == "cron 0 2 * * * (Asia/Seoul)"


def test_a_zone_in_a_calendar_expression_wins() -> None:
    own = clock(calendar="*-*-* 02:00:00 Asia/Seoul", tz="Europe/Berlin")

    assert own.due_after(at("4 00:00")) == at("4 17:00")
    assert own.words == "calendar *-*-* 02:00:00 (Asia/Seoul)"


def test_due_times_come_in_order_with_the_last_moment_and_without_the_first() -> None:
    found = clock(cron="0 * * * *").due_between(at("4 02:00"), at("4 04:00"))

    assert list(found) == [at("4 03:00"), at("4 04:00")]


def test_the_newest_due_time_is_found_behind_a_long_pause() -> None:
    office = clock(cron="0 9-17 * * 1-5")

    assert office.last_due(at("8 23:00"), after=at("2 00:00")) == at("6 17:00")
    assert office.last_due(at("8 23:00"), after=at("6 17:00")) is None


@pytest.mark.parametrize(
    ("expectation", "problem"),
    [
        (Expectation(cron="0 2 * *"), "cron: expected five fields"),
        (Expectation(cron="0 2 * * * *"), "cron: expected five fields"),
        (Expectation(cron="61 2 * * *"), "cron: expected an expression, found '61 2 * * *'"),
        (Expectation(cron="0 0 30 2 *"), "cron: expected an expression, found '0 0 30 2 *'"),
        (Expectation(calendar="never"), "calendar: expected an expression, found 'never'"),
        (Expectation(calendar="2020-01-01"), "calendar: expected a time that comes"),
        (Expectation(calendar="daily\nweekly"), "calendar: expected one expression"),
        (Expectation(cron="0 2 * * *", tz="Mars/Olympus"), "tz: expected a zone, found 'Mars"),
        (Expectation(cron="0 2 * * *", tz="Europe"), "tz: expected a zone, found 'Europe'"),
        (Expectation(every=timedelta(0)), "every: expected 1 s to 3660 days, found 0 s"),
        (Expectation(every=timedelta.max), "every: expected 1 s to 3660 days"),
        (Expectation(every=HOUR, grace=-MINUTE), "grace: expected 0 s to 3660 days"),
        (Expectation(max_runtime=timedelta.max), "max_runtime: expected 0 s to 3660 days"),
    ],
    ids=str,
)
def test_what_nobody_can_watch_is_said(expectation: Expectation, problem: str) -> None:
    assert str(expectation_problem(expectation)).startswith(problem)


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation(),
        Expectation(every=15 * MINUTE, max_runtime=HOUR),
        Expectation(cron="0 2 29 2 *", tz="Asia/Seoul"),
        Expectation(calendar="Sun *-*-* 02:00:00 Europe/Berlin"),
    ],
    ids=str,
)
def test_what_can_be_watched_is_no_problem(expectation: Expectation) -> None:
    assert expectation_problem(expectation) is None


@pytest.mark.parametrize(
    ("library", "expectation"),
    [("cronsim", Expectation(cron="1 2 3 4 *")), ("oncalendar", Expectation(calendar="03-04 1:2"))],
)
def test_a_missing_library_names_the_extra(
    library: str, expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *others: object) -> object:
        if name == library:
            raise ImportError(name)
        return real(name, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigurationError, match=r"pip install 'runguard-runlog\[monitor\]'"):
        schedule_of(expectation)


def test_a_missing_zone_database_is_told_from_a_wrong_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(key: str) -> zoneinfo.ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(schedules, "ZoneInfo", without)

    with pytest.raises(ConfigurationError, match="no zone database here: pip install tzdata"):
        schedule_of(Expectation(cron="7 2 * * *", tz="Europe/Paris"))


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules"])
def test_a_name_that_is_another_zone_on_each_machine_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no zone of the IANA database"):
        schedule_of(Expectation(cron="9 2 * * *", tz=name))


def test_utc_needs_no_zone_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(schedules, "ZoneInfo")

    assert schedule_of(Expectation(cron="8 2 * * *", tz="UTC")) is not None


FIELDS = st.text("0123456789*/-,LW#?ABCMONSUJAN .~:", max_size=14)


@given(st.lists(FIELDS, min_size=5, max_size=5).map(" ".join))
def test_any_text_is_a_cron_expression_or_a_problem(text: str) -> None:
    assert _is_read_or_refused(Expectation(cron=text))


@given(FIELDS)
def test_any_text_is_a_calendar_expression_or_a_problem(text: str) -> None:
    assert _is_read_or_refused(Expectation(calendar=text))


def _is_read_or_refused(expectation: Expectation) -> bool:
    try:
        schedule = schedule_of(expectation)
    except ConfigurationError:
        return True
    assert isinstance(schedule, ClockSchedule)
    due = schedule.due_after(datetime(2026, 1, 1, tzinfo=UTC))
    return due is None or due > datetime(2026, 1, 1, tzinfo=UTC)
