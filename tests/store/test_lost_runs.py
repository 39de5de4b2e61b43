"""Conformance: heartbeats, and the runs that fell silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._models import (
    AlertOutcome,
    Counters,
    ErrorGroup,
    Lease,
    LockHolder,
    NewRun,
    SpooledRun,
)
from runguard._run.reaper import reap
from runguard._settings import Settings
from runguard._store.read_back import lost_runs_from
from runguard._store.rows import NOTHING
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.stores import newest_alerts, newest_runs

if TYPE_CHECKING:
    from runguard._monitor.lost_run import LostRun
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

SETTINGS = Settings()
FIVE_MINUTES = 301
TTL = timedelta(seconds=900)


def start(store: OperatorStore, job_name: str = "enrolment_sync") -> NewRun:
    run = new_run(job_name)
    store.start_run(run, timeout=TIMEOUT)
    return run


def reap_all(store: OperatorStore, job_name: str | None = None) -> list[LostRun]:
    return list(reap(store, SETTINGS, job_name=job_name))


def test_a_silent_run_is_closed_and_told(store: OperatorStore, back_door: BackDoor) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)

    [lost] = reap_all(store)
    assert lost.key == run.key
    [record] = newest_runs(store)
    assert (record.status, record.error_group) == ("FAILED", "UNKNOWN")
    assert record.error_message is not None
    assert "from host host-1, pid 4711" in record.error_message
    assert f"{lost.last_heard_at:%Y-%m-%d %H:%M:%S} UTC" in record.error_message
    assert record.alert_outcome == "raised"
    assert record.created_alerts == 1
    row = back_door.row("select lost_at, finished_at from run_log")
    assert row["lost_at"] == row["finished_at"] is not None
    [pair] = store.failed_runs_with_alerts(limit=9)
    assert pair.alert is not None
    assert pair.alert.source_id == "enrolment_sync:UNKNOWN"
    assert pair.alert.detail is not None
    assert pair.alert.detail["run_id"] == record.id


def test_a_beating_run_is_left_alone_however_old(store: OperatorStore, back_door: BackDoor) -> None:
    run = start(store)
    back_door.age("run_log.started_at", 86_400)
    store.beat([run.key], timeout=TIMEOUT)

    assert reap_all(store) == []


def test_silence_after_a_heartbeat_counts(store: OperatorStore, back_door: BackDoor) -> None:
    run = start(store)
    store.beat([run.key], timeout=TIMEOUT)
    back_door.age("run_log.heartbeat_at", FIVE_MINUTES)

    assert [lost.key for lost in reap_all(store)] == [run.key]


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown", "known"])
def test_a_start_that_comes_after_a_long_outage_is_a_sign_of_life(
    store: OperatorStore, back_door: BackDoor, *, is_known: bool
) -> None:
    run = new_run()
    if is_known:  # the store took it, and its answer was lost
        store.start_run(run, timeout=TIMEOUT)
        back_door.age("run_log.started_at", FIVE_MINUTES)
    long_ago = datetime.now(UTC) - timedelta(minutes=10)

    store.replay_run(SpooledRun(run, long_ago), timeout=TIMEOUT)

    assert reap_all(store) == []


def test_a_start_that_comes_late_and_is_silent_from_then_on_is_lost(
    store: OperatorStore, back_door: BackDoor
) -> None:
    store.replay_run(SpooledRun(new_run(), datetime.now(UTC)), timeout=TIMEOUT)
    back_door.age("run_log.heartbeat_at", FIVE_MINUTES)

    assert len(reap_all(store)) == 1


def test_a_run_within_the_limit_is_left_alone(store: OperatorStore, back_door: BackDoor) -> None:
    start(store)
    back_door.age("run_log.started_at", 295)

    assert reap_all(store) == []


def test_one_statement_beats_for_many_and_for_open_runs_only(
    store: OperatorStore, back_door: BackDoor
) -> None:
    runs = [start(store) for _ in range(3)]
    store.finish_run(success(runs[0]), timeout=TIMEOUT)
    store.beat([run.key for run in runs], timeout=TIMEOUT)

    rows = back_door.rows("select heartbeat_at is not null as beat from run_log order by id")
    assert [bool(row["beat"]) for row in rows] == [False, True, True]


def test_rows_of_other_programs_are_never_touched(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows("insert into run_log (job_name, status) values ('foreign', 'RUNNING')")
    back_door.age("run_log.started_at", 86_400)

    assert reap_all(store) == []
    assert back_door.row("select status from run_log") == {"status": "RUNNING"}


def test_only_the_asked_job_is_reaped(store: OperatorStore, back_door: BackDoor) -> None:
    start(store, "one")
    start(store, "two")
    back_door.age("run_log.started_at", FIVE_MINUTES)

    assert [lost.job_name for lost in reap_all(store, "one")] == ["one"]


def test_many_lost_runs_of_a_job_are_one_alert(store: OperatorStore, back_door: BackDoor) -> None:
    for _ in range(5):
        start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)

    assert len(reap_all(store)) == 5
    assert len(newest_alerts(store)) == 1


def test_reaping_twice_closes_once(store: OperatorStore, back_door: BackDoor) -> None:
    start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)

    assert reap_all(store) == []


def test_a_run_that_beats_again_before_it_is_closed_stays_open(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    [lost] = store.find_lost_runs(
        silent_for=SETTINGS.lost_after, job_name=None, limit=9, timeout=TIMEOUT
    )
    store.beat([run.key], timeout=TIMEOUT)

    closed = store.close_lost_run(
        lost, failure(run), silent_for=SETTINGS.lost_after, timeout=TIMEOUT
    )
    assert not closed.recorded
    assert newest_alerts(store) == []


def test_a_lost_holders_lock_is_freed(store: OperatorStore, back_door: BackDoor) -> None:
    run = start(store)
    owner = f"host-1:4711:{run.key}"
    store.acquire_lock("enrolment_sync", owner, TTL, timeout=TIMEOUT)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)

    taken = store.acquire_lock("enrolment_sync", "next", TTL, timeout=TIMEOUT)
    assert isinstance(taken, Lease)


def test_anothers_lock_is_not_freed(store: OperatorStore, back_door: BackDoor) -> None:
    start(store)
    store.acquire_lock("enrolment_sync", "another", TTL, timeout=TIMEOUT)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)

    taken = store.acquire_lock("enrolment_sync", "next", TTL, timeout=TIMEOUT)
    assert isinstance(taken, LockHolder)


def test_a_run_that_comes_back_takes_its_real_success(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)
    back_door.age("run_log.finished_at", 1)
    back_door.age("run_log.lost_at", 1)
    finished = store.finish_run(success(run, Counters(total_records=7)), timeout=TIMEOUT)

    assert finished.recorded
    [record] = newest_runs(store)
    assert (record.status, record.total_records, record.alert_outcome) == ("SUCCESS", 7, "none")
    assert (record.error_message, record.error_group, record.covered_by) == (None, None, None)
    assert back_door.row("select lost_at is not null as lost from run_log")["lost"]
    assert len(newest_alerts(store)) == 1  # the alert stays


def test_a_run_that_comes_back_fails_for_its_real_reason(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)
    back_door.age("run_log.finished_at", 1)
    back_door.age("run_log.lost_at", 1)
    other_group = store.finish_run(failure(run), timeout=TIMEOUT)

    assert other_group.verdict.outcome is AlertOutcome.RAISED
    [record] = newest_runs(store)
    assert record.error_group == "HTTP_5XX"


def test_no_second_alert_of_the_same_key_when_it_comes_back(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)
    back_door.age("run_log.finished_at", 1)
    back_door.age("run_log.lost_at", 1)
    same_group = store.finish_run(failure(run, group=ErrorGroup.UNKNOWN), timeout=TIMEOUT)

    assert same_group.verdict.outcome is AlertOutcome.SUPPRESSED
    assert len(newest_alerts(store)) == 1


def test_a_run_comes_back_once(store: OperatorStore, back_door: BackDoor) -> None:
    run = start(store)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    reap_all(store)
    back_door.age("run_log.finished_at", 1)
    back_door.age("run_log.lost_at", 1)
    store.finish_run(success(run), timeout=TIMEOUT)

    assert not store.finish_run(failure(run), timeout=TIMEOUT).recorded


def test_lost_runs_that_another_has_closed_meanwhile_are_none(store: OperatorStore) -> None:
    with store.engine.connect() as connection:
        assert lost_runs_from(connection, NOTHING, []) == []
