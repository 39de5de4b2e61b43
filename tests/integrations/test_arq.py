"""arq: a real Redis, real burst workers on this thread's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from arq import Retry, cron, func
from arq.connections import RedisSettings, create_pool
from arq.jobs import Job
from arq.worker import Worker, create_worker

import runguard
from runguard import current_run, tracked_run
from runguard._run.options import EXPECTED
from runguard.integrations._schedules import announcer
from runguard.integrations.arq import install

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Sql = Callable[..., list[dict[str, Any]]]
    Work = Callable[..., Awaitable[None]]

# Of arq's own when a worker closes.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

RUNS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log order by id"


async def sync(ctx: dict[str, Any]) -> None:
    raise ValueError("HTTP 503")


async def count(ctx: dict[str, Any]) -> None:
    run = current_run()
    assert run is not None
    run.total_records = 512


async def again(ctx: dict[str, Any]) -> None:
    raise Retry


async def endless(ctx: dict[str, Any]) -> None:
    await asyncio.Event().wait()


async def ping_upstream(ctx: dict[str, Any]) -> None: ...


@tracked_run("decorated")
async def tracked(ctx: dict[str, Any]) -> None: ...


@pytest.fixture
def work(redis_url: str) -> Work:
    """Enqueue jobs, and let a worker with these settings do them."""
    at = RedisSettings.from_dsn(redis_url)

    async def work(settings: dict[str, Any], *jobs: str) -> None:
        pool = await create_pool(at)
        for job in jobs:
            await pool.enqueue_job(job)
        quick = {"redis_settings": at, "burst": True, "poll_delay": 0.01}
        worker = create_worker({**quick, **settings}, handle_signals=False)
        await worker.async_run()
        await worker.close()
        await pool.aclose(close_connection_pool=True)

    return work


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql(RUNS)]


async def test_a_job_is_a_run_whose_failure_alerts(work: Work, sql: Sql) -> None:
    @install
    class WorkerSettings:
        functions = (sync, count)

    await work(vars(WorkerSettings), "sync", "count")

    assert sorted(outcomes(sql)) == [
        ("count", "SUCCESS", "MANUAL", 0, "none"),
        ("sync", "FAILED", "MANUAL", 0, "raised"),
    ]
    assert sql("select max(total_records) as n from run_log") == [{"n": 512}]


async def test_each_attempt_is_a_run_and_only_the_last_one_alerts(work: Work, sql: Sql) -> None:
    await work(install({"functions": [again], "max_tries": 3}), "again")

    assert outcomes(sql) == [
        ("again", "FAILED", "MANUAL", 0, "excluded"),
        ("again", "FAILED", "RETRY", 1, "excluded"),
        ("again", "FAILED", "RETRY", 2, "raised"),
    ]
    kept = json.loads(sql("select context from run_note order by created_at")[2]["context"])
    assert sorted(kept) == ["attempt", "job_id", "queue"]
    assert kept["attempt"] == 3


async def test_a_timeout_of_the_job_is_a_timeout(work: Work, sql: Sql) -> None:
    # The first run opens the store, which must not take up the time of the second one.
    await work(install({"functions": [count]}), "count")
    await work(install({"functions": [func(endless, timeout=1)]}), "endless")

    _, run = sql(
        "select status, error_group, error_message, alert_outcome from run_log order by id"
    )
    assert tuple(run.values()) == (
        "FAILED",
        "TIMEOUT",
        "the job took longer than its timeout of 1 seconds",
        "raised",
    )


async def test_a_job_that_somebody_aborts_raises_no_alert(
    work: Work, redis_url: str, sql: Sql
) -> None:
    began = asyncio.Event()

    async def long(ctx: dict[str, Any]) -> None:
        began.set()
        await asyncio.Event().wait()

    async def abort() -> None:
        await began.wait()
        pool = await create_pool(RedisSettings.from_dsn(redis_url))
        with contextlib.suppress(TimeoutError):
            await Job("1", pool).abort(timeout=0.001)
        await pool.aclose(close_connection_pool=True)

    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    await pool.enqueue_job("long", _job_id="1")
    await pool.aclose(close_connection_pool=True)
    functions = [func(long, name="long")]
    settings = install({"functions": functions, "allow_abort_jobs": True})
    await asyncio.gather(work(settings), abort())

    assert outcomes(sql) == [("long", "FAILED", "MANUAL", 0, "excluded")]


async def test_the_choice_names_runs_and_leaves_out_others(work: Work, sql: Sql) -> None:
    settings = install(
        {"functions": [sync, ping_upstream, tracked]},
        name={"sync": "daily_sync"},
        skip="ping_*",
        no_alert_on=ValueError,
    )
    await work(settings, "sync", "ping_upstream", "tracked")

    assert sorted(run[:2] + run[4:] for run in outcomes(sql)) == [
        ("daily_sync", "FAILED", "excluded"),
        ("decorated", "SUCCESS", "none"),
    ]


async def test_a_cron_job_is_scheduled_and_expected_when_it_says(work: Work, sql: Sql) -> None:
    started = []

    async def startup(ctx: dict[str, Any]) -> None:
        started.append(ctx)

    nightly = cron(
        count, name="nightly", hour=2, minute={0, 30}, weekday="sun", run_at_startup=True
    )
    settings = {"cron_jobs": [nightly], "on_startup": startup, "timezone": UTC}
    await work(install(settings))
    while (thread := announcer()._thread) is not None:
        thread.join(60)
    EXPECTED.clear()

    (job,) = sql("select job_name, expectation from job")
    assert (job["job_name"], len(started)) == ("nightly", 1)
    assert json.loads(job["expectation"]) == {"cron": "0,30 2 * * SUN", "tz": "UTC"}
    assert [run[:3] for run in outcomes(sql)] == [("nightly", "SUCCESS", "SCHEDULER")]


async def test_a_ready_worker_can_be_installed_in(redis_url: str, sql: Sql) -> None:
    at = RedisSettings.from_dsn(redis_url)
    options = {"redis_settings": at, "burst": True, "poll_delay": 0.01, "handle_signals": False}
    worker = install(Worker([count], **options))
    pool = await create_pool(at)
    await pool.enqueue_job("count")
    await worker.async_run()
    await worker.close()
    await pool.aclose(close_connection_pool=True)

    assert [run[:2] for run in outcomes(sql)] == [("count", "SUCCESS")]


async def test_a_job_does_its_work_while_the_store_is_away(
    work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere", store_timeout=timedelta(seconds=0.2)
    )
    done = []

    async def sync(ctx: dict[str, Any]) -> None:
        done.append(current_run())

    await work(install({"functions": [func(sync, name="sync")]}), "sync")

    assert [run.job_name for run in done] == ["sync"]
    assert "runguard.internal_error" in caplog.text


async def test_a_job_does_nothing_where_its_run_must_not_begin(
    work: Work, store_that_refuses: None
) -> None:
    called = []

    async def sync(ctx: dict[str, Any]) -> None:
        called.append(True)

    await work(install({"functions": [func(sync, name="sync")]}), "sync")

    assert called == []
