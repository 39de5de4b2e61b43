"""Threads, tasks and greenlets: every run has its row, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.processes.conftest import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.processes.conftest import Program

    Start = Callable[[str], Program]
    Rows = Callable[..., list[tuple[Any, ...]]]

WORKERS, RUNS = 12, 10
WORK = f"""
def work(name):
    for number in range({RUNS}):
        try:
            with run_scope(name) as run:
                run.total_records = number
                assert current_run() is run
                if number % 2:
                    raise ValueError("bad input")
        except ValueError:
            pass

async def work_async(name):
    for number in range({RUNS}):
        try:
            async with run_scope(name) as run:
                run.total_records = number
                await asyncio.sleep(0)
                assert current_run() is run
                if number % 2:
                    raise ValueError("bad input")
        except ValueError:
            pass
"""
NAMES = f'[f"worker-{{number}}" for number in range({WORKERS})]'
WAYS = {
    "threads": f"""
threads = [threading.Thread(target=work, args=(name,)) for name in {NAMES}]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    "tasks": f"""
async def main():
    await asyncio.gather(*(work_async(name) for name in {NAMES}))
asyncio.run(main())
""",
    "loops in threads": f"""
threads = [
    threading.Thread(target=lambda name=name: asyncio.run(work_async(name))) for name in {NAMES}
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
}


def assert_every_run_is_there_once(rows: Rows) -> None:
    assert rows(
        "select job_name, count(*), count(distinct total_records),"
        " sum(case when status = 'FAILED' then 1 else 0 end)"
        " from run_log where status <> 'RUNNING' group by job_name order by length(job_name), 1"
    ) == [(f"worker-{number}", RUNS, RUNS, RUNS // 2) for number in range(WORKERS)]
    assert rows("select count(*), count(distinct source_id) from alert") == [(WORKERS, WORKERS)]


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())
def test_every_run_of_many_at_once_has_its_row_once(start: Start, rows: Rows, code: str) -> None:
    ended = start(WORK + code).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    assert_every_run_is_there_once(rows)


def test_every_run_of_many_greenlets_has_its_row_once(start: Start, rows: Rows) -> None:
    ended = start(
        "from gevent import monkey; monkey.patch_all()\nimport gevent\n"
        + PRELUDE
        + WORK
        + f"gevent.joinall([gevent.spawn(work, name) for name in {NAMES}], raise_error=True)\n"
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    assert_every_run_is_there_once(rows)
