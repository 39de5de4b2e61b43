"""How a job stands, judged from its last runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard._monitor import records
from runguard._monitor.expectations import FindingType, OpenFinding
from runguard._monitor.health import (
    JobState,
    describe,
    is_flapping,
    is_stuck,
    loudness,
    percentile,
    state_of,
    worst_first,
)
from runguard._monitor.records import JobOverview, RunCell
from runguard._monitor.watched import ExpectedJob

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def cells(statuses: str, seconds: float = 1) -> list[RunCell]:
    """Runs a minute apart, the newest first: S and F ended, R runs, X is another program's word."""
    words = {"S": "SUCCESS", "F": "FAILED", "R": "RUNNING", "X": "CANCELLED"}
    return [
        RunCell(
            id=100 - number,
            status=words[status],
            error_group="TIMEOUT" if status == "F" else None,
            started_at=NOON - number * timedelta(minutes=1),
            finished_at=None
            if status == "R"
            else NOON - number * timedelta(minutes=1) + timedelta(seconds=seconds),
        )
        for number, status in enumerate(statuses)
    ]


def job(statuses: str = "S", name: str = "job", seconds: float = 1, **facts: Any) -> JobOverview:
    return describe(name, cells(statuses, seconds), **facts)


def ago(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


def test_a_job_without_runs_has_nothing_to_tell() -> None:
    nothing = job("")

    assert (nothing.finished, nothing.median_seconds, nothing.p95_seconds) == (0, None, None)
    assert (nothing.failing_since, nothing.last_success_at, nothing.severity) == (None, None, None)
    assert state_of(nothing) is JobState.NEVER_RAN


def test_it_fails_since_the_oldest_failure_after_the_last_success() -> None:
    failing = job("RFFSF")

    assert failing.failing_since == ago(2)
    assert failing.last_success_at == ago(3) + SECOND


def test_it_fails_since_the_whole_strip_where_that_shows_no_success() -> None:
    assert job("FFF").failing_since == ago(2)
    assert job("FFF", last_success_at=ago(90)).last_success_at == ago(90)


def test_it_does_not_fail_once_it_has_succeeded() -> None:
    assert job("SFF").failing_since is None
    assert job("RSFF").failing_since is None


def test_a_second_start_that_the_lock_refused_fails_no_job_whose_first_one_succeeds() -> None:
    refused = RunCell(3, "FAILED", "LOCK_CONFLICT", ago(5), ago(5))
    holder = RunCell(2, "SUCCESS", None, ago(10), ago(1))
    before = RunCell(1, "SUCCESS", None, ago(70), ago(60))

    assert state_of(describe("job", [refused, holder, before])) is JobState.OK
    assert describe("job", [refused, holder, before]).failing_since is None
    assert state_of(describe("job", [refused, before])) is JobState.FAILING


def test_what_another_program_calls_its_runs_is_neither_success_nor_failure() -> None:
    strange = job("XFXS")

    assert (strange.finished, strange.succeeded) == (2, 1)
    assert strange.failing_since == ago(1)


def test_durations_are_those_of_runs_that_ended() -> None:
    runs = [
        RunCell(1, "SUCCESS", None, NOON, NOON + timedelta(seconds=seconds))
        for seconds in range(1, 21)
    ]
    told = describe("job", [*cells("R"), *runs])

    assert (told.median_seconds, told.p95_seconds) == (10.5, 19)


def test_a_clock_that_went_back_makes_no_negative_duration() -> None:
    back = RunCell(1, "SUCCESS", None, NOON, NOON - SECOND)

    assert describe("job", [back]).median_seconds == 0


def test_the_loudest_open_alert_counts() -> None:
    alerts = {"low": 2, "high": 1, "DEAFENING": 4}

    assert (job("F", open_alerts=alerts).open_alerts, job(open_alerts=alerts).severity) == (
        7,
        "high",
    )
    assert loudness("DEAFENING") == loudness("medium") > loudness("low") > loudness(None) == 0


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ("F", JobState.FAILING),
        ("RF", JobState.FAILING),
        ("XF", JobState.FAILING),
        ("S", JobState.OK),
        ("SF", JobState.OK),
        ("SFSFS", JobState.FLAPPING),
        ("X", JobState.UNKNOWN),
    ],
)
def test_the_state_is_one_word(statuses: str, state: JobState) -> None:
    assert state_of(job(statuses)) is state


def test_what_runs_and_did_well_is_running() -> None:
    assert state_of(job("RS", running=1, running_since=NOON)) is JobState.RUNNING
    assert state_of(job("R", running=1, running_since=NOON)) is JobState.RUNNING


def test_going_to_and_fro_is_flapping() -> None:
    assert is_flapping(job("SFSF"))
    assert not is_flapping(job("SFFS"))


def test_a_run_is_stuck_when_it_takes_three_times_what_is_usual() -> None:
    usual = job("RSS", seconds=100, running=1, running_since=ago(5))

    assert not is_stuck(usual, now=NOON)
    assert is_stuck(usual, now=NOON + SECOND)
    assert state_of(usual, now=NOON + SECOND) is JobState.STUCK
    assert state_of(usual) is JobState.RUNNING


