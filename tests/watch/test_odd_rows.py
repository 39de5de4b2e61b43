"""No row is too odd for a verdict: the judge never raises, and says the same each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runguard._monitor.expectations import (
    Expectation,
    FindingType,
    Gap,
    JobFacts,
    JobRecord,
    OpenFinding,
    WatchedRun,
)
from runguard._watch.judge import judge

from .facts import DAY, HOUR, MINUTE, SECOND, at, facts, found, look, run

moments = st.datetimes(
    timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=9))])
) | st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 9), timezones=st.just(UTC))
lengths = st.timedeltas(timedelta(seconds=-1), timedelta(days=4000)) | st.just(timedelta.max)
runs = st.builds(
    WatchedRun,
    id=st.integers(),
    status=st.sampled_from(["RUNNING", "SUCCESS", "FAILED", "odd", ""]),
    started_at=moments,
    finished_at=st.none() | moments,
    total_records=st.none() | st.integers(),
    refused=st.booleans(),
    came_late=st.booleans(),
    trigger_type=st.sampled_from(["SCHEDULER", "MANUAL", "odd"]),
    host=st.none() | st.text(),
)
crons = st.sampled_from([None, "0 2 * * *", "* * * * *", "0 0 30 2 *", "nonsense", "0 0 29 2 1"])
expectations = st.builds(
    Expectation,
    every=st.none() | lengths,
    cron=crons,
    calendar=st.sampled_from([None, "*:*:*", "2020-01-01", "nonsense", "daily Asia/Seoul"]),
    tz=st.sampled_from([None, "Europe/Berlin", "Nowhere"]),
    grace=st.none() | lengths,
    max_runtime=st.none() | lengths,
    min_records=st.none() | st.integers(),
    learn=st.booleans(),
)
details = st.dictionaries(
    st.sampled_from(
        ["due", "first_due", "missed", "run_id", "first_run_id", "schedule", "fits_zone"]
    ),
    st.none() | st.integers() | st.text() | moments.map(str) | st.just("cron 0 2 * * * (UTC)"),
)


def open_findings(detail: dict[str, Any]) -> dict[FindingType, OpenFinding]:
    when = at("2 00:00")
    return {
        kind: OpenFinding(type=kind, incident=1, opened_at=when, last_alert_at=when, detail=detail)
        for kind in FindingType
    }


@settings(max_examples=50)
@given(
    expectation=expectations,
    seen=st.lists(runs, max_size=6),
    detail=st.none() | details,
    times=st.tuples(st.none() | moments, st.none() | moments, moments),
    gap=st.none() | st.tuples(moments, moments),
)
def test_no_rows_are_too_odd_for_a_verdict(
    expectation: Expectation,
    seen: list[WatchedRun],
    detail: dict[str, Any] | None,
    times: tuple[datetime | None, datetime | None, datetime],
    gap: tuple[datetime, datetime] | None,
) -> None:
    declared, judged, now = times
    known = JobFacts(
        job=JobRecord(
            job_name="odd", expectation=expectation, declared_at=declared, judged_at=judged
        ),
        runs=tuple(seen),
        open={} if detail is None else open_findings(detail),
    )
    gaps = () if gap is None else (Gap(began_at=gap[0], ended_at=gap[1]),)

    verdict = judge(known, now=now, gaps=gaps)

    assert verdict == judge(known, now=now, gaps=gaps)
    assert not {one.type for one in verdict.findings} & {one.type for one in verdict.closings}


def test_times_without_a_zone_are_taken_as_utc() -> None:
    naive = WatchedRun(id=1, status="SUCCESS", started_at=datetime(2026, 3, 4, 2))

    assert found(look(Expectation(cron="0 2 * * *"), [naive], "5 04:23")) == []


def test_a_time_of_judging_without_a_zone_is_taken_as_utc() -> None:
    verdict = look(
        Expectation(max_runtime=HOUR),
        [run("4 02:00", took=2 * HOUR)],
        "4 05:00",
        judged_at=datetime(2026, 3, 4, 3),
    )

    assert found(verdict) == ["SLOW"]


def test_a_start_in_the_future_is_taken_as_now() -> None:
    ahead = run("9 02:00")

    assert look(Expectation(cron="0 2 * * *"), [ahead], "4 12:00").next_due_at == at("5 02:00")


def test_runs_in_any_order_give_one_verdict() -> None:
    newest_first = facts(Expectation(cron="0 2 * * *"), [run("3 02:00"), run("4 02:00")])
    other_way = JobFacts(job=newest_first.job, runs=tuple(reversed(newest_first.runs)))

    assert judge(other_way, now=at("4 12:00")) == judge(newest_first, now=at("4 12:00"))


def test_an_ending_before_its_start_is_taken_as_its_start() -> None:
    backwards = run("4 02:00", took=-HOUR)

    assert found(look(Expectation(every=DAY), [backwards], "4 12:00")) == []


@pytest.mark.parametrize("calendar", ["*:*:*", "*:*:0/2"])
def test_a_schedule_of_seconds_counts_at_most_a_thousand_missed_starts(calendar: str) -> None:
    verdict = look(Expectation(calendar=calendar), [run("3 02:00")], "6 02:00")

    [finding] = verdict.findings
    assert finding.detail["missed"] == 1000
    assert at("6 02:00") - datetime.fromisoformat(finding.mark) <= 3 * SECOND


def test_a_job_that_starts_each_minute_is_missed_half_a_minute_later() -> None:
    minutely, last = Expectation(cron="* * * * *"), run("4 02:00")

    assert found(look(minutely, [last], at("4 02:01") + 29 * SECOND)) == []
    assert found(look(minutely, [last], at("4 02:01") + 30 * SECOND)) == ["MISSED"]


def test_a_schedule_that_has_no_next_time_is_not_missed() -> None:
    once = Expectation(calendar="2026-03-04 02:00:00")
    verdict = look(once, [run("4 02:00")], at("4 02:00") + MINUTE)

    assert (found(verdict), verdict.next_due_at, verdict.look_at) == ([], None, None)
