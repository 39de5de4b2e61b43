"""Runs whose process is really killed, and heartbeats as a user meets them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import make_url

import runguard
import runguard.testing
from runguard import run_scope
from runguard._api import runtime
from runguard._clock import ticks
from runguard._run.heartbeat import RETRY_SECONDS
from runguard._run.lost_runs import LostRunWatch
from runguard._run.reaper import reap
from tests.support.processes import race

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

JOB = """
import sys
import runguard
runguard.configure(database_url=sys.argv[1])
with runguard.run_scope("enrolment_sync", lock=True):
    print("inside", flush=True)
    sys.stdin.read()
"""
IN_THE_PAST = {
    "postgresql": "now() - interval '301 seconds'",
    "sqlite": "strftime('%Y-%m-%d %H\\:%M\\:%f', 'now', '-301 seconds')",
}


def kill_a_run(url: str) -> int:
    """Start a run in a process of its own, and kill the process while it is inside."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGKILL)
    return process.pid


def fall_silent(sql: Sql, url: str) -> None:
    past = IN_THE_PAST[make_url(url).get_backend_name()]
    sql(f"update run_log set started_at = {past} where status = 'RUNNING'")


def test_a_killed_run_is_found_at_the_next_start_of_its_job(url: str, sql: Sql) -> None:
    pid = kill_a_run(url)
    assert sql("select status, pid from run_log") == [{"status": "RUNNING", "pid": pid}]
    fall_silent(sql, url)
    with run_scope("enrolment_sync", lock=True) as run:  # its lock was freed as well
        assert run.fence is not None

    [lost, _] = sql("select status, error_group, error_message from run_log order by id")
    assert (lost["status"], lost["error_group"]) == ("FAILED", "UNKNOWN")
    assert f"pid {pid}" in lost["error_message"]
    assert sql("select source_id from alert") == [{"source_id": "enrolment_sync:UNKNOWN"}]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this platform pauses no process")
def test_a_paused_process_gets_its_real_ending_when_it_comes_back(url: str, sql: Sql) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", JOB, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGSTOP)
        try:
            fall_silent(sql, url)
            [lost] = reap(runtime.store(), runtime.settings())
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate()

    assert process.returncode == 0
    assert lost.pid == process.pid
    assert sql("select status, error_message, lost_at is not null as lost from run_log") == [
        {"status": "SUCCESS", "error_message": None, "lost": True}
    ]
    assert sql("select count(*) as n from alert") == [{"n": 1}]


