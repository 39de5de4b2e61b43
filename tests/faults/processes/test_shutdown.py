"""Runs that end while the interpreter does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.processes.conftest import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.processes.conftest import Program

    Start = Callable[[str], Program]
    Rows = Callable[..., list[tuple[Any, ...]]]

AT_EXIT = """
import atexit

def end():
    with run_scope("at exit", lock=True):
        pass

    async def job():
        async with run_scope("at exit, asyncio", lock=True):
            pass

    asyncio.run(job())
    try:
        with run_scope("at exit, fails"):
            raise ValueError("bad input")
    except ValueError:
        pass

atexit.register(end)
"""
FIRST_USE = """
async def first():
    async with run_scope("first use", lock=True):
        pass

asyncio.run(first())
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(AT_EXIT + PRELUDE + FIRST_USE, id="registered before the first use"),
        pytest.param(PRELUDE + FIRST_USE + AT_EXIT, id="registered after it"),
        pytest.param(PRELUDE + AT_EXIT, id="first use at exit"),
    ],
)
def test_runs_of_an_exit_handler_are_written(start: Start, rows: Rows, code: str) -> None:
    ended = start(code).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    found = "select job_name, status from run_log where job_name <> 'first use' order by job_name"
    assert rows(found) == [
        ("at exit", "SUCCESS"),
        ("at exit, asyncio", "SUCCESS"),
        ("at exit, fails", "FAILED"),
    ]
    assert rows("select count(*) from alert") == [(1,)]


def test_a_run_that_an_exit_handler_ends_is_written(start: Start, rows: Rows) -> None:
    ended = start(
        """
import contextlib
stack = contextlib.ExitStack()
atexit.register(stack.close)
stack.enter_context(run_scope("enrolment_sync", lock=True))
sys.exit(3)
"""
    ).end()

    assert ended == (3, "")
    assert rows("select status from run_log") == [("SUCCESS",)]


THREADS = """
main = threading.main_thread()

def ends():
    with run_scope("ends", lock=True):
        os.write(1, b"inside\\n")
        main.join()

def ends_async():
    async def job():
        async with run_scope("ends, asyncio", lock=True):
            os.write(1, b"inside\\n")
            main.join()
    asyncio.run(job())

def begins():
    os.write(1, b"inside\\n")
    main.join()
    with run_scope("begins", lock=True):
        pass

def begins_async():
    async def job():
        async with run_scope("begins, asyncio", lock=True):
            pass
    os.write(1, b"inside\\n")
    main.join()
    asyncio.run(job())

for work in (ends, ends_async, begins, begins_async):
    threading.Thread(target=work).start()
input()
"""


def test_threads_that_outlive_the_main_one_write_their_runs(start: Start, rows: Rows) -> None:
    program = start(THREADS)
    for _ in range(4):
        program.await_word()
    program.go_on()

    ended = program.end()
    assert ended == (0, "")
    assert rows("select job_name, status from run_log order by job_name") == [
        ("begins", "SUCCESS"),
        ("begins, asyncio", "SUCCESS"),
        ("ends", "SUCCESS"),
        ("ends, asyncio", "SUCCESS"),
    ]


def test_a_daemon_thread_is_stopped_inside_its_run_which_is_left_for_reap(
    start: Start, rows: Rows
) -> None:
    program = start(
        """
def work():
    with run_scope("enrolment_sync", lock=True):
        os.write(1, b"inside\\n")
        threading.Event().wait()

threading.Thread(target=work, daemon=True).start()
input()
"""
    )
    program.await_word()
    program.go_on()

    assert program.end() == (0, "")
    assert rows("select status from run_log") == [("RUNNING",)]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("pages = job(); next(pages)", id="generator"),
        pytest.param(
            "class Job:\n"
            "    def __init__(self):\n"
            "        self.pages = job(); next(self.pages); self.itself = self\n"
            "    def __del__(self):\n"
            "        self.pages.close()\n"
            "kept = Job()",
            id="destructor",
        ),
    ],
)
def test_a_run_that_ends_when_modules_are_torn_down_holds_nobody_up(
    start: Start, rows: Rows, code: str
) -> None:
    ended = start(
        f"""
def job():
    with run_scope("enrolment_sync"):
        yield 1

{code}
"""
    ).end()

    assert ended.exit_code == 0
    # Imports fail by then: it depends on the interpreter how far the write comes.
    [(status,)] = rows("select status from run_log")
    assert status in {"RUNNING", "SUCCESS"}


def test_a_task_that_the_closing_loop_cancels_ends_its_run(start: Start, rows: Rows) -> None:
    ended = start(
        """
async def background(inside):
    async with run_scope("background", lock=True):
        inside.set()
        await asyncio.Event().wait()

async def main():
    inside = asyncio.Event()
    task = asyncio.create_task(background(inside))
    await inside.wait()

asyncio.run(main())
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    assert rows("select status, alert_outcome from run_log") == [("FAILED", "raised")]


@pytest.mark.parametrize("in_a_loop", [True, False])
def test_a_coroutine_that_is_closed_ends_its_run_at_once(
    start: Start, rows: Rows, *, in_a_loop: bool
) -> None:
    ended = start(
        f"""
async def job(inside):
    async with run_scope("enrolment_sync"):
        inside.set()
        await asyncio.Event().wait()

async def main():
    inside = asyncio.Event()
    task = asyncio.create_task(job(inside))
    await inside.wait()
    if {in_a_loop}:
        task.get_coro().close()
        os._exit(0)
    return task

loop = asyncio.new_event_loop()
task = loop.run_until_complete(main())
task.get_coro().close()
os._exit(0)
"""
    ).end()

    assert ended == (0, "")
    assert rows("select status, alert_outcome from run_log") == [("SUCCESS", "none")]
