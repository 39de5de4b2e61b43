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
from sqlalchemy import create_engine, text

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
    assert sum(run() is not None for run in runs) < 10  # of those that the writers had last


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


def test_what_a_job_opens_after_it_has_closed_all_descriptors_stays_its_own(
    migrated_pg_url: str,
) -> None:
    program = (
        "import logging, os, runguard\n"
        f"runguard.configure(database_url={migrated_pg_url!r})\n"
        "logging.getLogger('runguard').setLevel(logging.WARNING)\n"
        "for _ in range(3):\n"
        "    with runguard.run_scope('job'):\n        pass\n"
        "with runguard.run_scope('job') as run:\n"
        "    os.closerange(3, 256)\n"
        "    taken = [open('/dev/null') for _ in range(16)]\n"
        "print(all(os.path.sameopenfile(taken[-1].fileno(), one.fileno()) for one in taken))\n"
        "print(run.id is not None, run.status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=120, text=True
    )

    assert (done.stdout, done.stderr) == ("True\nTrue SUCCESS\n", "")


CLOSES_ALL = (
    "import os, sys, runguard\n"
    "runguard.configure(database_url=sys.argv[1])\n"
    "with runguard.run_scope('before'):\n    pass\n"
    "if sys.argv[2] == 'forks' and os.fork():\n    os._exit(os.wait()[1])\n"
    "os.closerange(3, 256)\n"
    "taken = [open('/dev/null') for _ in range(8)] if sys.argv[2] == 'opens' else []\n"
    "with runguard.run_scope('after') as run:\n    pass\n"
    "for file in taken:\n    os.fstat(file.fileno())\n"
    "print(run.id is not None, run.status, flush=True)\n"
)


def closes_all(url: str, then: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # Newer Pythons warn of any fork beside a thread.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CLOSES_ALL, url, then],
        capture_output=True,
        check=False,
        timeout=120,
        text=True,
    )


@pytest.mark.parametrize("then", ["goes on", "forks"])
def test_a_job_that_closes_all_descriptors_opens_its_sqlite_file_anew(
    sqlite_url: str, then: str
) -> None:
    with run_scope("beside"):  # keeps the file and its log open in this process
        done = closes_all(sqlite_url, then)
    with run_scope("later"):
        pass

    assert (done.stdout, done.stderr) == ("True SUCCESS\n", "")
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        names = connection.execute(text("select job_name from run_log order by id")).scalars()
        assert list(names) == ["beside", "before", "after", "later"]
        assert connection.execute(text("pragma integrity_check")).scalar() == "ok"
    engine.dispose()


def test_a_job_whose_other_files_have_the_numbers_of_sqlites_keeps_them_and_its_record(
    sqlite_url: str,
) -> None:
    done = closes_all(sqlite_url, "opens")

    assert done.stdout == "False SUCCESS\n"
    assert "this process has closed the descriptors of the SQLite file" in done.stderr
    assert "runguard.spooled" in done.stderr
    assert "in time" not in done.stderr


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
