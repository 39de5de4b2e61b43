"""What a host does around its runs, and what runguard must bear of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import time
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import runguard
import runguard.testing
from runguard import Run, current_run, run_scope, tracked_run
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]


async def test_a_cancelled_anyio_scope_waits_for_the_write_without_spinning(
    migrated_pg_url: str,
) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=4))
        with anyio.CancelScope() as scope:
            async with run_scope("enrolment_sync"):
                proxy.stall()
                scope.cancel()
                began = time.process_time()
                await anyio.sleep(60)
        used = time.process_time() - began
        runguard.testing.reset()

    assert scope.cancelled_caught
    assert used < 1  # of about two seconds of waiting


def test_a_signals_handler_may_be_tracked_while_a_run_is_written(url: str, sql: Sql) -> None:
    @tracked_run("handler")
    def handler(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for number in range(50):
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + number * 0.0001)
            with run_scope("enrolment_sync"):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    [row] = sql("select count(*) as n from run_log where job_name = 'enrolment_sync'")
    assert row == {"n": 50}
    assert sql("select distinct status from run_log") == [{"status": "SUCCESS"}]


@pytest.mark.parametrize("overlaps", [False, True])
async def test_a_task_that_starts_its_successor_keeps_no_closed_run_alive(
    sqlite_url: str, *, overlaps: bool
) -> None:
    runs: list[weakref.ref[Run]] = []

    async def step(left: int) -> asyncio.Task[Any] | None:
        async with run_scope("step") as run:
            assert current_run() is run
            runs.append(weakref.ref(run))
            following = asyncio.create_task(step(left - 1)) if left else None
            if overlaps:
                await asyncio.sleep(0.02)
        return following

    task: asyncio.Task[Any] | None = asyncio.create_task(step(20))
    while task is not None:
        task = await task
    contextvars.copy_context()
    gc.collect()

    assert len(runs) == 21
    assert sum(run() is not None for run in runs) < 5
