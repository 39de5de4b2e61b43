"""What is remarkable about a job, in a few words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard._monitor.expectations import FindingType, OpenFinding
from runguard._monitor.health import JobState, describe, is_quiet, state_of
from runguard._monitor.records import JobOverview, RunCell
from runguard._monitor.remarks import finding_remark, remarks
from runguard._monitor.watched import ExpectedJob, found_since

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def job(*, ago: timedelta = MINUTE, starts: int = 6, **facts: Any) -> JobOverview:
    """A job that started every 10 minutes, the last time so long ago."""
    begun = [NOON - ago - number * 10 * MINUTE for number in range(starts)]
    return describe(
        "job", [RunCell(9 - n, "SUCCESS", None, at, at) for n, at in enumerate(begun)], **facts
    )


def finding(**detail: Any) -> OpenFinding:
    return OpenFinding(
        type=FindingType.MISSED,
        incident=1,
        opened_at=NOON - MINUTE,
        last_alert_at=NOON,
        detail=detail,
    )


def test_nothing_is_remarkable_where_all_is_as_usual() -> None:
    assert remarks(job(), now=NOON) == ()


def test_a_job_that_was_never_away_for_so_long_is_quiet() -> None:
    assert not is_quiet(job(ago=20 * MINUTE), now=NOON)
    assert is_quiet(job(ago=21 * MINUTE), now=NOON)
    assert state_of(job(ago=21 * MINUTE), now=NOON) is JobState.QUIET
    assert remarks(job(ago=timedelta(days=19)), now=NOON) == (
        "usually every 10 minutes; last 19 d ago",
    )


def test_a_job_is_not_quiet_while_it_runs_or_where_a_schedule_says_more() -> None:
    days = timedelta(days=19)

    assert not is_quiet(job(ago=days, running=1), now=NOON)
    assert not is_quiet(job(ago=days, starts=3), now=NOON)
    for known in (ExpectedJob(next_due_at=NOON), ExpectedJob(retired_at=NOON)):
        assert not is_quiet(job(ago=days, expected=known), now=NOON)
    for unknown in (ExpectedJob(owner="ana"), ExpectedJob(learn=True)):
        assert is_quiet(job(ago=days, expected=unknown), now=NOON)


def test_a_job_that_is_retired_says_so() -> None:
    retired = ExpectedJob(retired_at=NOON - timedelta(days=2))

    assert remarks(job(ago=timedelta(days=19), expected=retired), now=NOON) == ("retired 2 d ago",)


def test_what_is_found_late_or_refused_is_remarkable() -> None:
    expected = ExpectedJob(
        every_seconds=600, next_due_at=NOON - 5 * MINUTE, grace_seconds=600, findings=()
    )
    found = ExpectedJob(findings=(finding(since="2026-03-01T09:00:00Z"),))

    assert remarks(job(ago=10 * MINUTE, expected=expected), now=NOON) == ("was due 5 min ago",)
    assert remarks(job(expected=found, refused=2), now=NOON) == (
        "did not start when it was due, 3 h ago",
        "2 starts refused",
    )


def test_what_goes_on_is_said_so_that_it_fits_before_the_time_at_which_it_began() -> None:
    goes_on = replace(finding(), type=FindingType.SLOW)

    assert finding_remark(goes_on, now=NOON + timedelta(hours=1)) == (
        "took longer than usual, 1 h ago"
    )


def test_a_finding_began_when_its_detail_says_or_when_it_was_found() -> None:
    for odd in ({}, {"since": None}, {"since": "soon"}, {"since": "2026-03-01T09:00:00"}):
        assert found_since(finding(**odd)) == NOON - MINUTE
    assert found_since(finding(since="2026-03-01T09:00:00+00:00")) == NOON - timedelta(hours=3)
