"""How a process ends, and what that makes of the run inside it (SPEC 3.5)."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.processes.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.faults.processes.conftest import Program

    Start = Callable[[str], Program]
    Rows = Callable[..., list[tuple[Any, ...]]]

# Signals and exits reach a run the same way whatever the store: the real network is the harder.
pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True)

ENDED = "select status, alert_outcome, error_message from run_log"


@pytest.mark.parametrize(
    ("code", "exit_code", "status", "message"),
    [
        ("", 0, "SUCCESS", None),
        ("None", 0, "SUCCESS", None),
        ("0", 0, "SUCCESS", None),
        ("False", 0, "SUCCESS", None),
        ("3", 3, "FAILED", "exit code 3"),
        ("True", 1, "FAILED", "exit code 1"),
        ("-1", 255, "FAILED", "exit code -1"),
        ("256", 0, "FAILED", "exit code 256"),
        ("'no upstream given'", 1, "FAILED", "no upstream given"),
        ("''", 1, "FAILED", "SystemExit"),
        ("0.0", 1, "FAILED", "0.0"),
    ],
)
def test_sys_exit_ends_the_run_as_it_ends_the_process(
    start: Start, rows: Rows, *, code: str, exit_code: int, status: str, message: str | None
) -> None:
    ended = start(f"with run_scope('enrolment_sync'):\n    sys.exit({code})").end()

    assert ended.exit_code == exit_code, ended.stderr
    outcome = "raised" if status == "FAILED" else "none"
    assert rows(ENDED) == [(status, outcome, message)]


HANGING = """
with run_scope("enrolment_sync"):
    print("inside", flush=True)
    threading.Event().wait(60)
"""


def test_a_terminated_process_leaves_its_run_for_reap(start: Start, rows: Rows) -> None:
    program = start(HANGING)
    program.await_word()
    program.process.send_signal(signal.SIGTERM)

    assert program.end().exit_code == -signal.SIGTERM
    assert rows(ENDED) == [("RUNNING", None, None)]


def test_the_two_line_handler_lets_a_terminated_process_end_its_run(
    start: Start, rows: Rows
) -> None:
    program = start("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n" + HANGING)
    program.await_word()
    program.process.send_signal(signal.SIGTERM)

    assert program.end().exit_code == 143
    assert rows(ENDED) == [("FAILED", "raised", "SIGTERM (exit code 143)")]


@pytest.mark.parametrize(
    ("trigger_type", "outcome"), [("MANUAL", "excluded"), ("SCHEDULER", "raised")]
)
def test_an_interrupt_fails_the_run_and_alerts_only_where_nobody_sat_at_the_keyboard(
    start: Start, rows: Rows, trigger_type: str, outcome: str
) -> None:
    program = start(HANGING.replace('sync"', f'sync", trigger_type="{trigger_type}"'))
    program.await_word()
    program.process.send_signal(signal.SIGINT)

    assert program.end().exit_code == -signal.SIGINT
    assert rows("select status, alert_outcome from run_log") == [("FAILED", outcome)]


def test_an_interrupt_of_asyncio_cancels_the_run(start: Start, rows: Rows) -> None:
    program = start(
        """
async def job():
    async with run_scope("enrolment_sync"):
        print("inside", flush=True)
        await asyncio.sleep(60)

asyncio.run(job())
"""
    )
    program.await_word()
    program.process.send_signal(signal.SIGINT)

    assert program.end().exit_code == -signal.SIGINT
    assert rows(ENDED) == [("FAILED", "raised", "asyncio.exceptions.CancelledError")]


@pytest.mark.parametrize(
    ("code", "error_type", "message"),
    [
        pytest.param(
            """
class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

with run_scope("enrolment_sync"):
    raise Unreadable
""",
            "__main__.Unreadable",
            "__main__.Unreadable",
            id="__str__ raises",
        ),
        pytest.param(
            """
import resource
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 400_000_000
def load(pages):
    while True:
        pages.append(bytearray(1_000_000))

with run_scope("enrolment_sync"):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    load([])
""",
            "MemoryError",
            "MemoryError",
            id="memory is used up",
        ),
        pytest.param(
            """
import resource
def load(pages):
    while True:
        pages = (pages,)