@pytest.fixture
def silent_run(sqlite_url: str, sql: Sql) -> Iterator[subprocess.Popen[bytes]]:
    """A run on SQLite whose process lives, and whose last sign is as old as after a step of the
    clock by five minutes."""
    with subprocess.Popen(
        [sys.executable, "-c", JOB, sqlite_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        fall_silent(sql, sqlite_url)
        yield process
        process.kill()


def test_a_run_that_beats_after_a_step_of_the_clock_is_not_lost(
    silent_run: subprocess.Popen[bytes], sql: Sql
) -> None:
    with run_scope("enrolment_sync"):  # its start looks, and cannot know yet
        pass
    waited_for = []

    def beat(runs: int) -> None:
        waited_for.append(runs)
        [row] = sql("select run_key from run_log where status = 'RUNNING'")
        runtime.store().beat([UUID(row["run_key"])], timeout=10)

    assert list(reap(runtime.store(), runtime.settings(), await_beat=beat)) == []
    assert waited_for == [1]
    assert sql("select count(*) as n from run_log where status = 'RUNNING'") == [{"n": 1}]
    silent_run.communicate()
    assert sql("select status from run_log where lost_at is not null") == []


def test_a_process_that_hangs_after_a_step_of_the_clock_loses_its_run(
    silent_run: subprocess.Popen[bytes],
) -> None:
    [lost] = reap(runtime.store(), runtime.settings(), await_beat=lambda _: None)

    assert lost.pid == silent_run.pid


def test_a_worker_that_doubted_closes_the_run_at_its_next_look(
    silent_run: subprocess.Popen[bytes], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_scope("enrolment_sync"):
        pass
    open_after_the_first_look = sql("select count(*) as n from run_log where status = 'RUNNING'")
    monkeypatch.setattr(LostRunWatch, "is_due", lambda *_: True)
    with run_scope("enrolment_sync"):
        pass

    assert open_after_the_first_look == [{"n": 1}]
    assert sql("select pid from run_log where lost_at is not null") == [{"pid": silent_run.pid}]


def test_another_job_does_not_look(url: str, sql: Sql) -> None:
    kill_a_run(url)
    fall_silent(sql, url)
    with run_scope("another"):
        pass

    assert sql("select status from run_log where job_name = 'enrolment_sync'") == [
        {"status": "RUNNING"}
    ]


def test_a_process_looks_once_within_the_limit(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    looks = []
    original = SqliteRecorder.find_lost_runs

    def noting(*args: Any, **kwargs: Any) -> Any:
        looks.append(kwargs["job_name"])
        return original(*args, **kwargs)

    monkeypatch.setattr(SqliteRecorder, "find_lost_runs", noting)
    for job in ("one", "one", "two", "one"):
        with run_scope(job):
            pass

    assert looks == ["one", "two"]


def test_the_command_reaps(url: str, sql: Sql) -> None:
    kill_a_run(url)
    fall_silent(sql, url)
    command = [str(Path(sys.executable).with_name("runguard")), "reap", "--database-url", url]
    first = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    second = subprocess.run(command, capture_output=True, text=True, check=True)

    assert '"job_name": "enrolment_sync"' in first.stdout
    assert (second.stdout, second.stderr) == ("", "No run was lost.\n")
    assert sql("select status from run_log") == [{"status": "FAILED"}]


def test_16_reapers_at_once_close_each_run_once_and_raise_one_alert(
    migrated_pg_url: str,
) -> None:
    runguard.configure(database_url=migrated_pg_url)
    engine = runguard._api.runtime.store().engine  # type: ignore[attr-defined]
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "insert into run_log (run_key, job_name, host, pid, started_at)"
            " select gen_random_uuid(), 'job_' || mod(n, 3), 'h', n, now() - interval '1 hour'"
            " from generate_series(1, 60) n"
        )
    code = f"""
from datetime import timedelta
from runguard import configure
from runguard._clock import ticks
from runguard._run.heartbeat import RETRY_SECONDS
from runguard._run.lost_runs import LostRunWatch
from runguard._run.reaper import reap
from runguard._api import operator_store, runtime
configure(database_url={migrated_pg_url!r})
store, settings = operator_store(runtime), runtime.settings()
store.job_names()
wait()
report(len(list(reap(store, settings))))
"""
    outcomes = race(code, count=16)

    assert [outcome.exit_code for outcome in outcomes] == [0] * 16, outcomes[0].stderr
    assert sum(outcome.reports[0] for outcome in outcomes) == 60
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("select status, count(*) from run_log group by 1").all()
        alerts = connection.exec_driver_sql("select count(*), count(distinct source_id) from alert")
        assert [tuple(row) for row in rows] == [("FAILED", 60)]
        assert tuple(alerts.one()) == (3, 3)


def test_a_long_run_beats_and_a_short_one_does_not(url: str, sql: Sql) -> None:
    runguard.testing.reset()
    runguard.configure(
        database_url=url,
        heartbeat_interval=timedelta(seconds=0.05),
        lost_after=timedelta(minutes=5),
    )
    with run_scope("long"):
        for _ in range(200):
            if sql("select heartbeat_at from run_log")[0]["heartbeat_at"] is not None:
                break
            threading.Event().wait(0.05)
    runguard.testing.reset()
    runguard.configure(database_url=url)
    with run_scope("short"):
        pass

    rows = sql("select job_name, heartbeat_at is not null as beat from run_log order by id")
    assert [(row["job_name"], bool(row["beat"])) for row in rows] == [
        ("long", True),
        ("short", False),
    ]


def test_a_heartbeat_that_fails_is_told_once_and_hurts_nobody(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    events: Callable[[], list[tuple[str, dict[str, Any]]]],
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    beats = threading.Semaphore(0)

    def failing(*_args: object, **_kwargs: object) -> None:
        beats.release()
        raise OSError("no such disk")

    monkeypatch.setattr(SqliteRecorder, "beat", failing)
    runguard.testing.reset()
    runguard.configure(database_url=sqlite_url, heartbeat_interval=timedelta(seconds=0.02))
    with run_scope("enrolment_sync") as run:
        for _ in range(3):
            assert beats.acquire(timeout=30)

    assert run.status == "SUCCESS"
    stages = [fields["stage"] for event, fields in events() if "internal" in event]
    assert stages == ["heartbeat"]


def test_a_run_that_outlived_an_outage_is_not_lost_to_the_next_run_of_its_process(
    url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_scope("enrolment_sync") as outlived:
        with monkeypatch.context() as away:
            away.setattr(runtime.store(), "beat", refuse)
            runtime.heartbeat._beat([outlived.key])
        fall_silent(sql, url)
        monkeypatch.setattr(runtime, "lost_runs", LostRunWatch())  # as after the limit
        with run_scope("enrolment_sync"):
            pass

        assert sql("select lost_at from run_log where lost_at is not null") == []


def test_after_an_outage_a_run_beats_soon(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runguard.configure(database_url=sqlite_url)
    with run_scope("enrolment_sync") as run:
        monkeypatch.setattr(runtime.store(), "beat", refuse)
        runtime.heartbeat._beat([run.key])

        assert runtime.heartbeat._next_beat - ticks() <= RETRY_SECONDS < 30


def refuse(*_args: object, **_kwargs: object) -> None:
    raise runguard.StoreUnavailable("away")


def test_the_limit_is_at_least_three_heartbeats() -> None:
    with pytest.raises(runguard.ConfigurationError, match="at least three heartbeats"):
        runguard.configure(
            heartbeat_interval=timedelta(seconds=30), lost_after=timedelta(seconds=89)
        )
