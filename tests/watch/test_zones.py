"""Starts that are right on the wall of another zone are one finding, and no missed start."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo, available_timezones

import pytest

from runguard._monitor.expectations import Expectation, FindingType, OpenFinding, WatchedRun
from runguard._watch.zones import ZONES

from .facts import (
    DAY,
    HOUR,
    MINUTE,
    at,
    closed,
    found,
    look,
    only_closing,
    only_finding,
    opened,
    run,
)

SEOUL = Expectation(cron="0 2 * * *", tz="Asia/Seoul", grace=30 * MINUTE)  # 17:00 UTC
DECLARED = at("3 12:00")


def nights(first: int, last: int, time: str = "02:00") -> list[WatchedRun]:
    """A start each day of March at a time in UTC."""
    return [run(f"{day} {time}") for day in range(first, last + 1)]


def wrong_zone(when: str = "4 17:30") -> dict[FindingType, OpenFinding]:
    verdict = look(SEOUL, nights(4, 4), when, declared=DECLARED)
    return opened(only_finding(verdict), at(when))


def test_a_new_job_whose_only_start_fits_another_zone_has_a_wrong_zone() -> None:
    finding = only_finding(look(SEOUL, nights(4, 4), "4 17:30", declared=DECLARED))

    assert finding.type is FindingType.WRONG_ZONE
    assert finding.title == "nightly_backup starts as if its zone were UTC, not Asia/Seoul"
    assert finding.detail == {
        "schedule": "cron 0 2 * * * (Asia/Seoul)",
        "declared_zone": "Asia/Seoul",
        "fits_zone": "UTC",
        "starts": 1,
        "last_start_at": "2026-03-04T02:00:00Z",
        "shift_seconds": 32400.0,
    }


def test_a_new_job_that_has_not_started_is_not_missed_before_each_zone_had_its_turn() -> None:
    # 02:00 of 3 March is over in all zones at 14:00 UTC, but this was declared at 12:00.
    def at_time(now: str) -> list[str]:
        return found(look(SEOUL, [], now, declared=DECLARED))

    assert at_time("3 17:30") == []
    assert at_time("4 11:00") == []
    assert at_time("4 12:30") == ["MISSED"]


def test_a_new_job_that_did_start_on_time_is_missed_after_its_grace() -> None:
    on_time = [run("3 17:00")]

    assert found(look(SEOUL, on_time, "4 17:30", declared=DECLARED)) == ["MISSED"]


def test_a_single_start_at_no_quarter_hour_is_no_wrong_zone() -> None:
    by_hand = [run("4 02:07")]

    assert "WRONG_ZONE" not in found(look(SEOUL, by_hand, "5 17:30", declared=DECLARED))
    assert found(look(SEOUL, by_hand, "8 17:30", declared=DECLARED)) == ["MISSED"]


def test_starts_by_hand_say_nothing_of_the_zone_where_the_scheduler_says_its_own() -> None:
    by_hand = [run(f"{day} 02:00", trigger_type="MANUAL") for day in (4, 5)]
    scheduled = run("3 17:00")

    assert found(look(SEOUL, [scheduled, *by_hand], "5 17:30", declared=DECLARED)) == ["MISSED"]


def test_where_no_scheduler_says_that_it_is_one_all_starts_tell_the_zone() -> None:
    manual = [run(f"{day} 02:00", trigger_type="MANUAL") for day in (4, 5)]

    assert found(look(SEOUL, manual, "5 17:30", declared=DECLARED)) == ["WRONG_ZONE"]


def test_after_starts_on_time_two_that_are_off_make_a_wrong_zone() -> None:
    on_time = nights(4, 8, "17:00")

    def after(*more: WatchedRun) -> list[str]:
        return found(look(SEOUL, [*on_time, *more], "11 17:30", declared=DECLARED))

    assert after(run("11 02:00")) == ["MISSED"]
    assert after(run("10 02:00"), run("11 02:00")) == ["WRONG_ZONE"]


def test_two_starts_by_hand_in_the_morning_are_no_wrong_zone() -> None:
    by_hand = [run("10 00:01"), run("11 00:04")]

    runs = [*nights(4, 8, "17:00"), *by_hand]
    assert found(look(SEOUL, runs, "11 17:30", declared=DECLARED)) == ["MISSED"]


def test_a_time_that_is_off_by_no_zone_is_missed() -> None:
    assert found(look(SEOUL, nights(4, 8, "02:08"), "8 17:30", declared=DECLARED)) == ["MISSED"]


def test_one_late_start_hides_no_wrong_zone() -> None:
    runs = [*nights(4, 5), run("6 02:25"), *nights(7, 8)]

    assert found(look(SEOUL, runs, "8 17:30", declared=DECLARED)) == ["WRONG_ZONE"]


def test_a_start_by_hand_beside_office_hours_is_no_wrong_zone() -> None:
    office = Expectation(cron="0 9-17 * * 1-5", tz="Europe/Berlin")
    day = [run(at("9 08:00") + hour * HOUR) for hour in range(9)]
    extra = run("9 17:00")  # an hour after the last one: as if it were on London's clock

    assert found(look(office, [*day, extra], "10 08:10")) == ["MISSED"]


def test_office_hours_of_another_zone_are_a_wrong_zone() -> None:
    office = Expectation(cron="0 9-17 * * 1-5", tz="Europe/Berlin")
    london = [run(at("9 09:00") + hour * HOUR) for hour in range(9)]

    finding = only_finding(look(office, london, "10 08:10"))

    assert (finding.type, finding.detail["fits_zone"]) == ("WRONG_ZONE", "UTC")


def test_a_finding_of_a_wrong_zone_goes_on_and_is_told_once() -> None:
    first = wrong_zone()
    later = look(SEOUL, nights(4, 9), "9 17:30", declared=DECLARED, found=first)

    assert only_finding(later).mark == ""
    assert later.next_due_at == at("10 02:00")


def test_in_a_wrong_zone_a_start_that_its_own_clock_misses_is_missed() -> None:
    def at_time(now: str) -> list[str]:
        verdict = look(SEOUL, nights(4, 9), now, declared=DECLARED, found=wrong_zone())
        return found(verdict)

    assert at_time("10 02:29") == ["WRONG_ZONE"]
    assert at_time("11 02:30") == ["WRONG_ZONE", "MISSED"]


def test_a_clock_of_the_real_zone_that_changes_on_another_day_misses_nothing() -> None:
    """In winter, starts of London fit UTC; then London's clock changes."""
    winter, summer = nights(26, 28), [run("29 01:00"), run("30 01:00")]
    known = opened(
        only_finding(look(SEOUL, winter, "28 17:30", declared=at("26 00:00"))), at("28 17:30")
    )
    verdict = look(SEOUL, [*winter, *summer], "30 02:30", declared=at("26 00:00"), found=known)

    assert known[FindingType.WRONG_ZONE].detail["fits_zone"] == "UTC"
    assert found(verdict) == ["WRONG_ZONE"]


