"""RQ: a real Redis, real workers: in this thread, and `rq worker` with its work-horses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import rq
from redis import Redis
from rq import Queue, Retry, cron
from rq.command import send_stop_job_command

import runguard
from runguard import current_run, tracked_run
from runguard._run.options import EXPECTED
from runguard.integrations._schedules import announcer
from runguard.integrations.rq import SimpleWorker, _death_of, register
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

RUNS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log order by id"
HERE = __name__


def sync() -> None:
    raise ValueError("HTTP 503")


async def count() -> None:
    run = current_run()
    assert run is not None
    run.total_records = 512


def ask_again() -> Retry:
    return Retry(max=1)


def endless() -> None:
    threading.Event().wait()


def ping_upstream() -> None: ...


@tracked_run("decorated")
def tracked() -> None: ...


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_stopped() -> None:
    job = rq.get_current_job()
    assert job is not None
    send_stop_job_command(job.connection, job.id)
    threading.Event().wait()


@tracked_run("decorated")
def dies_tracked() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def queue(redis_url: str, store_url: str) -> Iterator[Queue]:
    with Redis.from_url(redis_url) as connection:
        yield Queue(connection=connection)


def work(queue: Queue, kind: type[SimpleWorker] = SimpleWorker) -> None:
    """Let a worker do all that is queued."""
    worker = kind([queue], connection=queue.connection)
    worker._install_signal_handlers = lambda: None  # they are pytest's
    worker.work(burst=True, logging_level="ERROR")


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql(RUNS)]


def test_each_attempt_is_a_run_and_only_the_last_one_alerts(queue: Queue, sql: Sql) -> None:
    queue.enqueue(sync, retry=Retry(max=2))
    work(queue)

    name = f"{HERE}.sync"
    assert outcomes(sql) == [
        (name, "FAILED", "MANUAL", 0, "excluded"),
        (name, "FAILED", "RETRY", 1, "excluded"),
        (name, "FAILED", "RETRY", 2, "raised"),
    ]
    assert sql("select max(error_location) as it from run_log")[0]["it"].endswith("in sync")
    kept = json.loads(sql("select context from run_note order by created_at")[2]["context"])
    assert sorted(kept) == ["attempt", "job_id", "queue"]
    assert kept["attempt"] == 3


def test_a_retry_that_nobody_makes_any_more_alerts(queue: Queue, sql: Sql) -> None:
    queue.enqueue(ask_again)
    work(queue)

    assert [run[1:] for run in outcomes(sql)] == [
        ("FAILED", "MANUAL", 0, "excluded"),
        ("FAILED", "RETRY", 1, "raised"),
    ]
    types = [run["error_type"] for run in sql("select error_type from run_log order by id")]
    assert types == [
        "runguard.integrations.RetryReturned",
        "runguard.integrations.RetriesExhausted",
    ]


def test_a_coroutine_function_finds_its_run(queue: Queue, sql: Sql) -> None:
    queue.enqueue(count)
    work(queue)

    assert sql("select status, total_records as n from run_log") == [
        {"status": "SUCCESS", "n": 512}
    ]


def test_a_function_that_cannot_be_imported_is_a_failed_run(queue: Queue, sql: Sql) -> None:
    queue.enqueue(f"{HERE}.nothing_of_this_name")
    work(queue)

    assert outcomes(sql) == [(f"{HERE}.nothing_of_this_name", "FAILED", "MANUAL", 0, "raised")]


def test_a_timeout_of_the_job_is_a_timeout(queue: Queue, sql: Sql) -> None:
    queue.enqueue(count)  # it opens the store, which takes time
    queue.enqueue(endless, job_timeout=1)
    work(queue)

    _, run = sql("select status, error_group, error_reason, alert_outcome from run_log order by id")
    assert tuple(run.values()) == ("FAILED", "TIMEOUT", "time_limit", "raised")


def test_the_choice_names_runs_and_leaves_out_others(queue: Queue, sql: Sql) -> None:
    class Chosen(SimpleWorker):
        runguard_name = {f"{HERE}.sync": "enrolment_sync"}  # noqa: RUF012 - it stays as it is
        runguard_skip = "*.ping_*"
        runguard_options = {"no_alert_on": ValueError}  # noqa: RUF012

    for function in (sync, ping_upstream, tracked):
        queue.enqueue(function)
    work(queue, Chosen)

    assert [run[:2] + run[4:] for run in outcomes(sql)] == [
        ("enrolment_sync", "FAILED", "excluded"),
        ("decorated", "SUCCESS", "none"),
    ]


def test_a_cron_job_is_scheduled_and_expected_when_it_says(
    queue: Queue, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    register(count, "default", cron="0 2 * * *")
    register(ping_upstream, "default", interval=90)
    for job in cron.create_cron(queue.connection).get_jobs():
        job.enqueue(queue.connection)
    work(queue)
    while (thread := announcer()._thread) is not None:
        thread.join(60)
    EXPECTED.clear()

    expected = sql("select job_name, expectation from job")
    assert {row["job_name"]: json.loads(row["expectation"]) for row in expected} == {
        f"{HERE}.count": {"cron": "0 2 * * *", "tz": "Asia/Seoul"},
        f"{HERE}.ping_upstream": {"every": 90.0},
    }
    assert [run[2] for run in outcomes(sql)] == ["SCHEDULER", "SCHEDULER"]


def test_a_job_does_its_work_while_the_store_is_away(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere", store_timeout=timedelta(seconds=0.2)
    )
    with Redis.from_url(redis_url) as connection:
        queue = Queue(connection=connection)
        job = queue.enqueue(count)
        work(queue)

        assert job.get_status() == "finished"
    assert "runguard.internal_error" in caplog.text


@pytest.mark.parametrize(("signum", "name"), [(9, "SIGKILL"), (40, "signal 40")])
def test_the_signal_that_killed_a_horse_is_named(signum: int, name: str) -> None:
    assert _death_of(signum) == f"the work-horse was killed by {name}"


def test_the_run_of_a_horse_that_dies_is_closed_by_its_parent(
    queue: Queue, redis_url: str, sql: Sql
) -> None:
    queue.enqueue(dies, retry=Retry(max=1))
    queue.enqueue(is_stopped)
    queue.enqueue(dies_tracked)
    worker = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", redis_url]
    subprocess.run(
        [*worker, "--worker-class", "runguard.integrations.rq.Worker"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )

    runs = sql(
        "select job_name, status, trigger_type, error_reason, error_message, alert_outcome"
        " from run_log order by started_at, id"
    )
    killed = "the work-horse was killed by SIGKILL"
    stopped = "the job was stopped on request; its work-horse was killed"
    assert sorted(tuple(run.values()) for run in runs) == [
        ("decorated", "RUNNING", "MANUAL", None, None, None),
        (f"{HERE}.dies", "FAILED", "MANUAL", "killed", killed, "excluded"),
        (f"{HERE}.dies", "FAILED", "RETRY", "killed", killed, "raised"),
        (f"{HERE}.is_stopped", "FAILED", "MANUAL", "cancelled", stopped, "excluded"),
    ]


def test_a_job_does_nothing_where_its_run_must_not_begin(
    redis_url: str, store_that_refuses: None
) -> None:
    with Redis.from_url(redis_url) as connection:
        queue = Queue(connection=connection)
        job = queue.enqueue(ping_upstream)
        work(queue)

        assert "StoreUnavailable" in str(job.latest_result().exc_string)
