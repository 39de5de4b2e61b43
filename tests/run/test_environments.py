"""Environments that share a database: what happens in one never touches another."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import runguard
import runguard.testing
from runguard import JobLockActive, current_run, run_scope
from runguard._run.reaper import reap
from runguard._run.spool_replay import replay
from runguard._settings import Settings
from tests.run.conftest import PATIENT
from tests.store.drafts import TIMEOUT, new_run

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]
    Enter = Callable[..., None]


@pytest.fixture
def enter(url: str) -> Enter:
    """Make this process one of another environment."""

    def enter(environment: str | None, **settings: Any) -> None:
        runguard.testing.reset()
        settings = {"store_timeout": PATIENT, **settings}
        runguard.configure(database_url=url, environment=environment, **settings)

    return enter


def fail(job: str = "sync", **options: Any) -> None:
    with pytest.raises(TimeoutError), run_scope(job, **options):
        raise TimeoutError("no answer")


def succeed(job: str = "sync", **options: Any) -> None:
    with run_scope(job, **options):
        pass


def test_runs_and_alerts_name_their_environment(enter: Enter, sql: Sql) -> None:
    for environment in ("staging", "production", None):
        enter(environment)
        fail()
        succeed()

    runs = sql("select environment, alert_outcome from run_log order by id")
    assert [tuple(row.values()) for row in runs] == [
        *(("staging", "raised"), ("staging", "none")),
        *(("production", "raised"), ("production", "none")),
        *((None, "raised"), (None, "none")),
    ]
    alerts = sql("select environment, source_id, title from alert order by id")
    assert [tuple(row.values()) for row in alerts] == [
        (
            "staging",
            "sync:TIMEOUT@staging",
            "sync in staging failed: timed out, waiting for an answer",
        ),
        (
            "production",
            "sync:TIMEOUT@production",
            "sync in production failed: timed out, waiting for an answer",
        ),
        (None, "sync:TIMEOUT", "sync failed: timed out, waiting for an answer"),
    ]


def test_a_cooldown_by_reason_is_kept_apart_too(enter: Enter, sql: Sql) -> None:
    for environment in ("staging", None):
        enter(environment, cooldown_by="reason")
        for _ in range(2):
            with suppress(ConnectionRefusedError), run_scope("sync"):
                raise ConnectionRefusedError("refused")

    outcomes = [
        row["alert_outcome"] for row in sql("select alert_outcome from run_log order by id")
    ]
    assert outcomes == ["raised", "suppressed", "raised", "suppressed"]


def test_an_alert_of_a_jobs_own_is_written_in_each_environment(enter: Enter, sql: Sql) -> None:
    written = []
    for environment in ("staging", None, "staging"):
        enter(environment)
        with run_scope("sync") as run:
            written.append(
                run.emit_alert(
                    "NEW",
                    source_type="student",
                    source_id="42",
                    severity="low",
                    title="A new student",
                    message="came",
                )
            )

    assert written == [True, True, False]
    alerts = sql("select environment, source_id from alert order by id")
    assert [tuple(row.values()) for row in alerts] == [("staging", "42@staging"), (None, "42")]


def test_failures_in_a_row_are_counted_within_an_environment(enter: Enter, sql: Sql) -> None:
    steps = [("production", fail), ("staging", fail), (None, fail), ("staging", succeed)]
    for environment, step in [*steps, ("production", fail), (None, fail)]:
        enter(environment, failures_to_alert=2)
        step()

    rows = sql("select environment, alert_outcome from run_log order by id")
    assert [tuple(row.values()) for row in rows] == [
        *(("production", "waiting"), ("staging", "waiting"), (None, "waiting")),
        *(("staging", "none"), ("production", "raised"), (None, "raised")),
    ]


def test_the_lock_of_a_job_is_held_in_one_environment(enter: Enter, sql: Sql) -> None:
    enter("production")
    with run_scope("sync", lock=True):
        # The lease stays, as that of a process which goes on.
        sql("insert into job_lock (job_name, locked_by, locked_at, lock_expires_at, fence)"
            " values ('sync@staging', 'w1:7:a', '2026-01-01', '2099-01-01', 1)")  # fmt: skip
        enter("staging")
        with pytest.raises(JobLockActive), run_scope("sync", lock=True):
            pass
        enter(None)
        with run_scope("sync", lock=True):
            assert current_run() is not None

    refused = sql("select environment, refused from run_log where status = 'FAILED'")
    assert [(row["environment"], bool(row["refused"])) for row in refused] == [("staging", True)]
    [alert] = sql("select environment, source_id from alert")
    assert tuple(alert.values()) == ("staging", "sync:LOCK_CONFLICT@staging")


def test_a_lost_run_is_told_in_its_own_environment(enter: Enter, sql: Sql) -> None:
    enter("staging")
    died = new_run("sync")._replace(environment="production", host="gone")
    runguard._api.runtime.store().start_run(died, timeout=TIMEOUT)
    sql("update run_log set started_at = '2026-01-01 00:00:00'")
    succeed()  # a start looks for lost runs of its own environment only
    assert sql("select count(*) as lost from run_log where lost_at is not null") == [{"lost": 0}]

    store = runguard._api.runtime.store()
    [lost] = reap(store, Settings(lost_after=timedelta(minutes=5)))

    assert lost.environment == "production"
    [alert] = sql("select environment, source_id from alert")
    assert tuple(alert.values()) == ("production", "sync:UNKNOWN@production")


def test_what_waited_in_the_spool_keeps_its_environment(enter: Enter, sql: Sql, url: str) -> None:
    enter("staging")
    runtime = runguard._api.runtime
    store = runtime.store()
    broken = runguard.StoreUnavailable("away")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("start_run", "finish_run", "replay_run", "find_lost_runs"):
            patch.setattr(type(store), name, _raising(broken), raising=False)
        fail()
    enter(None)

    list(replay(runguard._api.runtime.spool(), runguard._api.runtime.store(), seconds=60))

    assert sql("select environment, alert_outcome from run_log") == [
        {"environment": "staging", "alert_outcome": "raised"}
    ]
    [alert] = sql("select environment, source_id from alert")
    assert tuple(alert.values()) == ("staging", "sync:TIMEOUT@staging")


def _raising(error: Exception) -> Callable[..., Any]:
    def work(*_: object, **__: object) -> Any:
        raise error

    return work
