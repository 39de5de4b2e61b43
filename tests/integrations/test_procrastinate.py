"""procrastinate: a real PostgreSQL, real workers on this thread's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Status
from sqlalchemy import make_url

import runguard
from runguard import current_run, tracked_run
from runguard._run.options import EXPECTED
from runguard.integrations._schedules import announcer
from runguard.integrations.procrastinate import install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Sql = Callable[..., list[dict[str, Any]]]

RUNS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log order by id"


@pytest.fixture
async def app(pg_url: str) -> AsyncIterator[App]:
    dsn = make_url(pg_url).set(drivername="postgresql").render_as_string(hide_password=False)
    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=4))
    install(app)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield app


async def work(app: App) -> None:
    """Let a worker do all that is queued."""
    await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)


def outcomes(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql(RUNS)]


async def test_each_attempt_is_a_run_and_only_the_last_one_alerts(app: App, sql: Sql) -> None:
    @app.task(name="sync", retry=RetryStrategy(max_attempts=2))
    async def sync() -> None:
        raise ValueError("HTTP 503")

    await sync.defer_async()
    await work(app)

    assert outcomes(sql) == [
        ("sync", "FAILED", "MANUAL", 0, "excluded"),
        ("sync", "FAILED", "RETRY", 1, "excluded"),
        ("sync", "FAILED", "RETRY", 2, "raised"),
    ]
    kept = json.loads(sql("select context from run_note order by created_at")[2]["context"])
    assert sorted(kept) == ["attempt", "job_id", "queue"]
    assert kept["attempt"] == 3


async def test_a_run_ends_also_where_the_retry_strategy_of_its_task_fails(
    app: App, sql: Sql
) -> None:
    class Broken(BaseRetryStrategy):
        def get_retry_decision(self, **_: object) -> None:
            raise KeyError("no such rule")

    @app.task(name="sync", retry=Broken())
    async def sync() -> None:
        raise ValueError("HTTP 503")

    await sync.defer_async()
    with contextlib.suppress(Exception):  # the worker may fail with it
        await work(app)

    assert outcomes(sql) == [("sync", "FAILED", "MANUAL", 0, "raised")]


async def test_tasks_of_both_kinds_find_their_run(app: App, sql: Sql) -> None:
    @app.task(name="threaded")
    def threaded() -> None:
        run = current_run()
        assert run is not None
        run.total_records = 1

    @app.task(name="looped")
    async def looped() -> None:
        run = current_run()
        assert run is not None
        run.total_records = 2

    await threaded.defer_async()
    await looped.defer_async()
    await work(app)

    assert sql("select job_name, status, total_records as n from run_log order by id") == [
        {"job_name": "threaded", "status": "SUCCESS", "n": 1},
        {"job_name": "looped", "status": "SUCCESS", "n": 2},
    ]
    assert current_run() is None


async def test_a_job_that_somebody_aborts_raises_no_alert(app: App, sql: Sql) -> None:
    @app.task(name="gives_up", pass_context=True)
    def gives_up(context: JobContext) -> None:
        raise JobAborted

    @app.task(name="cancelled", pass_context=True)
    async def cancelled(context: JobContext) -> None:
        await context.app.job_manager.cancel_job_by_id_async(context.job.id, abort=True)
        await asyncio.Event().wait()

    await gives_up.defer_async()
    await cancelled.defer_async()
    await app.run_worker_async(
        wait=False,
        listen_notify=False,
        install_signal_handlers=False,
        abort_job_polling_interval=0.01,
    )

    assert [run[:2] + run[4:] for run in outcomes(sql)] == [
        ("gives_up", "FAILED", "excluded"),
        ("cancelled", "FAILED", "excluded"),
    ]


async def test_a_job_that_a_stopping_worker_drops_alerts(app: App, sql: Sql) -> None:
    began = asyncio.Event()

    @app.task(name="sync")
    async def sync() -> None:
        began.set()
        await asyncio.Event().wait()

    await sync.defer_async()
    worker = asyncio.create_task(
        app.run_worker_async(install_signal_handlers=False, shutdown_graceful_timeout=0)
    )
    await began.wait()
    worker.cancel()
    await asyncio.wait([worker])

    (run,) = sql("select status, error_type, alert_outcome from run_log")
    assert tuple(run.values()) == ("FAILED", "runguard.integrations.WorkerStopped", "raised")


async def test_the_choice_names_runs_and_leaves_out_others(app: App, sql: Sql) -> None:
    install(app, name={"sync": "enrolment_sync"}, skip="ping_*", no_alert_on=KeyError)

    @app.task(name="sync")
    async def sync() -> None:
        raise KeyError("user_id")

    @app.task(name="ping_upstream")
    async def ping() -> None: ...

    @app.task(name="tracked")
    @tracked_run("decorated")
    async def tracked() -> None: ...

    for task in (sync, ping, tracked):
        await task.defer_async()
    await work(app)

    assert [run[:2] + run[4:] for run in outcomes(sql)] == [
        ("enrolment_sync", "FAILED", "excluded"),
        ("decorated", "SUCCESS", "none"),
    ]


async def test_a_periodic_task_is_scheduled_and_expected_when_its_cron_says(
    app: App, sql: Sql
) -> None:
    @app.periodic(cron="0 2 * * *")
    @app.task(name="nightly")
    async def nightly(timestamp: int) -> None: ...

    await nightly.defer_async(timestamp=1_790_000_000)
    await work(app)
    while (thread := announcer()._thread) is not None:
        thread.join(60)
    EXPECTED.clear()

    (job,) = sql("select job_name, expectation from job")
    assert job["job_name"] == "nightly"
    assert json.loads(job["expectation"]) == {"cron": "0 2 * * *", "tz": "UTC"}
    assert [run[2] for run in outcomes(sql)] == ["SCHEDULER"]


async def test_a_job_does_its_work_while_the_store_is_away(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere", store_timeout=timedelta(seconds=0.2)
    )
    done = []

    @app.task(name="sync")
    async def sync() -> None:
        done.append(current_run())

    await sync.defer_async()
    await work(app)

    assert [run.job_name for run in done] == ["sync"]
    assert "runguard.internal_error" in caplog.text


async def test_a_job_does_nothing_where_its_run_must_not_begin(
    app: App, store_that_refuses: None
) -> None:
    called = []

    @app.task(name="sync")
    async def sync() -> None:
        called.append(True)

    job = await sync.defer_async()
    await work(app)

    assert await app.job_manager.get_job_status_async(job) is Status.FAILED
    assert called == []