with run_scope("enrolment_sync"):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = size + 50_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    load(())
""",
            "MemoryError",
            "MemoryError",
            id="memory is used up in small pieces",
        ),
        pytest.param(
            """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
opened = []

with run_scope("enrolment_sync"):
    while True:
        opened.append(open("/dev/null"))
""",
            "OSError",
            "[Errno 24] Too many open files: '/dev/null'",
            id="all files are used up",
        ),
        pytest.param(
            """
def dig(depth):
    return dig(depth + 1)

with run_scope("enrolment_sync"):
    dig(0)
""",
            "RecursionError",
            "maximum recursion depth exceeded",
            id="the stack is used up",
        ),
        pytest.param(
            """
async def fail(error):
    raise error

async def job():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail(ValueError("bad input")))
        tasks.create_task(fail(KeyError("user_id")))

with run_scope("enrolment_sync"):
    asyncio.run(job())
""",
            "ExceptionGroup",
            "unhandled errors in a TaskGroup (2 sub-exceptions)",
            id="several tasks fail",
        ),
        pytest.param(
            """
async def job():
    async with asyncio.timeout(None) as limit, run_scope("enrolment_sync"):
        limit.reschedule(0)  # once the body has begun
        await asyncio.sleep(60)

asyncio.run(job())
""",
            "asyncio.exceptions.CancelledError",
            "asyncio.exceptions.CancelledError",
            id="an outer timeout cancels",
        ),
    ],
)
def test_an_exception_at_the_edge_of_what_is_possible_has_its_row(
    start: Start, rows: Rows, code: str, error_type: str, message: str
) -> None:
    ended = start(code).end()

    assert ended.exit_code == 1, ended.stderr
    assert "internal_error" not in ended.stderr
    assert rows("select status, alert_outcome, error_type, error_message from run_log") == [
        ("FAILED", "raised", error_type, message)
    ]
    assert rows("select traceback like '%Traceback (most recent%' from run_note") == [(True,)]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("pages = job(); next(pages); pages.close()", id="closed"),
        pytest.param("next(job())", id="forgotten"),
        pytest.param("for page in job(): break", id="left early"),
    ],
)
def test_a_generator_that_is_closed_ends_its_run_well(start: Start, rows: Rows, code: str) -> None:
    ended = start(
        f"""
def job():
    with run_scope("enrolment_sync"):
        yield 1
        yield 2

{code}
"""
    ).end()

    assert ended == (0, "")
    assert rows(ENDED) == [("SUCCESS", "none", None)]


def test_a_process_that_exits_at_once_leaves_its_run_for_reap(start: Start, rows: Rows) -> None:
    ended = start("with run_scope('enrolment_sync'):\n    os._exit(7)").end()

    assert ended.exit_code == 7
    assert rows(ENDED) == [("RUNNING", None, None)]


WAITING = (
    "select pid from pg_stat_activity"
    " where wait_event_type = 'Lock' and datname = current_database()"
)


@pytest.mark.parametrize(
    ("signal_number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
@pytest.mark.parametrize(
    ("when", "status"), [("first", "FAILED"), ("last", "SUCCESS")], ids=["first", "last"]
)
def test_a_signal_during_a_write_does_not_lose_the_run(
    start: Start,
    rows: Rows,
    engine: Engine,
    *,
    signal_number: int,
    exit_code: int,
    when: str,
    status: str,
) -> None:
    program = start(
        f"""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

def pause():
    print("here", flush=True)
    input()

with run_scope("enrolment_sync"):
    pass
if {when == "first"}:
    pause()
with run_scope("enrolment_sync", lock=True):
    if {when == "last"}:
        pause()
"""
    )
    program.await_word()
    with engine.connect() as blocker:
        blocker.exec_driver_sql("lock table run_log in exclusive mode")
        program.go_on()
        until(lambda: rows(WAITING) != [])
        program.process.send_signal(signal_number)
        with pytest.raises(subprocess.TimeoutExpired):  # the write goes on, and is waited for
            program.process.wait(0.5)
        assert rows(WAITING) != []
        blocker.rollback()

    assert program.end().exit_code == exit_code
    assert rows("select status from run_log order by id offset 1") == [(status,)]
    assert rows("select count(*) from job_lock where lock_expires_at > now()") == [(0,)]
