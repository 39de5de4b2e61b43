"""Processes that fork: no shared socket, no deadlock, no row doubled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.processes.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.processes.conftest import Program

    Start = Callable[[str], Program]
    Rows = Callable[..., list[tuple[Any, ...]]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")

CHILDREN, RUNS = 8, 10
# What every child does: runs that succeed and runs that fail, in turn.
WORK = f"""
import multiprocessing, traceback

def work(name):
    for number in range({RUNS}):
        try:
            with run_scope(name, lock=number % 5 == 0) as run:
                run.total_records = number
                if number % 2:
                    raise ValueError("bad input")
        except ValueError:
            pass

def fork(job, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            job(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def expect_success(*children):
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def runs_by_job(rows: Rows) -> dict[str, tuple[int, int, int]]:
    """Of every job: its runs, the different ones among them, and those that failed."""
    return {
        job: (runs, distinct, failed)
        for job, runs, distinct, failed in rows(
            "select job_name, count(*), count(distinct total_records),"
            " sum(case when status = 'FAILED' then 1 else 0 end)"
            " from run_log where status <> 'RUNNING' group by job_name"
        )
    }


def every_childs_runs() -> dict[str, tuple[int, int, int]]:
    return {f"child-{number}": (RUNS, RUNS, RUNS // 2) for number in range(CHILDREN)}


PREFORK = {
    "os.fork": f"""
children = [fork(work, f"child-{{number}}") for number in range({CHILDREN})]
with run_scope("parent"):
    pass
expect_success(*children)
""",
    "multiprocessing fork": f"""
context = multiprocessing.get_context("fork")
with context.Pool({CHILDREN}) as pool:
    pool.map(work, [f"child-{{number}}" for number in range({CHILDREN})], chunksize=1)
    with run_scope("parent"):
        pass
""",
    "a fork of a fork": f"""
def grow(number):
    work(f"child-{{number}}")
    if number:
        expect_success(fork(grow, number - 1))

expect_success(fork(grow, {CHILDREN - 1}))
with run_scope("parent"):
    pass
""",
}


@pytest.mark.parametrize("code", PREFORK.values(), ids=PREFORK.keys())
def test_children_that_are_forked_after_the_first_use_write_their_own_runs(
    start: Start, rows: Rows, code: str
) -> None:
    # The parent has used its connections, from several threads and from a loop.
    used = """
async def warm_up():
    async with run_scope("parent", lock=True):
        pass

asyncio.run(warm_up())
threads = [threading.Thread(target=asyncio.run, args=(warm_up(),)) for _ in range(3)]
"""
    ended = start(WORK + used + code).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    assert runs_by_job(rows) == {**every_childs_runs(), "parent": (2, 1, 0)}
    assert rows("select source_id, count(*) from alert group by source_id order by source_id") == [
        (f"child-{number}:UNKNOWN", 1) for number in range(CHILDREN)
    ]


def test_spawned_children_write_their_own_runs(start: Start, rows: Rows, url: str) -> None:
    ended = start(
        f"""
import multiprocessing
from tests.faults.processes.spawned import work

if __name__ == "__main__":
    with run_scope("parent"):
        pass
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(work, [({url!r}, f"child-{{number}}", {RUNS}) for number in range({CHILDREN})])
    with run_scope("parent"):
        pass
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert runs_by_job(rows) == {**every_childs_runs(), "parent": (2, 1, 0)}


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [
        pytest.param("pass", 0, id="leaves the block"),
        pytest.param("raise ValueError('the child fails')", 1, id="raises"),
        pytest.param("sys.exit(5)", 5, id="exits"),
        pytest.param("os._exit(7)", 7, id="exits at once"),
    ],
)
def test_a_job_that_forks_ends_once_and_keeps_its_lock_meanwhile(
    start: Start, rows: Rows, ending: str, exit_code: int
) -> None:
    ended = start(
        f"""
with run_scope("enrolment_sync", lock=True) as run:
    child = os.fork()
    if child == 0:
        with run_scope("the child's own"):
            pass
        {ending}
    else:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == {exit_code}
        try:
            with run_scope("enrolment_sync", lock=True):
                sys.exit("the child has freed its parent's lock")
        except runguard.JobLockActive:
            pass
        run.total_records = 1
if child == 0:
    os._exit(0)
assert not run.lock_lost
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert "internal_error" not in ended.stderr
    assert rows(
        "select job_name, status, total_records, error_group from run_log order by job_name,"
        " error_group is not null"
    ) == [
        ("enrolment_sync", "SUCCESS", 1, None),
        ("enrolment_sync", "FAILED", 0, "LOCK_CONFLICT"),
        ("the child's own", "SUCCESS", 0, None),
    ]


def test_a_child_of_a_run_may_raise_alerts_for_it(start: Start, rows: Rows) -> None:
    ended = start(
        WORK
        + """
with run_scope("enrolment_sync"):
    expect_success(fork(lambda: current_run().emit_alert(
        "NEW", source_type="student", source_id="1", severity="low", title="t", message="m"
    )))
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert rows("select alert_type, source_id from alert") == [("NEW", "1")]
    assert rows("select status from run_log") == [("SUCCESS",)]


def test_a_fork_while_other_threads_write_deadlocks_nobody(start: Start, rows: Rows) -> None:
    # From their very first runs on, which import what runguard needs.
    ended = start(
        WORK
        + """
done = threading.Event()

def keep_writing(name):
    while not done.is_set():
        with run_scope(name, lock=True):
            pass

threads = [threading.Thread(target=keep_writing, args=(f"thread-{n}",)) for n in range(3)]
for thread in threads:
    thread.start()

def one_run():
    with run_scope("child", lock=False):
        pass

for _ in range(20):
    expect_success(fork(one_run))
done.set()
for thread in threads:
    thread.join()
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert rows(
        "select status, count(*) from run_log where job_name = 'child' group by status"
    ) == [("SUCCESS", 20)]
    assert rows("select count(*) from run_log where status <> 'SUCCESS'") == [(0,)]


def test_a_fork_while_a_thread_has_its_first_failure_deadlocks_nobody(
    start: Start, rows: Rows
) -> None:
    # What judges a failure is imported then, and what is being imported is locked.
    ended = start(
        f"""
{WORK}
import sys

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "runguard._failure.redaction_rules":
            importing.set()
            forking.wait()

importing, forking = threading.Event(), threading.Event()
sys.meta_path.insert(0, Slow())
os.register_at_fork(before=forking.set)  # the last one comes first
with run_scope("parent"):
    pass
thread = threading.Thread(target=work, args=("thread",))
thread.start()
importing.wait()
child = fork(work, "child-0")
thread.join()
expect_success(child)
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    each = (RUNS, RUNS, RUNS // 2)
    assert runs_by_job(rows) == {"parent": (1, 1, 0), "thread": each, "child-0": each}


def test_a_fork_while_a_thread_waits_for_the_store_deadlocks_nobody(
    start: Start, rows: Rows, request: pytest.FixtureRequest
) -> None:
    program = start(
        WORK
        + """
def job():
    with run_scope("waits", lock=True):
        print("inside", flush=True)
        may_end.wait()

may_end = threading.Event()
thread = threading.Thread(target=job)
thread.start()
input()
may_end.set()
input()
child = fork(work, "child-0")
print("forked", flush=True)
expect_success(child)
thread.join()
"""
    )
    program.await_word()
    engine = request.getfixturevalue("engine")
    with engine.connect() as blocker:
        if engine.dialect.name == "sqlite":
            blocker.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            blocker.exec_driver_sql("select * from run_log for update")
        program.go_on()
        if engine.dialect.name == "postgresql":
            blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            until(lambda: rows(f"{blocked} and datname = current_database()") == [(1,)])
        program.go_on()
        program.await_word()
        blocker.rollback()

    assert program.end().exit_code == 0
    assert runs_by_job(rows) == {"child-0": (RUNS, RUNS, RUNS // 2), "waits": (1, 1, 0)}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lock", ["runtime._lock", "runtime.heartbeat._changed"])
def test_a_fork_while_a_thread_holds_a_lock_of_ours_deadlocks_nobody(
    start: Start, rows: Rows, lock: str
) -> None:
    # At any moment a thread may hold it; here it certainly does, and does not let go.
    ended = start(
        f"""
{WORK}
from runguard._api import runtime

with run_scope("parent", lock=True):
    pass
held, release = threading.Event(), threading.Event()

def hold():
    with {lock}:
        held.set()
        release.wait()

threading.Thread(target=hold).start()
held.wait()
child = fork(work, "child-0")
expect_success(child)
release.set()
"""
    ).end()

    assert ended.exit_code == 0, ended.stderr
    assert runs_by_job(rows) == {"child-0": (RUNS, RUNS, RUNS // 2), "parent": (1, 1, 0)}


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_second_runtime_leaves_its_parents_sockets_alone_too(start: Start) -> None:
    # As `create_app(database_url=…)` has one beside that of the process's own runs.
    ended = start(
        f"""
{WORK}
from runguard import _api

second = _api.new_runtime()
second.configure({{"database_url": os.environ["STORE_URL"]}})
store = _api.operator_store(second)
parents = store._rows(text("select pg_backend_pid()"))

def ask():
    for _ in range(5):
        assert store._rows(text("select pg_backend_pid()")) != parents

children = [fork(ask) for _ in range({CHILDREN})]
expect_success(*children)
assert store._rows(text("select pg_backend_pid()")) == parents
""".replace("import multiprocessing,", "from sqlalchemy import text\nimport multiprocessing,")
    ).end()

    assert ended.exit_code == 0, ended.stderr
