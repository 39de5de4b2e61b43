"""`lock=True` as a user meets it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard import JobLockActive, run_scope, tracked_run
from runguard._run import heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]


def test_a_second_run_is_refused_before_its_body(url: str, sql: Sql) -> None:
    with (
        run_scope("enrolment_sync", lock=True) as holder,
        pytest.raises(JobLockActive, match="job_lock active") as refused,
        run_scope("enrolment_sync", lock=True),
    ):
        raise AssertionError("the body ran")

    error = refused.value
    assert isinstance(error, RuntimeError)
    assert error.http_status_code == 409
    assert error.locked_by is not None
    assert str(holder.key) in error.locked_by
    assert error.lock_expires_at is not None
    assert f"{error.lock_expires_at:%Y-%m-%dT%H:%M:%SZ}" in str(error)


def test_the_conflict_is_a_failed_run_with_a_low_alert(url: str, sql: Sql) -> None:
    @tracked_run("enrolment_sync", lock=True)
    def job() -> None: ...

    with (
        run_scope("enrolment_sync", lock=True),
        pytest.raises(JobLockActive) as refused,
    ):
        job()

    [row] = sql("select * from run_log where status = 'FAILED'")
    assert refused.value.run_id == row["id"]
    assert (row["error_group"], row["http_status_code"]) == ("LOCK_CONFLICT", 409)
    assert row["finished_at"] is not None
    assert "job_lock active" in row["error_message"]
    [alert] = sql("select source_id, severity from alert")
    assert alert == {"source_id": "enrolment_sync:LOCK_CONFLICT", "severity": "low"}


def test_a_conflict_may_be_kept_from_alerting(sqlite_url: str, sql: Sql) -> None:
    with (
        run_scope("enrolment_sync", lock=True),
        pytest.raises(JobLockActive),
        run_scope("enrolment_sync", lock=True, no_alert_on=JobLockActive),
    ):
        pass

    assert sql("select count(*) as n from alert") == [{"n": 0}]


@pytest.mark.parametrize("fails", [False, True])
def test_the_lock_is_free_after_the_run_however_it_ended(
    url: str, sql: Sql, *, fails: bool
) -> None:
    def job() -> None:
        with run_scope("enrolment_sync", lock=True):
            if fails:
                raise ValueError("bad input")

    for _ in range(2):
        if fails:
            with pytest.raises(ValueError, match="bad input"):
                job()
        else:
            job()

    assert sql("select count(*) as n from run_log where error_group = 'LOCK_CONFLICT'") == [
        {"n": 0}
    ]


def test_the_fence_grows_with_each_holder(url: str) -> None:
    fences = []
    for _ in range(3):
        with run_scope("enrolment_sync", lock=True) as run:
            fences.append(run.fence)

    assert fences == sorted(set(fences))
    with run_scope("enrolment_sync") as run:
        assert run.fence is None


def test_the_lease_is_renewed_while_the_body_runs(
    url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "RENEWALS_PER_TTL", 300)
    ttl = timedelta(minutes=1)  # far longer than a machine may hold a thread up
    with run_scope("enrolment_sync", lock=True, lock_ttl=ttl) as run:
        first = sql("select lock_expires_at from job_lock")
        for _ in range(100):
            if sql("select lock_expires_at from job_lock") != first:
                break
            threading.Event().wait(0.05)
        assert sql("select lock_expires_at from job_lock") != first
        with pytest.raises(JobLockActive), run_scope("enrolment_sync", lock=True):
            pass

    assert not run.lock_lost


def test_a_holder_that_lost_its_lease_learns_it(
    url: str, sql: Sql, events: Callable[[], list[tuple[str, dict[str, Any]]]]
) -> None:
    with run_scope("enrolment_sync", lock=True) as run:
        sql("update job_lock set locked_by = 'another'")

    assert run.lock_lost
    assert "runguard.lock_lost" in [event for event, _ in events()]
    assert sql("select locked_by from job_lock") == [{"locked_by": "another"}]


def test_one_thread_keeps_all_leases(sqlite_url: str) -> None:
    before = {*threading.enumerate()}  # one of a test before may be about to end
    with run_scope("one", lock=True), run_scope("two", lock=True):
        new = {*threading.enumerate()} - before
        keepers = [t for t in new if t.name == "runguard-heartbeat" and t.daemon]

    assert len(keepers) == 1


def test_two_jobs_do_not_hinder_each_other(sqlite_url: str, sql: Sql) -> None:
    with run_scope("one", lock=True), run_scope("two", lock=True):
        pass

    assert {row["status"] for row in sql("select status from run_log")} == {"SUCCESS"}


async def test_async_runs_take_the_same_lock(url: str, sql: Sql) -> None:
    async with run_scope("enrolment_sync", lock=True):
        with pytest.raises(JobLockActive):
            async with run_scope("enrolment_sync", lock=True):
                raise AssertionError("the body ran")

    assert sql("select status from run_log order by id") == [
        {"status": "SUCCESS"},
        {"status": "FAILED"},
    ]
