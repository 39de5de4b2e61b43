"""Conformance: what every store does with runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._models import AlertOutcome, Counters, ErrorGroup
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import newest_alerts, newest_runs

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor


@pytest.fixture(params=["postgresql", "pgbouncer", "sqlite", "sqlite-core"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_started_run_is_running_and_committed(store: OperatorStore, back_door: BackDoor) -> None:
    run = new_run()
    run_id = store.start_run(run, timeout=TIMEOUT)

    row = back_door.row("select * from run_log")
    assert row["id"] == run_id
    assert row["status"] == "RUNNING"
    assert row["job_name"] == "enrolment_sync"
    assert row["trigger_type"] == "SCHEDULER"
    assert (row["host"], row["pid"]) == ("host-1", 4711)
    assert row["finished_at"] is None


def test_starting_twice_is_one_row(store: OperatorStore, back_door: BackDoor) -> None:
    run = new_run()

    assert store.start_run(run, timeout=TIMEOUT) == store.start_run(run, timeout=TIMEOUT)
    assert back_door.row("select count(*) as n from run_log")["n"] == 1


def test_times_come_from_the_database_and_are_aware(store: OperatorStore) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(success(run), timeout=TIMEOUT)

    [record] = newest_runs(store, limit=1)
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.started_at.tzinfo is UTC
    assert timedelta(0) <= record.finished_at - record.started_at < timedelta(minutes=1)
    assert abs(datetime.now(UTC) - record.started_at) < timedelta(minutes=1)


def test_a_success_keeps_the_counters_and_has_nothing_to_alert(store: OperatorStore) -> None:
    run = new_run()
    run_id = store.start_run(run, timeout=TIMEOUT)
    finished = store.finish_run(success(run, Counters(512, 12, 2, 1)), timeout=TIMEOUT)

    assert finished.recorded
    assert finished.run_id == run_id
    assert finished.verdict.outcome is AlertOutcome.NONE
    [record] = newest_runs(store, limit=1)
    assert record.status == "SUCCESS"
    assert record.alert_outcome == "none"
    assert (record.total_records, record.changed_records) == (512, 12)
    assert (record.created_alerts, record.retry_count) == (2, 1)
    assert record.error_message is None


def test_a_failure_keeps_why_and_raises_its_alert(store: OperatorStore) -> None:
    run = new_run()
    run_id = store.start_run(run, timeout=TIMEOUT)
    finished = store.finish_run(failure(run, counters=Counters(9, 8, 2, 7)), timeout=TIMEOUT)

    [record] = newest_runs(store, limit=1)
    assert record.status == "FAILED"
    assert record.error_group == "HTTP_5XX"
    assert record.http_status_code == 503
    assert record.error_type == "httpx.HTTPStatusError"
    assert record.error_message == "HTTP 503"
    assert record.error_location == "job.py:7 in pull"
    assert record.matched_by == "a test"
    assert record.cooldown_seconds == 1800
    assert record.alert_outcome == "raised"
    assert record.covered_by is None
    assert record.created_alerts == 3  # the job's own two, and this one
    [alert] = newest_alerts(store, limit=1)
    assert finished.verdict.alert_id == alert.id
    assert (alert.source_type, alert.source_id) == ("run_log", "enrolment_sync:HTTP_5XX")
    assert (alert.alert_type, alert.severity) == ("FAILED", "high")
    assert (alert.review_status, alert.resolved) == ("AUTO", False)
    assert alert.detail is not None
    assert alert.detail["run_id"] == run_id
    assert alert.detail["job_name"] == "enrolment_sync"
    assert alert.detail["error_group"] == "HTTP_5XX"
    assert alert.detail["http_status_code"] == 503
    assert alert.detail["error_message"] == "HTTP 503"


def test_an_excluded_failure_is_recorded_without_an_alert(store: OperatorStore) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    finished = store.finish_run(failure(run, alerts=False), timeout=TIMEOUT)

    assert finished.verdict.outcome is AlertOutcome.EXCLUDED
    [record] = newest_runs(store, limit=1)
    assert (record.status, record.alert_outcome) == ("FAILED", "excluded")
    assert record.error_message == "HTTP 503"
    assert newest_alerts(store, limit=1) == []


@pytest.mark.parametrize("first_ending", [success, failure])
@pytest.mark.parametrize("second_ending", [success, failure])
def test_a_finished_run_never_changes_again(
    store: OperatorStore, first_ending: type, second_ending: type
) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(first_ending(run), timeout=TIMEOUT)
    before = (newest_runs(store), newest_alerts(store))

    assert not store.finish_run(second_ending(run), timeout=TIMEOUT).recorded
    assert (newest_runs(store), newest_alerts(store)) == before


def test_an_unknown_run_cannot_be_finished(store: OperatorStore) -> None:
    assert not store.finish_run(failure(new_run()), timeout=TIMEOUT).recorded
    assert newest_alerts(store, limit=1) == []


def test_a_refused_run_is_failed_from_the_first_moment(store: OperatorStore) -> None:
    run = new_run()
    ending = failure(run, group=ErrorGroup.LOCK_CONFLICT)
    finished = store.record_refused_run(run, ending, timeout=TIMEOUT)

    [record] = newest_runs(store)
    assert finished.run_id == record.id
    assert (record.status, record.error_group) == ("FAILED", "LOCK_CONFLICT")
    assert record.finished_at is not None
    assert record.created_alerts == 1
    [alert] = newest_alerts(store)
    assert alert.severity == "low"
    assert alert.detail is not None
    assert alert.detail["run_id"] == record.id


def test_a_refused_run_without_an_alert_is_recorded(store: OperatorStore) -> None:
    run = new_run()
    finished = store.record_refused_run(run, failure(run, alerts=False), timeout=TIMEOUT)

    assert finished.verdict.outcome is AlertOutcome.EXCLUDED
    [record] = newest_runs(store)
    assert (record.status, record.alert_outcome) == ("FAILED", "excluded")


@pytest.mark.parametrize("alerts", [True, False])
def test_refusing_a_run_twice_is_one_row_and_one_alert(
    store: OperatorStore, *, alerts: bool
) -> None:
    run = new_run()
    ending = failure(run, alerts=alerts)
    store.record_refused_run(run, ending, timeout=TIMEOUT)
    store.record_refused_run(run, ending, timeout=TIMEOUT)

    assert len(newest_runs(store)) == 1
    assert len(newest_alerts(store)) == alerts


def test_the_largest_count_is_stored(store: OperatorStore) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(success(run, Counters(2**63 - 1)), timeout=TIMEOUT)

    [record] = newest_runs(store, limit=1)
    assert record.total_records == 2**63 - 1


@pytest.mark.parametrize(
    "message", ["%s %(x)s :name", "'; drop table run_log; --", '{"a": "b"}', "등록 실패", "a\nb"]
)
def test_any_text_comes_back_as_it_was(store: OperatorStore, message: str) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(failure(run, message=message), timeout=TIMEOUT)

    [record] = newest_runs(store, limit=1)
    [alert] = newest_alerts(store, limit=1)
    assert record.error_message == message
    assert alert.detail is not None
    assert alert.detail["error_message"] == message


def test_a_jobs_own_alert_is_written_as_given(store: OperatorStore) -> None:
    verdict = store.raise_alert(own_alert(), timeout=TIMEOUT)

    [alert] = newest_alerts(store)
    assert verdict.outcome is AlertOutcome.RAISED
    assert verdict.alert_id == alert.id
    assert (alert.source_type, alert.source_id) == ("student", "student-1")
    assert (alert.alert_type, alert.severity) == ("NEW", "low")
    assert (alert.title, alert.message) == ("A new student", "student-1 came")
    assert alert.detail == {"term": "2026-2"}