def test_quick_jobs_get_a_minute_before_they_are_stuck() -> None:
    quick = job("RSS", running=1, running_since=ago(1))

    assert not is_stuck(quick, now=NOON)
    assert is_stuck(quick, now=NOON + SECOND)


def expected(*found: FindingType, due: float | None = None, grace: float = 10) -> ExpectedJob:
    """What is expected of a job, so many minutes ago, and what was found of it."""
    findings = (
        OpenFinding(type=one, incident=1, opened_at=NOON, last_alert_at=NOON) for one in found
    )
    return ExpectedJob(
        every_seconds=600,
        next_due_at=None if due is None else ago(due),
        grace_seconds=60 * grace,
        findings=tuple(findings),
    )


@pytest.mark.parametrize(
    ("statuses", "expectation", "state"),
    [
        ("S", expected(due=-5), JobState.OK),
        ("S", expected(FindingType.MISSED, due=-5), JobState.MISSED),
        ("F", expected(FindingType.MISSED, due=-5), JobState.FAILING),
        ("RS", expected(FindingType.STUCK), JobState.STUCK),
        ("S", expected(FindingType.SLOW), JobState.UNUSUAL),
        ("S", expected(FindingType.WRONG_ZONE), JobState.UNUSUAL),
        ("S", expected(FindingType.EMPTY, FindingType.MISSED), JobState.MISSED),
        ("", expected(due=-5), JobState.NEVER_RAN),
        ("", expected(FindingType.MISSED), JobState.MISSED),
    ],
)
def test_what_is_found_decides_how_a_job_stands(
    statuses: str, expectation: ExpectedJob, state: JobState
) -> None:
    assert state_of(job(statuses, expected=expectation), now=NOON) is state


def test_what_is_found_counts_as_an_open_alert() -> None:
    found = job("S", open_alerts={"medium": 2}, expected=expected(FindingType.MISSED))

    assert (found.open_alerts, found.severity) == (3, "high")


def test_a_start_that_is_due_is_late_until_it_comes() -> None:
    waiting = job("S", expected=expected(due=3))
    lately = describe("job", cells("S"), expected=expected(due=-2))

    assert state_of(describe("job", (), expected=expected(due=3)), now=NOON) is JobState.LATE
    assert state_of(waiting, now=NOON) is JobState.OK  # it began at noon
    assert state_of(lately, now=ago(-3)) is JobState.LATE
    assert state_of(lately) is JobState.OK  # nobody knows what time it is


def test_a_job_that_is_retired_is_never_late() -> None:
    retired = replace(expected(due=3), retired_at=NOON)

    assert state_of(describe("job", (), expected=retired), now=NOON) is JobState.NEVER_RAN


def test_nobody_knows_whether_a_first_run_is_stuck() -> None:
    assert not is_stuck(job("R", running=1, running_since=ago(9999)), now=NOON)


def test_the_worst_comes_first() -> None:
    jobs = [
        job("S", "b fine"),
        job("RS", "stuck", running=1, running_since=ago(60)),
        job("F", "quiet"),
        job("FF", "quiet for longer"),
        job("S", "a fine"),
        job("SFSF", "to and fro"),
        job("F", "medium", open_alerts={"medium": 1}),
        job("F", "loud", open_alerts={"high": 1}),
        job("S", "mended", open_alerts={"high": 5}),
        job("S", "missed", expected=expected(FindingType.MISSED)),
        job("S", "slow", expected=expected(FindingType.SLOW)),
        job("", "late", expected=expected(due=1)),
    ]

    assert [one.job_name for one in worst_first(jobs, now=NOON)] == [
        *("loud", "medium", "quiet", "quiet for longer", "missed", "stuck", "late", "slow"),
        *("to and fro", "a fine", "b fine", "mended"),
    ]
    assert [one.job_name for one in worst_first(jobs)[4:7]] == ["missed", "slow", "to and fro"]


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_bounds_its_share(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)  # type: ignore[operator]


@given(st.lists(st.text("SFRX", max_size=6), max_size=8))
def test_no_job_is_lost_in_the_order(strips: list[str]) -> None:
    jobs = [job(strip, name=str(number)) for number, strip in enumerate(strips)]

    ordered = worst_first(jobs, now=NOON)

    assert sorted(one.job_name for one in ordered) == sorted(one.job_name for one in jobs)


@given(st.lists(st.tuples(st.sampled_from("SFRX"), st.integers(0, 300)), max_size=12))
def test_what_ended_last_comes_first_however_runs_overlap(runs: list[tuple[str, int]]) -> None:
    strip = [cells(status, seconds)[0] for status, seconds in runs]
    strip = [replace(cell, id=100 - place) for place, cell in enumerate(strip)]
    finished = [cell for cell in strip if cell.status in ("SUCCESS", "FAILED")]

    outcomes = describe("job", strip).facts.outcomes

    assert list(outcomes) == sorted(
        finished, key=lambda cell: (cell.finished_at, cell.id), reverse=True
    )


def test_a_strip_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    described = job("SFSFS")
    monkeypatch.setattr(records, "facts_of", lambda _: pytest.fail("worked out again"))

    assert is_flapping(described)
    assert state_of(described, now=NOON) is JobState.FLAPPING
