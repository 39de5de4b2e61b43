"""STUCK, SLOW, FAST, EMPTY and FREQUENT at the edges of their numbers, and how each is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from runguard._monitor.expectations import (
    WATCHED_RUNS,
    Expectation,
    FindingType,
    WatchedRun,
)

from .facts import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    at,
    closed,
    found,
    look,
    only_closing,
    only_finding,
    opened,
    run,
)

NOW = at("20 12:00")
TWO_HOURS = Expectation(max_runtime=2 * HOUR)


def days(*took: timedelta | float, records: Iterable[int] = ()) -> list[WatchedRun]:
    """A run each day at 10:00 up to that of `NOW`, the last of them the newest."""
    counts = list(records) or [1] * len(took)
    return [
        run(
            at("20 10:00") - (len(took) - 1 - number) * DAY,
            took=length if isinstance(length, timedelta) else timedelta(seconds=length),
            total_records=count,
        )
        for number, (length, count) in enumerate(zip(took, counts, strict=True))
    ]


# STUCK


def test_a_run_that_takes_longer_than_it_may_is_stuck() -> None:
    runs = [run("20 10:00", took=None)]

    assert found(look(TWO_HOURS, runs, "20 12:00")) == []
    assert found(look(TWO_HOURS, runs, at("20 12:00") + SECOND)) == ["STUCK"]


def test_a_running_run_is_looked_at_when_its_time_is_over() -> None:
    assert look(TWO_HOURS, [run("20 10:00", took=None)], "20 10:01").look_at == at("20 12:00")


def test_what_is_found_names_the_environment_of_the_job() -> None:
    stuck = run("20 10:00", took=None, number=7)
    finding = only_finding(look(TWO_HOURS, [stuck], "20 12:30", environment="staging"))

    assert finding.title.startswith("nightly_backup in staging has been running for ")
    assert "Run 7 of nightly_backup in staging " in finding.message


def test_a_running_run_of_an_environment_is_looked_at_each_round() -> None:
    verdict = look(TWO_HOURS, [run("20 10:00", took=None)], "20 10:01", environment="staging")

    assert verdict.look_at == at("20 10:01")


def test_what_is_stuck_says_for_how_long_and_what_is_allowed() -> None:
    stuck = run("20 10:00", took=None, number=7)
    finding = only_finding(look(TWO_HOURS, [stuck], "20 12:30"))

    assert finding.title == "nightly_backup has been running for 2 h 30 min, allowed 2 h"
    assert (finding.mark, finding.since) == ("7", at("20 12:00"))
    assert finding.detail == {
        "run_id": 7,
        "started_at": "2026-03-20T10:00:00Z",
        "running_seconds": 9000.0,
        "allowed_seconds": 7200.0,
    }


def stuck_at_noon() -> dict[FindingType, object]:
    finding = only_finding(look(TWO_HOURS, [run("20 09:00", took=None, number=7)], NOW))
    return dict(opened(finding, NOW))


def test_the_end_of_a_stuck_run_closes_it() -> None:
    ended = run("20 09:00", took=4 * HOUR, number=7, status="FAILED")
    closing = only_closing(look(TWO_HOURS, [ended], "20 13:00", found=stuck_at_noon()))

    assert closing.message == "Run 7 of nightly_backup ended after 4 h: FAILED."
    assert (closing.run_id, closing.detail["seconds"]) == (7, 14400.0)


def test_a_stuck_run_behind_many_newer_ones_stays_open() -> None:
    newer = [run(at("20 12:00") + number * MINUTE) for number in range(WATCHED_RUNS)]
    stuck = run("20 09:00", took=None, number=7)

    assert closed(look(TWO_HOURS, [*newer, stuck], "20 13:00", found=stuck_at_noon())) == []


@pytest.mark.parametrize("newer", [1, WATCHED_RUNS])
def test_a_stuck_run_that_was_deleted_or_ended_behind_many_newer_ones_is_closed(newer: int) -> None:
    runs = [run(at("20 12:00") + number * MINUTE) for number in range(newer)]
    verdict = look(TWO_HOURS, runs, "20 13:00", found=stuck_at_noon())

    assert only_closing(verdict).message == "Run 7 of nightly_backup does not run any more."


def test_a_refused_start_is_never_stuck() -> None:
    refused = run("20 09:00", took=None, refused=True)

    assert found(look(TWO_HOURS, [refused], NOW)) == []


# SLOW


@pytest.mark.parametrize(
    ("usual", "slow", "is_found"),
    [
        (60, 120, False),  # not more than twice the 95th percentile
        (60, 120.1, True),
        (2, 11.9, False),  # not ten seconds more than it
        (2, 12, True),
    ],
)
def test_two_runs_in_a_row_of_twice_the_usual_and_ten_seconds_more_are_slow(
    usual: float, slow: float, *, is_found: bool
) -> None:
    runs = days(*[usual] * 10, slow, slow)

    assert found(look(Expectation(every=DAY), runs, NOW)) == (["SLOW"] if is_found else [])


@pytest.mark.parametrize("took", [[60.0] * 9 + [200.0, 200.0], [60.0] * 11 + [200.0]])
def test_fewer_than_ten_runs_before_and_a_single_run_are_not_slow(took: list[float]) -> None:
    assert found(look(Expectation(every=DAY), days(*took), NOW)) == []


def test_the_next_usual_run_closes_slow() -> None:
    slow = look(Expectation(every=DAY), days(*[60.0] * 10, 200, 200), NOW)
    known = opened(only_finding(slow), NOW)
    expectation, runs = Expectation(every=DAY), days(*[60.0] * 10, 200, 200)
    tomorrow = [*runs, run(at("21 10:00"), took=timedelta(seconds=200))]
    later = [*tomorrow, run(at("22 10:00"), took=timedelta(seconds=61))]

    assert found(look(expectation, tomorrow, "21 12:00", found=known)) == ["SLOW"]
    closing = only_closing(look(expectation, later, "22 12:00", found=known))
    assert closing.message.endswith("took 1 min 1 s, which is usual.")


def test_slow_compares_with_the_runs_before_it_began_while_it_goes_on() -> None:
    expectation, runs = Expectation(every=DAY), days(*[60.0] * 10, *[200.0] * 12)
    first = next(one for one in runs if one.finished_at == one.started_at + 200 * SECOND)
    finding = only_finding(look(expectation, days(*[60.0] * 10, 200, 200), NOW))
    known = opened(finding, NOW)
    known[FindingType.SLOW].detail["first_run_id"] = first.id  # type: ignore[index]

    assert found(look(expectation, runs, NOW, found=known)) == ["SLOW"]


def test_a_run_longer_than_it_may_take_is_slow_at_once_where_nobody_saw_it_run() -> None:
    finding = only_finding(look(TWO_HOURS, [run("20 07:00", took=3 * HOUR)], NOW))

    assert (finding.type, finding.detail["allowed_seconds"]) == (FindingType.SLOW, 7200.0)


def test_a_run_that_was_stuck_is_not_told_again_as_slow() -> None:
    ended = run("20 09:00", took=3 * HOUR, number=7)
    closing = look(TWO_HOURS, [ended], NOW, found=stuck_at_noon())
    after = look(TWO_HOURS, [ended], "20 12:10", judged_at=NOW)

    assert (found(closing), closed(closing)) == ([], ["STUCK"])
    assert found(after) == []


# FAST


@pytest.mark.parametrize(
    ("usual", "fast", "is_found"), [(60, 5.9, True), (60, 6, False), (59, 1, False)]
)
def test_two_runs_in_a_row_of_less_than_a_tenth_of_a_minute_or_more_are_fast(
    usual: float, fast: float, *, is_found: bool
) -> None:
    runs = days(*[usual] * 10, fast, fast)

    assert found(look(Expectation(every=DAY), runs, NOW)) == (["FAST"] if is_found else [])


def test_a_failed_run_is_not_fast() -> None:
    failed = [run(f"20 1{hour}:00", took=SECOND, status="FAILED") for hour in (0, 1)]

    assert found(look(Expectation(every=DAY), [*days(*[90.0] * 12)[:-1], *failed], NOW)) == []


# EMPTY


def test_fewer_records_than_declared_are_empty() -> None:
    expectation = Expectation(min_records=10)

    assert found(look(expectation, days(5, records=[10]), NOW)) == []
    finding = only_finding(look(expectation, days(5, records=[9]), NOW))
    assert finding.title == "nightly_backup succeeded with 9 records, expected at least 10"


def test_no_record_after_five_runs_that_had_some_is_empty() -> None:
    def records(*counts: int) -> list[str]:
        return found(look(Expectation(every=DAY), days(*[5] * len(counts), records=counts), NOW))

    assert records(3, 3, 3, 3, 3, 0) == ["EMPTY"]
    assert records(3, 3, 3, 3, 0) == []
    assert records(3, 0, 3, 3, 3, 0) == []


def test_a_job_that_may_have_no_records_is_never_empty() -> None:
    runs = days(*[5] * 6, records=[3, 3, 3, 3, 3, 0])

    assert found(look(Expectation(min_records=0), runs, NOW)) == []


def test_empty_stays_until_a_run_has_records() -> None:
    expectation, records = Expectation(every=DAY), [3, 3, 3, 3, 3, 0]
    known = opened(only_finding(look(expectation, days(*[5] * 6, records=records), NOW)), NOW)
    empty_again = days(*[5] * 7, records=[*records, 0])
    filled = days(*[5] * 7, records=[*records, 2])

    assert found(look(expectation, empty_again, NOW, found=known)) == ["EMPTY"]
    closing = only_closing(look(expectation, filled, NOW, found=known))
    assert closing.message.endswith("had 2 records.")


def test_a_failed_run_is_not_empty() -> None:
    failed = run("20 10:00", status="FAILED", total_records=0)

    assert found(look(Expectation(min_records=1), [failed], NOW)) == []


# FREQUENT


HOURLY = Expectation(cron="0 * * * *")


def starts(*minutes: int, **more: object) -> list[WatchedRun]:
    """Starts so many minutes after 11:00, and the hourly ones of the day before."""
    before = [run(at("20 00:00") + number * HOUR) for number in range(12)]
    return [*before, *(run(at("20 11:00") + one * MINUTE, **more) for one in minutes)]


def test_more_than_three_starts_in_the_time_of_one_are_frequent() -> None:
    assert found(look(HOURLY, starts(10, 20), "20 11:30")) == []
    finding = only_finding(look(HOURLY, starts(10, 20, 25, host="a"), "20 11:30"))

    assert (finding.detail["starts"], finding.detail["declared_seconds"]) == (4, 3600.0)
    assert finding.title == "nightly_backup started 4 times within 1 h"


def test_starts_by_hand_and_retries_are_not_frequent() -> None:
    for trigger in ("MANUAL", "RETRY"):
        runs = starts(10, 20, 25, 28, trigger_type=trigger)
        assert found(look(HOURLY, runs, "20 11:30")) == []


def test_starts_that_make_up_for_a_pause_are_not_frequent() -> None:
    before = [run(f"20 0{hour}:00") for hour in range(4)]
    made_up = [run(at("20 11:00") + number * SECOND) for number in range(9)]

    assert found(look(HOURLY, [*before, *made_up], "20 11:01")) == []
    assert found(look(HOURLY, [*before, *made_up, *starts(1, 2, 3)[-3:]], "20 11:04")) == [
        "FREQUENT"
    ]


def test_one_quiet_gap_closes_frequent() -> None:
    runs = starts(10, 20, 25)
    known = opened(only_finding(look(HOURLY, runs, "20 11:30")), at("20 11:30"))
    next_hour = [*runs, run("20 12:00")]

    assert closed(look(HOURLY, next_hour, "20 12:15", found=known)) == []
    assert look(HOURLY, next_hour, "20 12:15", found=known).look_at == at("20 12:20")
    assert closed(look(HOURLY, next_hour, "20 12:20", found=known)) == ["FREQUENT"]
