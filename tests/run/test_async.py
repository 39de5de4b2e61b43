"""Coroutines: the same runs, off the event loop, and to their end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from runguard import current_run, run_scope, tracked_run

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]


async def test_a_coroutine_function_is_tracked(url: str, sql: Sql) -> None:
    @tracked_run("enrolment_sync")
    async def job(n: int) -> int:
        run = current_run()
        assert run is not None
        run.total_records = n
        await asyncio.sleep(0)
        return n

    assert asyncio.iscoroutinefunction(job)
    assert await job(5) == 5
    assert sql("select status, total_records from run_log") == [
        {"status": "SUCCESS", "total_records": 5}
    ]


async def test_a_failure_goes_on_as_the_same_object(url: str, sql: Sql) -> None:
    original = TimeoutError("upstream did not answer")

    @tracked_run("enrolment_sync")
    async def job() -> None:
        raise original

    with pytest.raises(TimeoutError) as caught:
        await job()

    assert caught.value is original
    assert sql("select status, error_group, alert_outcome from run_log") == [
        {"status": "FAILED", "error_group": "TIMEOUT", "alert_outcome": "raised"}
    ]


async def test_50_overlapping_tasks_are_50_runs(url: str, sql: Sql) -> None:
    all_inside = asyncio.Barrier(50)

    @tracked_run("overlapping")
    async def job(n: int) -> None:
        run = current_run()
        assert run is not None
        run.total_records = n
        await all_inside.wait()
        assert current_run() is run
        if n % 2:
            raise ValueError(f"odd: {n}")

    results = await asyncio.gather(*(job(n) for n in range(50)), return_exceptions=True)

    assert sum(isinstance(result, ValueError) for result in results) == 25
    rows = sql("select total_records, status from run_log order by total_records")
    assert [tuple(row.values()) for row in rows] == [
        (n, "FAILED" if n % 2 else "SUCCESS") for n in range(50)
    ]
    assert sql("select count(*) as n from alert") == [{"n": 1}]


async def test_the_database_work_leaves_the_event_loop_alone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    threads = []
    for name in ("start_run", "finish_run", "raise_alert"):
        original = getattr(SqliteRecorder, name)

        def noting(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            threads.append(threading.current_thread())
            return original(*args, **kwargs)

        monkeypatch.setattr(SqliteRecorder, name, noting)

    async with run_scope("enrolment_sync") as run:
        await run.aemit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )

    assert len(threads) == 3
    assert threading.main_thread() not in threads


async def test_a_cancelled_task_is_a_failed_run_with_an_alert(url: str, sql: Sql) -> None:
    inside = asyncio.Event()

    @tracked_run("enrolment_sync")
    async def job() -> None:
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(job())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sql("select status, error_type, alert_outcome from run_log") == [
        {
            "status": "FAILED",
            "error_type": "asyncio.exceptions.CancelledError",
            "alert_outcome": "raised",
        }
    ]


async def test_the_final_write_survives_a_second_cancellation(
    sqlite_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    writing, go_on = threading.Event(), threading.Event()
    original = SqliteRecorder.finish_run

    def slowly(*args: Any, **kwargs: Any) -> Any:
        writing.set()
        assert go_on.wait(30)
        return original(*args, **kwargs)

    monkeypatch.setattr(SqliteRecorder, "finish_run", slowly)

    @tracked_run("enrolment_sync")
    async def job() -> str:
        return "done"

    task = asyncio.create_task(job())
    await asyncio.to_thread(writing.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sql("select status from run_log") == [{"status": "SUCCESS"}]


async def test_a_cancellation_during_the_first_write_ends_the_run(
    sqlite_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    writing, go_on = threading.Event(), threading.Event()
    original = SqliteRecorder.start_run

    def slowly(*args: Any, **kwargs: Any) -> Any:
        writing.set()
        assert go_on.wait(30)
        return original(*args, **kwargs)

    monkeypatch.setattr(SqliteRecorder, "start_run", slowly)
    body_ran = []

    @tracked_run("enrolment_sync")
    async def job() -> None:
        body_ran.append(True)

    task = asyncio.create_task(job())
    await asyncio.to_thread(writing.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert body_ran == []
    assert sql("select status, error_type from run_log") == [
        {"status": "FAILED", "error_type": "asyncio.exceptions.CancelledError"}
    ]


async def test_a_timeout_around_the_run_still_works(sqlite_url: str, sql: Sql) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            async with run_scope("enrolment_sync"):
                await asyncio.Event().wait()

    assert {row["status"] for row in sql("select status from run_log")} <= {"FAILED"}


async def test_child_tasks_and_threads_inherit_the_run(sqlite_url: str) -> None:
    async with run_scope("enrolment_sync") as run:
        assert await asyncio.create_task(_current()) is run
        assert await asyncio.to_thread(current_run) is run


async def test_a_child_task_that_outlives_the_run_does_not_see_it(sqlite_url: str) -> None:
    ended = asyncio.Event()

    async def child() -> object:
        await ended.wait()
        return current_run()

    async with run_scope("outer") as outer:
        async with run_scope("inner"):
            task = asyncio.create_task(child())
        ended.set()
        assert await task is outer


def test_a_thread_of_its_own_has_no_run(sqlite_url: str) -> None:
    seen = []
    with run_scope("enrolment_sync"):
        thread = threading.Thread(target=lambda: seen.append(current_run()))
        thread.start()
        thread.join()

    assert seen == [None]


def test_a_coroutine_without_asyncio_writes_where_it_is(sqlite_url: str, sql: Sql) -> None:
    @tracked_run("enrolment_sync")
    async def job() -> int:
        return 7

    coroutine = job()
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)

    assert end.value.value == 7
    assert sql("select status from run_log") == [{"status": "SUCCESS"}]


async def _current() -> object:
    return current_run()
