"""Conformance: who ran when, read for a timeline and for a calendar, within bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from runguard._monitor.timeline import ZOOMS, MissedStarts, Window, lane_of, window_of
from runguard._store.queries import timeline as queries
from runguard._store.queries.jobs import JobKey
from tests.store.test_operator_queries import foreign_alert, foreign_run, spelled

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = Window(NOON - 24 * HOUR, NOON, 10 * MINUTE)


def run_at(
    back_door: BackDoor,
    job_name: str,
    start: datetime,
    took: timedelta | None = MINUTE,
    **values: Any,
) -> int:
    return foreign_run(
        back_door,
        **{"job_name": job_name, "status": "SUCCESS", **values},
        started_at=spelled(back_door, start),
        finished_at=None if took is None else spelled(back_door, start + took),
    )


def jobs(*names: str) -> list[JobKey]:
    return [JobKey(name) for name in names]


@pytest.fixture
def one_run_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_RUNS", 1)


def test_the_runs_of_each_job_come_with_those_that_reach_into_the_window(
    store: OperatorStore, back_door: BackDoor
) -> None:
    before = run_at(back_door, "long", NOON - 26 * HOUR, 4 * HOUR)
    run_at(back_door, "long", NOON - 30 * HOUR)
    inside = run_at(back_door, "long", NOON - HOUR, status="FAILED", error_group="TIMEOUT")
    stuck = run_at(back_door, "stuck", NOON - 90 * HOUR, None, status="RUNNING")
    for hours in range(25, 30):
        run_at(back_door, "stuck", NOON - hours * HOUR)
    run_at(back_door, "stuck", NOON + HOUR)
    run_at(back_door, "another", NOON - HOUR)

    long, never, stuck_facts = store.timeline(jobs("long", "never", "stuck"), DAY)

    assert {cell.id for cell in long.runs} == {before, inside}
    assert {cell.error_group for cell in long.runs} == {None, "TIMEOUT"}
    assert (never.job_name, never.runs, never.slices) == ("never", (), ())
    assert [cell.id for cell in stuck_facts.runs] == [stuck]
    assert stuck_facts.runs[0].started_at == NOON - 90 * HOUR


@pytest.mark.usefixtures("one_run_is_many")
def test_a_job_that_runs_often_is_counted_slice_by_slice(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for minutes in (61, 62, 63, 5):
        run_at(back_door, "often", NOON - minutes * MINUTE, 2 * MINUTE)
    run_at(back_door, "often", NOON - 64 * MINUTE, status="FAILED", error_group="HTTP_5XX")
    open_run = run_at(back_door, "often", NOON - 4 * MINUTE, None, status="RUNNING")
    run_at(back_door, "seldom", NOON - HOUR)

    often, seldom = store.timeline(jobs("often", "seldom"), DAY)

    first, last = often.slices
    assert (first.starts_at, first.runs, first.is_all) == (NOON - 70 * MINUTE, 4, True)
    assert first.failures == {"HTTP_5XX": 1}
    assert first.last_started_at == NOON - 61 * MINUTE
    assert first.last_ended_at == NOON - 59 * MINUTE
    assert (last.runs, last.last_ended_at, last.failures) == (2, None, {})
    assert [cell.id for cell in often.runs] == [open_run]
    assert len(seldom.runs) == 1


@pytest.mark.usefixtures("one_run_is_many")
def test_the_counting_has_an_end_in_each_slice(
    store: OperatorStore, back_door: BackDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_COUNTED", 2)
    for minutes in (1, 2, 3):
        run_at(back_door, "often", NOON - minutes * MINUTE, status="FAILED", error_group=None)

    [often] = store.timeline(jobs("often"), DAY)

    assert [(one.runs, one.is_all, one.failures) for one in often.slices] == [(2, False, {None: 3})]


@pytest.mark.usefixtures("one_run_is_many")
def test_of_very_many_failures_the_newest_are_looked_at_and_the_rest_is_not_called_good(
    store: OperatorStore, back_door: BackDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_FAILURES", 2)
    for job_name, minutes in (("often", 95), ("often", 65), ("often", 5), ("storm", 3)):
        run_at(back_door, job_name, NOON - minutes * MINUTE, status="FAILED", error_group="TIMEOUT")

    [often] = store.timeline(jobs("often"), DAY)
    counted, looked_to = store.failures_between(JobKey("often"), NOON - 3 * HOUR, NOON, bucket=HOUR)

    assert [(one.is_judged, one.failures) for one in often.slices] == [
        (False, {}),
        (False, {}),
        (False, {"TIMEOUT": 1}),  # the oldest that was looked at is in it
    ]
    assert (counted, looked_to) == ([(NOON - HOUR, 1)], NOON - 5 * MINUTE)
    monkeypatch.undo()
    counted_all = store.failures_between(JobKey("often"), NOON - 3 * HOUR, NOON, bucket=HOUR)
    assert (sorted(counted_all[0]), counted_all[1]) == (
        [(NOON - 2 * HOUR, 2), (NOON - HOUR, 1)],
        None,
    )


@pytest.mark.usefixtures("one_run_is_many")
def test_any_number_of_jobs_and_runs_takes_three_statements(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for number in range(6):
        for minutes in (1, 2):
            run_at(back_door, f"job {number}", NOON - minutes * MINUTE)
    sent: list[str] = []
    store.timeline(jobs("nobody"), DAY)
    event.listen(store.engine, "before_cursor_execute", lambda _c, _u, sql, *_: sent.append(sql))

    found = store.timeline(jobs(*(f"job {number}" for number in range(6))), DAY)

    assert all(facts.slices for facts in found)
    statements = [one for one in sent if not one.lower().startswith(("pragma", "set ", "begin"))]
    assert len(statements) == 3


def test_no_jobs_take_no_statement(store: OperatorStore) -> None:
    assert store.timeline([], DAY) == []
    assert store.missed_starts([], since=NOON, until=NOON) == {}


def test_runs_are_counted_between_given_times(store: OperatorStore, back_door: BackDoor) -> None:
    for hours in (1, 2, 3, 30, 60):
        run_at(back_door, "job", NOON - hours * HOUR)
    days = [NOON - timedelta(days=number) for number in (3, 2, 1, 0)]

    assert store.runs_between(JobKey("job"), days) == [(days[0], 1), (days[1], 1), (days[2], 3)]
    assert store.runs_between(JobKey("job"), days, most=2)[-1] == (days[2], 2)
    assert store.first_start_of("job") == NOON - 60 * HOUR
    assert store.first_start_of("nobody") is None


@pytest.mark.parametrize(
    ("detail", "due"),
    [
        ('{"first_due": "2026-03-01T02:00:00Z", "due": "2026-03-01T04:00:00+00:00"}', (2, 4)),
        ('{"first_due": "the third", "due": "2026-03-01T12:00:00+09:00"}', (3,)),
        ('{"first_due": 7, "due": "2026-03-01"}', (11,)),
        ("[]", (11,)),
    ],
)
def test_a_missed_start_is_when_it_was_due(
    store: OperatorStore, back_door: BackDoor, detail: str, due: tuple[int, ...]
) -> None:
    for source_id in ("job", "job@staging"):
        foreign_alert(
            back_door,
            source_type="job",
            source_id=source_id,
            alert_type="MISSED",
            detail=detail,
            created_at=spelled(back_door, NOON - HOUR),
        )

    found = store.missed_starts(["job"], since=NOON - 24 * HOUR, until=NOON)

    first, last = NOON.replace(hour=due[0]), NOON.replace(hour=due[-1])
    assert found == {"job": [MissedStarts(first, last, len(due))]}
    assert store.missed_starts(["job"], since=NOON, until=NOON + HOUR) == {}


def test_the_newest_alert_of_a_finding_says_how_far_its_missed_starts_go(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for hours_ago, due, missed in ((1, "11:00", 8), (3, "04:00", 1)):
        first = '"first_due": "2026-03-01T04:00:00Z"'
        foreign_alert(
            back_door,
            source_type="job",
            source_id="job",
            alert_type="MISSED",
            detail=f'{{{first}, "due": "2026-03-01T{due}:00Z", "missed": {missed}}}',
            created_at=spelled(back_door, NOON - hours_ago * HOUR),
        )

    found = store.missed_starts(["job"], since=NOON - 24 * HOUR, until=NOON)

    assert found == {"job": [MissedStarts(NOON - 8 * HOUR, NOON - HOUR, 8)]}


@pytest.mark.parametrize("most_runs", [1, 200])
def test_jobs_of_one_name_in_several_environments_are_apart(
    store: OperatorStore,
    back_door: BackDoor,
    monkeypatch: pytest.MonkeyPatch,
    most_runs: int,
) -> None:
    monkeypatch.setattr(queries, "MOST_RUNS", most_runs)
    for minutes, environment in ((1, None), (2, "staging"), (3, "staging"), (4, None), (5, None)):
        run_at(
            back_door,
            "job",
            NOON - minutes * MINUTE,
            environment=environment,
            status="FAILED" if environment else "SUCCESS",
            error_group="TIMEOUT" if environment else None,
        )
    keys = [JobKey("job", "staging"), JobKey("job"), JobKey("job", "nowhere")]

    staging, plain, nowhere = store.timeline(keys, DAY, is_shared=True)

    lanes = [lane_of(one, DAY, now=NOON) for one in (staging, plain, nowhere)]
    assert [one.environment for one in lanes] == ["staging", None, "nowhere"]
    assert [(one.runs, one.failures) for one in lanes] == [(2, 2), (3, 0), (0, 0)]
    day = [NOON - HOUR, NOON]
    assert store.runs_between(keys[0], day, is_shared=True) == [(day[0], 2)]
    assert store.runs_between(keys[1], day) == [(day[0], 5)]


def test_every_window_has_fewer_slices_than_runs_that_are_read_one_by_one() -> None:
    # Else a job that runs at an even pace would seem to have gaps.
    for zoom in ZOOMS:
        assert len(window_of(zoom, now=NOON).starts()) <= queries.MOST_RUNS
