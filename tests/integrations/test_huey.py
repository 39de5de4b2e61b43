"""Huey: a real Redis, and the loop of a real worker in this thread."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from huey import CancelExecution, RedisHuey, RetryTask, crontab
from huey.exceptions import TaskException

import runguard
from runguard import current_run, tracked_run
from runguard._run.options import EXPECTED
from runguard.integrations._schedules import announcer
from runguard.integrations.huey import install

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]

RUNS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log order by id"
HERE = __name__


@pytest.fixture
def huey(redis_url: str, store_url: str) -> RedisHuey:
    huey = RedisHuey(url=redis_url, blocking=False)
    install(huey)
    return huey


def work(huey: RedisHuey) -> None:
    """Let a worker do all that is queued."""
    worker, _ = huey.create_consumer(workers=1).worker_threads[0]
    worker.initialize()
    while len(huey):
        worker.loop()


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql(RUNS)]


def test_each_attempt_is_a_run_and_only_the_last_one_alerts(huey: RedisHuey, sql: Sql) -> None:
    @huey.task(retries=2)
    def sync() -> None:
        raise ValueError("HTTP 503")

    sync()
    work(huey)

    name = f"{HERE}.sync"
    assert outcomes(sql) == [
        (name, "FAILED", "MANUAL", 0, "excluded"),
        (name, "FAILED", "RETRY", 1, "excluded"),
        (name, "FAILED", "RETRY", 2, "raised"),
    ]
    kept = json.loads(sql("select context from run_note order by created_at")[2]["context"])
    assert sorted(kept) == ["attempt", "queue", "task_id"]
    assert kept["attempt"] == 3


def test_a_retry_that_the_task_asks_for_is_no_alert(huey: RedisHuey, sql: Sql) -> None:
    left = [2, 1]

    @huey.task()
    def sync() -> None:
        if left:
            left.pop()
            raise RetryTask("not ready")
        run = current_run()
        assert run is not None
        run.total_records = 512

    sync()
    work(huey)

    assert [run[1:] for run in outcomes(sql)] == [
        ("FAILED", "MANUAL", 0, "excluded"),
        ("FAILED", "RETRY", 1, "excluded"),
        ("SUCCESS", "RETRY", 2, "none"),
    ]
    assert sql("select max(total_records) as n from run_log") == [{"n": 512}]


def test_a_time_limit_is_a_timeout_of_the_task(huey: RedisHuey, sql: Sql) -> None:
    @huey.task(timeout=1e-9, context=True)
    def endless(task: Any) -> None:
        while True:
            task.check_timeout()

    endless()
    work(huey)

    (run,) = sql("select status, error_group, alert_outcome from run_log")
    assert tuple(run.values()) == ("FAILED", "TIMEOUT", "raised")


def test_cancelled_and_locked_tasks_raise_no_alert(huey: RedisHuey, sql: Sql) -> None:
    @huey.task()
    def cancelled() -> None:
        raise CancelExecution

    @huey.task()
    @huey.lock_task("sync")
    def locked() -> None: ...

    @huey.pre_execute()
    def veto(task: Any) -> None:
        if task.name == "vetoed":
            raise CancelExecution

    @huey.task()
    def vetoed() -> None: ...

    for task in (cancelled, locked, vetoed):
        task()
    with huey.lock_task("sync"):
        work(huey)

    assert [run[:2] + run[4:] for run in outcomes(sql)] == [
        (f"{HERE}.cancelled", "SUCCESS", "none"),
        (f"{HERE}.locked", "FAILED", "excluded"),
    ]


def test_a_task_that_the_consumer_drops_when_it_stops_alerts(huey: RedisHuey, sql: Sql) -> None:
    @huey.task()
    def sync() -> None:
        stop = threading.Thread(target=huey.notify_interrupted_tasks)
        stop.start()
        stop.join()

    sync()
    work(huey)

    (run,) = sql("select status, error_type, alert_outcome from run_log")
    assert tuple(run.values()) == ("FAILED", "runguard.integrations.WorkerStopped", "raised")


def test_the_choice_names_runs_and_leaves_out_others(huey: RedisHuey, sql: Sql) -> None:
    install(huey, name=lambda task: task.rpartition(".")[2], skip="*.ping_*", no_alert_on=KeyError)

    @huey.task()
    def sync() -> None:
        raise KeyError("user_id")

    @huey.task()
    def ping_upstream() -> None: ...

    @huey.task()
    @tracked_run("decorated")
    def tracked() -> None: ...

    for task in (sync, ping_upstream, tracked):
        task()
    work(huey)

    assert [run[:2] + run[4:] for run in outcomes(sql)] == [
        ("sync", "FAILED", "excluded"),
        ("decorated", "SUCCESS", "none"),
    ]


def test_a_periodic_task_is_scheduled_and_expected_when_its_crontab_says(
    huey: RedisHuey, sql: Sql
) -> None:
    @huey.periodic_task(crontab(minute="0", hour="2", day_of_week="1-5"))
    def nightly() -> None: ...

    @huey.periodic_task(lambda _now: True)
    def unknown() -> None: ...

    nightly()
    work(huey)
    while (thread := announcer()._thread) is not None:
        thread.join(60)
    EXPECTED.clear()

    (job,) = sql("select job_name, expectation from job")
    assert job["job_name"] == f"{HERE}.nightly"
    assert json.loads(job["expectation"]) == {"cron": "0 2 * * MON-FRI", "tz": "UTC"}
    assert [run[2] for run in outcomes(sql)] == ["SCHEDULER"]


def test_a_task_does_its_work_while_the_store_is_away(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere", store_timeout=timedelta(seconds=0.2)
    )
    huey = RedisHuey(url=redis_url, blocking=False)
    install(huey)
    done = []

    @huey.task()
    def sync() -> None:
        done.append(current_run())

    sync()
    work(huey)

    assert [run.job_name for run in done] == [f"{HERE}.sync"]
    assert "runguard.internal_error" in caplog.text


def test_a_task_does_nothing_where_its_run_must_not_begin(
    redis_url: str, store_that_refuses: None
) -> None:
    huey = RedisHuey(url=redis_url, blocking=False)
    install(huey)
    called = []

    @huey.task()
    def sync() -> None:
        called.append(True)

    result = sync()
    work(huey)

    with pytest.raises(TaskException, match="StoreUnavailable"):
        result()
    assert called == []
