"""What a host does around its runs, and what runguard must bear of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import subprocess
import sys
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


def test_a_job_that_closes_all_descriptors_gets_a_new_connection(migrated_pg_url: str) -> None:
    # In a process of its own, as a job that becomes a daemon does it.
    program = (
        "import os, time, runguard\n"
        f"runguard.configure(database_url={migrated_pg_url!r})\n"
        "with runguard.run_scope('before'):\n    pass\n"
        "os.closerange(3, 256)\n"
        "taken = [open('/dev/null') for _ in range(8)]\n"
        "with runguard.run_scope('after') as run:\n    pass\n"
        "for file in taken:\n    os.fstat(file.fileno())\n"
        "print(run.id is not None, run.status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=120, text=True
    )

    assert (done.stdout, done.stderr) == ("True SUCCESS\n", "")


def test_a_host_that_freezes_the_clocks_does_not_wait_for_ever(
    migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=1))
        with run_scope("warm-up"):
            pass
        proxy.stall()
        for clock in ("time", "monotonic", "perf_counter"):
            monkeypatch.setattr(time, clock, lambda: 1_800_000_000.0)
        with run_scope("enrolment_sync") as run:
            pass
        monkeypatch.undo()
        runguard.testing.reset()

    assert run.status == "SUCCESS"