def test_a_start_at_the_declared_time_closes_a_wrong_zone() -> None:
    runs = [*nights(4, 9), run("9 17:00")]
    closing = only_closing(look(SEOUL, runs, "9 17:01", declared=DECLARED, found=wrong_zone()))

    assert closing.message == "The starts of nightly_backup fit cron 0 2 * * * (Asia/Seoul)."
    assert closing.detail == {"started_at": "2026-03-09T17:00:00Z"}


def test_another_declared_zone_closes_a_wrong_zone() -> None:
    utc = Expectation(cron="0 2 * * *", grace=30 * MINUTE)
    verdict = look(utc, nights(4, 9), "9 12:00", declared=at("9 11:00"), found=wrong_zone())

    assert (found(verdict), closed(verdict)) == ([], ["WRONG_ZONE"])
    assert only_closing(verdict).message == "What is expected of nightly_backup has changed."
    assert only_closing(verdict).title == "What is expected of nightly_backup has changed"


def test_every_has_no_zone() -> None:
    assert found(look(Expectation(every=DAY), nights(4, 8), "9 12:00")) == ["MISSED"]


def offsets(name: str) -> tuple[timedelta | None, ...]:
    """The offsets of a zone's clock at noon of each day of a year."""
    zone = ZoneInfo(name)
    return tuple(zone.utcoffset(datetime(2026, 1, 1, 12) + number * DAY) for number in range(365))


def test_no_two_zones_of_the_list_have_the_same_clock() -> None:
    clocks = {name: offsets(name) for name in ZONES}

    assert [pair for pair in combinations(ZONES, 2) if clocks[pair[0]] == clocks[pair[1]]] == []


@pytest.mark.parametrize("region", ["Africa/", "America/", "Asia/", "Australia/", "Europe/"])
def test_nearly_every_zone_has_the_clock_of_one_of_the_list(region: str) -> None:
    clocks = {offsets(name) for name in ZONES}
    others = {
        name
        for name in available_timezones()
        if name.startswith(region) and offsets(name) not in clocks
    }

    assert len(others) <= 3, sorted(others)
