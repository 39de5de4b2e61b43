"""dramatiq: a real Redis, a real worker of this process."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, TimeLimit

import runguard
from runguard import current_run, tracked_run
from runguard.integrations.dramatiq import install
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

RUNS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log order by id"


@pytest.fixture
def broker(redis_url: str, store_url: str) -> Iterator[dramatiq.Broker]:
    broker = RedisBroker(url=redis_url)
    install(broker)
    yield broker
    broker.close()


@contextlib.contextmanager
def worker(broker: dramatiq.Broker) -> Iterator[None]:
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=5)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def work(broker: dramatiq.Broker) -> None:
    """Let a worker do all that is queued."""
    with worker(broker):
        broker.join("default", timeout=30_000)


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql(RUNS)]


def test_each_attempt_is_a_run_and_only_the_last_one_alerts(
    broker: dramatiq.Broker, sql: Sql
) -> None:
    @dramatiq.actor(broker=broker, max_retries=2, min_backoff=1, max_backoff=1)
    def sync() -> None:
        raise ValueError("HTTP 503")

    sync.send()
    work(broker)

    assert outcomes(sql) == [
        ("sync", "FAILED", "MANUAL", 0, "excluded"),
        ("sync", "FAILED", "RETRY", 1, "excluded"),
        ("sync", "FAILED", "RETRY", 2, "raised"),
    ]
    kept = json.loads(sql("select context from run_note order by created_at")[2]["context"])
    assert sorted(kept) == ["attempt", "message_id", "queue"]
    assert kept["attempt"] == 3


def test_a_retry_that_nobody_makes_any_more_alerts(broker: dramatiq.Broker, sql: Sql) -> None:
    @dramatiq.actor(broker=broker, max_retries=1)
    def sync() -> None:
        raise dramatiq.Retry("not ready", delay=1)

    sync.send()
    work(broker)

    assert [run[1:] for run in outcomes(sql)] == [
        ("FAILED", "MANUAL", 0, "excluded"),
        ("FAILED", "RETRY", 1, "raised"),
    ]
    last = sql("select error_type, error_message, error_location from run_log order by id")[1]
    assert last["error_type"] == "runguard.integrations.RetriesExhausted"
    assert last["error_message"] == "no attempt is left: not ready"
    assert last["error_location"].endswith("in sync")


def test_a_time_limit_is_a_timeout_of_the_actor(broker: dramatiq.Broker, sql: Sql) -> None:
    @dramatiq.actor(broker=broker, max_retries=0, time_limit=30)
    def endless() -> None:
        began.append(True)
        try:
            while not ended:
                pass
        finally:
            ended.append(True)

    began, ended = [], []
    # Its thread, which a worker's process has and which never ends.
    (limits,) = (one.manager for one in broker.middleware if isinstance(one, TimeLimit))
    endless.send()
    with worker(broker):
        until(lambda: began)
        until(lambda: limits._handle_deadlines() or ended)
        broker.join("default", timeout=30_000)

    (run,) = sql("select status, error_group, error_reason, alert_outcome from run_log")
    assert tuple(run.values()) == ("FAILED", "TIMEOUT", "time_limit", "raised")


def test_an_async_actor_finds_its_run(broker: dramatiq.Broker, sql: Sql) -> None:
    broker.add_middleware(AsyncIO())

    @dramatiq.actor(broker=broker)
    async def sync() -> None:
        run = current_run()
        assert run is not None
        run.total_records = 512

    sync.send()
    work(broker)

    assert sql("select status, total_records from run_log") == [
        {"status": "SUCCESS", "total_records": 512}
    ]


def test_the_choice_names_runs_and_leaves_out_others(broker: dramatiq.Broker, sql: Sql) -> None:
    install(broker, name={"sync": "enrolment_sync"}, skip="ping_*", no_alert_on=KeyError)

    @dramatiq.actor(broker=broker, max_retries=0)
    def sync() -> None:
        raise KeyError("user_id")

    @dramatiq.actor(broker=broker)
    def ping_upstream() -> None: ...

    @dramatiq.actor(broker=broker)
    @tracked_run("decorated")
    def tracked() -> None: ...

    for actor in (sync, ping_upstream, tracked):
        actor.send()
    work(broker)

    assert sorted(run[:2] + run[4:] for run in outcomes(sql)) == [
        ("decorated", "SUCCESS", "none"),
        ("enrolment_sync", "FAILED", "excluded"),
    ]


def test_a_message_that_is_too_old_is_no_run(broker: dramatiq.Broker, sql: Sql) -> None:
    @dramatiq.actor(broker=broker, max_age=60_000)
    def sync() -> None: ...

    message = sync.message()
    broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 61_000))
    sync.send()
    work(broker)

    assert len(outcomes(sql)) == 1


def test_an_actor_does_its_work_while_the_store_is_away(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere", store_timeout=timedelta(seconds=0.2)
    )
    broker = RedisBroker(url=redis_url)
    install(broker)
    done = []

    @dramatiq.actor(broker=broker)
    def sync() -> None:
        done.append(current_run())

    sync.send()
    work(broker)
    broker.close()

    assert [run.job_name for run in done] == ["sync"]
    assert "runguard.internal_error" in caplog.text


def test_an_actor_is_not_called_where_its_run_must_not_begin(
    redis_url: str, store_that_refuses: None, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RedisBroker(url=redis_url)
    install(broker)
    called = []

    @dramatiq.actor(broker=broker, max_retries=1, min_backoff=1, max_backoff=1)
    def sync() -> None:
        called.append(True)

    sync.send()
    work(broker)
    broker.close()

    assert called == []
    assert "Retries exceeded" in caplog.text
