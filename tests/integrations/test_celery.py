"""Celery with real workers: processes on Redis and on a filesystem, threads; and in this process.

A pool of processes outlives kills only where its transport has an event loop, as Redis has.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery, signals
from celery.beat import Scheduler, Service
from celery.exceptions import SoftTimeLimitExceeded
from celery.schedules import BaseSchedule, crontab, schedule
from sqlalchemy import create_engine, text

from runguard import ConfigurationError, current_run
from runguard._api import runtime
from runguard._run.reaper import reap
from runguard._store.migrate import upgrade
from runguard.integrations import celery as integration
from tests.support.processes import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresAddress
    from tests.support.redis import RedisServer

    Sql = Callable[..., list[dict[str, Any]]]

SENT = (
    "killed redelivered lost_twice plain renamed not_a_job tracked retried autoretried ignored"
    " rejected expected exits too_slow revoked canvases slow"
)
LEFT = 27  # runs of these, with those of `boot` and of what they send
RUNS = """
select status, trigger_type, retry_count, total_records, error_group, error_reason, error_type,
  error_message, error_location, alert_outcome, pid
from run_log where job_name = :job order by started_at
"""


@contextlib.contextmanager
def worker(folder: Path, url: str, *options: str, **environment: str) -> Iterator[subprocess.Popen]:
    """A worker in a process group of its own, which is killed at the end."""
    for name in ("queues", "control", "results"):
        (folder / name).mkdir(parents=True)
    app = ("-A", "tests.integrations.celery_tasks", "worker", "-c", "2", *options)
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *app, *quiet],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "RUNGUARD_DATABASE_URL": url,
                "RUNGUARD_SPOOL_DIR": str(folder / "spool"),
                "CELERY_TEST_FOLDER": str(folder),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def send_to_redis(url: str, task: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis, "VERSION", (6, 1, 0))  # as `celery_tasks` has it
        app = Celery("sender", broker=url, set_as_current=False)
        app.send_task(task)
        app.close()


@dataclass(frozen=True, slots=True)
class Prefork:
    """What a worker left: its log, and its rows."""

    log: str
    sql: Sql

    def runs(self, job: str) -> list[dict[str, Any]]:
        return self.sql(RUNS, job=job)

    def run(self, job: str) -> dict[str, Any]:
        [run] = self.runs(job)
        return run


@pytest.fixture(scope="module")
def prefork(
    postgres: PostgresAddress,
    _migrated_template: str,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prefork]:
    """All tasks in one worker with two processes, since a worker costs a second of a processor.

    It was connected to the store before its pool was forked.
    """
    folder = tmp_path_factory.mktemp("prefork")
    with postgres.database(template=_migrated_template) as name:
        engine = create_engine(postgres.url(name))

        def sql(statement: str, **parameters: Any) -> list[dict[str, Any]]:
            with engine.begin() as connection:
                result = connection.execute(text(statement), parameters)
                return [dict(row._mapping) for row in result]

        def is_done() -> bool:
            [ended] = sql("select count(*) as runs from run_log where status <> 'RUNNING'")
            return bool(ended["runs"] >= LEFT)

        redis_server.empty()
        sends = {"CELERY_TEST_BROKER": redis_server.url(), "CELERY_TEST_SEND": SENT}
        with worker(folder, postgres.url(name), **sends) as process:
            try:
                until(is_done, limit=90, every=0.1)
            except AssertionError as late:
                jobs = sql("select job_name, status from run_log order by id")
                late.add_note(f"{jobs}\n{(folder / 'log').read_text()}")
                raise
            send_to_redis(redis_server.url(), "tasks.hangs")
            until(lambda: sql(RUNS, job="tasks.hangs"))
            process.send_signal(signal.SIGQUIT)  # a cold shutdown
            process.wait(timeout=30)
        yield Prefork((folder / "log").read_text(), sql)
        engine.dispose()


def test_an_attempt_is_a_run_that_the_task_finds(prefork: Prefork) -> None:
    plain = prefork.runs("tasks.plain")[0]

    assert (plain["status"], plain["trigger_type"]) == ("SUCCESS", "MANUAL")
    assert plain["total_records"] == 3  # which it added to `current_run()`


def test_processes_that_the_pool_forks_use_no_connection_of_their_parent(prefork: Prefork) -> None:
    pids = {run["pid"] for run in prefork.sql("select pid from run_log")}

    assert prefork.run("boot")["pid"] in pids
    assert len(pids) > 3  # the parent, two children, and those that replaced them
    assert "runguard.internal_error" not in prefork.log


def test_every_task_of_a_canvas_is_a_run_and_celerys_own_are_none(prefork: Prefork) -> None:
    counts = prefork.sql("select job_name, count(*) as runs from run_log group by job_name")
    runs = {row["job_name"]: row["runs"] for row in counts}

    assert (runs["tasks.link"], runs["tasks.plain"], runs["tasks.total"]) == (2, 3, 1)
    assert not any(name.startswith("celery.") for name in runs)


def test_tasks_are_skipped_renamed_and_never_tracked_twice(prefork: Prefork) -> None:
    names = {row["job_name"] for row in prefork.sql("select job_name from run_log")}

    assert {"nice name", "own name"} <= names
    assert names.isdisjoint({"tasks.renamed", "tasks.not_a_job", "tasks.tracked"})
    assert len(prefork.runs("own name")) == 1


def test_a_retry_is_quiet_and_the_last_attempt_alerts(prefork: Prefork) -> None:
    first, last = prefork.runs("tasks.retried")

    assert (first["trigger_type"], first["retry_count"]) == ("MANUAL", 0)
    assert (first["error_group"], first["alert_outcome"]) == ("HTTP_5XX", "excluded")
    assert first["error_location"].endswith("in retried")
    assert (last["trigger_type"], last["retry_count"]) == ("RETRY", 1)
    assert (last["error_group"], last["alert_outcome"]) == ("HTTP_5XX", "raised")


def test_autoretry_is_quiet_too_and_says_what_it_retried_for(prefork: Prefork) -> None:
    first, last = prefork.runs("tasks.autoretried")

    assert (first["status"], first["error_reason"]) == ("FAILED", "reset")
    assert first["alert_outcome"] == "excluded"
    assert (last["status"], last["trigger_type"]) == ("SUCCESS", "RETRY")


@pytest.mark.parametrize("job", ["tasks.ignored", "tasks.rejected"])
def test_ignore_and_reject_are_no_failures(prefork: Prefork, job: str) -> None:
    assert prefork.run(job)["status"] == "SUCCESS"


def test_an_exception_that_a_task_throws_on_purpose_raises_no_alert(prefork: Prefork) -> None:
    run = prefork.run("tasks.expected")

    assert (run["status"], run["alert_outcome"]) == ("FAILED", "excluded")


def test_an_exit_code_is_a_failure(prefork: Prefork) -> None:
    run = prefork.run("tasks.exits")

    assert (run["status"], run["error_message"]) == ("FAILED", "exit code 3")


def test_a_soft_time_limit_is_a_timeout_where_the_task_was(prefork: Prefork) -> None:
    run = prefork.run("tasks.slow")

    assert (run["error_group"], run["error_reason"]) == ("TIMEOUT", "time_limit")
    assert run["error_location"].endswith("in slow")


@pytest.mark.parametrize(
    ("job", "group", "reason", "says"),
    [
        ("tasks.too_slow", "TIMEOUT", "time_limit", "the time limit of 0.3 s was exceeded"),
        ("tasks.killed", "UNKNOWN", "killed", "signal 9 (SIGKILL)"),
    ],
)
def test_the_worker_closes_the_run_of_a_process_that_dies(
    prefork: Prefork, job: str, group: str, reason: str, says: str
) -> None:
    run = prefork.run(job)

    assert (run["status"], run["error_group"], run["error_reason"]) == ("FAILED", group, reason)
    assert run["alert_outcome"] == "raised"
    assert says in run["error_message"]


def test_a_task_that_is_revoked_while_it_runs_is_cancelled_and_raises_no_alert(
    prefork: Prefork,
) -> None:
    run = prefork.run("tasks.revoked")

    assert (run["status"], run["error_reason"]) == ("FAILED", "cancelled")
    assert run["error_message"] == "revoked while it was running: terminated by SIGTERM"
    assert run["alert_outcome"] == "excluded"  # somebody wanted it


def test_a_lost_worker_alerts_at_the_last_attempt_where_celery_counts_them(
    prefork: Prefork,
) -> None:
    first, last = prefork.runs("tasks.lost_twice")

    assert (first["error_reason"], first["alert_outcome"]) == ("killed", "excluded")
    assert (last["error_reason"], last["alert_outcome"]) == ("killed", "raised")
    assert (last["trigger_type"], last["retry_count"]) == ("RETRY", 1)


def test_a_worker_that_stops_cold_closes_what_it_cancels(prefork: Prefork) -> None:
    run = prefork.run("tasks.hangs")

    assert (run["status"], run["error_reason"]) == ("FAILED", "cancelled")
    assert run["alert_outcome"] == "excluded"  # its message comes again


def test_a_run_that_failed_keeps_the_id_of_its_task_and_its_queue(prefork: Prefork) -> None:
    notes = prefork.sql(
        "select job_name, context from run_note join run_log using (run_key)"
        " where job_name in ('tasks.killed', 'tasks.exits') order by job_name"
    )

    for note in notes:
        assert len(note["context"].pop("task_id")) == 36
        assert note["context"] == {"queue": "celery", "attempt": 1}
    assert len(notes) == 2


def test_what_a_failed_task_logged_last_is_its_own(prefork: Prefork) -> None:
    [note] = prefork.sql(
        "select traceback, log_tail from run_note join run_log using (run_key)"
        " where job_name = 'tasks.slow'"
    )

    assert "in slow\n    time.sleep(60)" in note["traceback"]
    assert "waiting for the other side" in note["log_tail"]
    assert "raised unexpected" not in note["log_tail"]  # which Celery says of it


def test_each_delivery_of_a_message_is_a_run(prefork: Prefork) -> None:
    lost, again = prefork.runs("tasks.redelivered")

    assert (lost["status"], lost["error_reason"]) == ("FAILED", "killed")
    assert lost["alert_outcome"] == "raised"  # the message may come back for ever
    assert again["status"] == "SUCCESS"


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_worker_without_an_event_loop_makes_runs_too(
    pool: str, sql: Sql, store_url: str, tmp_path: Path
) -> None:
    upgrade(store_url)
    with worker(tmp_path / "worker", store_url, "-P", pool, CELERY_TEST_SEND="plain retried"):
        ended = "select id from run_log where status <> 'RUNNING'"
        until(lambda: len(sql(ended)) == 4, every=0.05)

    assert [run["total_records"] for run in sql(RUNS, job="tasks.plain")] == [3]
    attempts = sql(RUNS, job="tasks.retried")
    assert [run["alert_outcome"] for run in attempts] == ["excluded", "raised"]


def test_threads_run_tasks_that_beat_sends_and_a_killed_worker_is_lost(
    sql: Sql, store_url: str, tmp_path: Path
) -> None:
    upgrade(store_url)

    def is_done() -> bool:
        jobs = sql("select job_name, trigger_type from run_log where status <> 'RUNNING'")
        found = {(job["job_name"], job["trigger_type"]) for job in jobs}
        hangs = sql("select id from run_log where job_name = 'tasks.hangs'")
        return hangs != [] and found >= {("tasks.retried", "RETRY"), ("tasks.plain", "SCHEDULER")}

    def is_expected() -> bool:
        return len(sql("select job_name from job")) == 2

    with worker(
        tmp_path / "worker",
        store_url,
        *("-P", "threads", "-B"),
        CELERY_TEST_SEND="hangs retried",
    ) as process:
        until(is_done, every=0.05)
        until(is_expected, every=0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

    attempts = sql(RUNS, job="tasks.retried")
    assert [run["alert_outcome"] for run in attempts] == ["excluded", "raised"]
    expected = sql("select job_name, expectation from job order by job_name")
    assert [job["job_name"] for job in expected] == ["celery.backend_cleanup", "tasks.nightly"]
    assert '"30 2 * * *"' in expected[1]["expectation"]
    assert "Asia/Seoul" in expected[1]["expectation"]

    sql(
        "update run_log set started_at = strftime('%Y-%m-%d %H\\:%M\\:%f', 'now', '-301 seconds')"
        " where status = 'RUNNING'"
    )
    list(reap(runtime.store(), runtime.first_use()))
    [lost] = sql(RUNS, job="tasks.hangs")
    assert (lost["status"], lost["error_reason"]) == ("FAILED", "lost")


@pytest.fixture
def app(store_url: str) -> Iterator[Celery]:
    app = Celery("here", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(
        task_always_eager=True,
        timezone="Asia/Seoul",
    )
    yield app
    app.close()


def test_an_eager_task_is_a_run(app: Celery, sql: Sql) -> None:
    integration.install(app)

    @app.task(name="outer", shared=False)
    def outer() -> str:
        inner.delay()
        return str(current_run())

    @app.task(name="inner", shared=False)
    def inner() -> None:
        raise TimeoutError("no answer")

    assert "'outer'" in outer.delay().get()
    assert current_run() is None
    assert [(run["status"], run["error_group"]) for run in sql(RUNS, job="outer")] == [
        ("SUCCESS", None)
    ]
    assert [run["error_group"] for run in sql(RUNS, job="inner")] == ["TIMEOUT"]


def test_an_eager_task_that_propagates_fails_with_its_own_exception(app: Celery, sql: Sql) -> None:
    app.conf.task_eager_propagates = True
    integration.install(app)

    @app.task(name="job", shared=False)
    def job(*, fails: bool) -> None:
        if fails:
            raise ValueError("HTTP 503")

    try:
        raise LookupError("of whoever sends the task")
    except LookupError:
        job.delay(fails=False)
    with pytest.raises(ValueError, match="HTTP 503"):
        job.delay(fails=True)

    assert [run["error_group"] for run in sql(RUNS, job="job")] == [None, "HTTP_5XX"]


def test_a_second_call_replaces_the_first_and_other_apps_are_left_alone(
    app: Celery, sql: Sql
) -> None:
    other = Celery("other", broker="memory://", set_as_current=False)
    other.conf.task_always_eager = True
    integration.install(app, name=str.upper)
    integration.install(app, only="job", no_alert_on=ValueError)

    @app.task(name="job", shared=False)
    def job() -> None:
        raise ValueError("expected")

    @app.task(name="not_chosen", shared=False)
    def not_chosen() -> None: ...

    @other.task(name="others", shared=False)
    def others() -> None: ...

    for task in (job, not_chosen, others):
        task.delay()

    assert sql("select job_name, alert_outcome from run_log") == [
        {"job_name": "job", "alert_outcome": "excluded"}
    ]


def test_what_beats_thread_sends_is_due_also_where_celery_does_not_say_so(
    app: Celery, tmp_path: Path
) -> None:
    app.conf.task_always_eager = False
    integration.install(app, expect_schedule=False)
    marks: list[object] = []

    @signals.before_task_publish.connect
    def note(headers: dict[str, Any], **_: Any) -> None:
        marks.append(headers.get("celery_beat_task"))

    app.send_task("elsewhere")
    service = Service(app, scheduler_cls=Scheduler, schedule_filename=str(tmp_path / "beat"))
    signals.beat_init.send(sender=service)
    app.send_task("elsewhere")
    integration._beats.clear()

    assert marks == [None, True]


def test_an_option_that_cannot_be_used_is_refused_at_once(app: Celery) -> None:
    with pytest.raises(ConfigurationError, match="cooldown"):
        integration.install(app, cooldown=timedelta(seconds=-1))


def test_a_fault_of_runguards_own_never_reaches_the_task(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> str:
        raise ZeroDivisionError(name)

    integration.install(app, name=broken)

    @app.task(name="job", shared=False)
    def job() -> int:
        return 7

    assert job.delay().get() == 7
    assert "ZeroDivisionError: job" in caplog.text


def test_a_soft_time_limit_that_strikes_while_the_run_begins_strikes_the_task(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration.install(app)

    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    @app.task(name="waits", shared=False)
    def waits() -> None:
        signal.pause()

    monkeypatch.setattr(integration.Attempt, "begin", strike)
    before = signal.signal(signal.SIGUSR1, strike)  # as a process of the pool has it
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            waits.apply(throw=True)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_soft_time_limit_that_struck_a_task_which_is_over_strikes_no_other_one(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration.install(app)
    strikes: list[threading.Timer] = []

    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    @app.task(name="quick", shared=False)
    def quick() -> None:
        strikes.extend(one for one in threading.enumerate() if isinstance(one, threading.Timer))

    monkeypatch.setattr(integration.Attempt, "begin", strike)
    monkeypatch.setattr(integration, "STRIKES_AGAIN_SECONDS", 600)
    quick.apply(throw=True)

    assert [one.finished.is_set() for one in strikes] == [True]


@pytest.mark.parametrize(
    ("when", "rule"),
    [
        (schedule(timedelta(minutes=15)), {"every": timedelta(minutes=15)}),
        (crontab(), {"cron": "* * * * *", "tz": "Asia/Seoul"}),
        (crontab("30", "2", day_of_week="mon-fri"), {"cron": "30 2 * * MON-FRI"}),
        (crontab(0, 4, day_of_week="sun"), {"cron": "0 4 * * SUN"}),
        (crontab("*/15", day_of_month=1), {"cron": "*/15 * 1 * *"}),
        (crontab(0, 4, day_of_week=1, day_of_month="1-7"), {"calendar": "Mon *-*-01..07 04:00:00"}),
    ],
)
def test_a_schedule_of_beat_becomes_a_rule(app: Celery, when: Any, rule: dict[str, Any]) -> None:
    when.app = app

    assert dict(integration._rule_of(when)).items() >= rule.items()


class Tides(BaseSchedule):
    """A schedule by the moon, as `solar` is one by the sun."""


def test_what_beat_schedules_and_nobody_can_watch_is_told(
    app: Celery, store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, sql: Sql
) -> None:
    app.conf.beat_schedule = {
        "ebb": {"task": "ferry", "schedule": Tides()},
        "hourly": {"task": "elsewhere", "schedule": timedelta(hours=1)},
        "unwanted": {"task": "skipped", "schedule": timedelta(hours=1)},
    }
    app.conf.result_backend = None  # else its clean-up is scheduled too
    integration.install(app, skip="skipped")
    upgrade(store_url)
    service = Service(app, scheduler_cls=Scheduler, schedule_filename=str(tmp_path / "beat"))

    signals.beat_init.send(sender=service)

    def told_of() -> list[str]:
        its = "runguard.schedule_not_expected"
        return [one for one in caplog.messages if one.startswith(its)]

    until(lambda: sql("select job_name from job") and told_of())
    integration._beats.clear()
    assert [job["job_name"] for job in sql("select job_name from job")] == ["elsewhere"]
    [told] = told_of()
    assert "job_name=ferry" in told
    assert "Tides" in told
