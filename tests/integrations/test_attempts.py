"""What the integrations of queues have in common: an attempt as a run, and who closes it."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

import runguard
from runguard import current_run, run_scope, tracked_run
from runguard._api import runtime
from runguard._errors import StoreUnavailable
from runguard._models import NewRun, TriggerType
from runguard._reasons import ErrorReason
from runguard.integrations._attempts import (
    Attempt,
    Choice,
    close_by_key,
    import_ahead,
    is_tracked,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]

STATUS = "select job_name, status, trigger_type, retry_count, alert_outcome from run_log"
WHY = "select status, error_group, error_reason, error_type, alert_outcome from run_log"


class WorkerLost(Exception):
    """What a queue says of a worker that died."""


def begin_elsewhere(key: UUID) -> None:
    """Write the run's beginning, as a worker did that is gone now."""
    runtime.first_use()
    new = NewRun(key, "sync", TriggerType.MANUAL, "w1", 4711)
    runtime.store().start_run(new, timeout=60)


def test_an_attempt_is_a_run_and_a_further_one_is_a_retry(store_url: str, sql: Sql) -> None:
    first, second = Attempt("sync", trigger_type="SCHEDULER"), Attempt("sync", attempt=1)

    assert first.begin() is current_run()
    first.end(ValueError("HTTP 503"), is_tried_again=True)
    second.begin()
    second.end(None)

    assert sql(STATUS) == [
        {
            "job_name": "sync",
            "status": "FAILED",
            "trigger_type": "SCHEDULER",
            "retry_count": 0,
            "alert_outcome": "excluded",
        },
        {
            "job_name": "sync",
            "status": "SUCCESS",
            "trigger_type": "RETRY",
            "retry_count": 1,
            "alert_outcome": "none",
        },
    ]
    assert sql("select count(*) as alerts from alert") == [{"alerts": 0}]
    assert current_run() is None


def test_an_attempt_that_has_ended_or_never_began_is_not_ended(store_url: str, sql: Sql) -> None:
    attempt = Attempt("sync")
    attempt.end(ValueError("too early"))
    attempt.begin()
    attempt.end(None)
    attempt.end(ValueError("too late"))

    assert [run["status"] for run in sql(STATUS)] == ["SUCCESS"]


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_an_attempt_that_a_time_limit_struck_while_it_began_is_a_failed_run(
    store_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, is_tried_again: bool
) -> None:
    def strike() -> None:
        raise TimeoutError("the task's time limit")

    attempt = Attempt("sync", attempt=1)
    monkeypatch.setattr(attempt._scope, "_begin", strike)
    with pytest.raises(TimeoutError) as struck:
        attempt.begin()
    attempt.end(struck.value, is_tried_again=is_tried_again)

    (run,) = sql(STATUS)
    assert run == {
        "job_name": "sync",
        "status": "FAILED",
        "trigger_type": "RETRY",
        "retry_count": 1,
        "alert_outcome": "excluded" if is_tried_again else "raised",
    }


async def test_an_attempt_begins_and_ends_off_the_event_loop(store_url: str, sql: Sql) -> None:
    attempt = Attempt("sync")

    assert await attempt.abegin() is current_run()
    await attempt.aend(TimeoutError("no answer"))

    assert [run["alert_outcome"] for run in sql(STATUS)] == ["raised"]


def test_a_survivor_ends_the_run_of_a_worker_that_died(store_url: str, sql: Sql) -> None:
    key = key_of("celery", "4f1c", 0)
    begin_elsewhere(key)

    close_by_key(key, "sync", WorkerLost("signal 9"), reason=ErrorReason.KILLED)

    [run] = sql(WHY)
    assert (run["status"], run["error_group"]) == ("FAILED", "UNKNOWN")
    assert (run["error_reason"], run["alert_outcome"]) == ("killed", "raised")
    assert run["error_type"].endswith("WorkerLost")
    [alert] = sql("select title, source_id from alert")
    assert alert == {"title": "sync failed: killed", "source_id": "sync:UNKNOWN"}


def test_a_time_limit_is_a_timeout(store_url: str, sql: Sql) -> None:
    key = uuid4()
    begin_elsewhere(key)

    close_by_key(key, "sync", WorkerLost("30 seconds"), reason=ErrorReason.TIME_LIMIT)

    [run] = sql(WHY)
    assert (run["error_group"], run["error_reason"]) == ("TIMEOUT", "time_limit")


def test_a_run_that_has_ended_keeps_its_end(store_url: str, sql: Sql) -> None:
    key = uuid4()
    attempt = Attempt("sync", key=key)
    attempt.begin()
    attempt.end(None)

    close_by_key(key, "sync", WorkerLost("after all"))

    assert [run["status"] for run in sql(WHY)] == ["SUCCESS"]
    assert sql("select id from alert") == []


def test_a_worker_that_died_before_its_run_began_leaves_a_run(store_url: str, sql: Sql) -> None:
    close_by_key(uuid4(), "sync", WorkerLost("at once"), attempt=2, is_tried_again=True)

    [run] = sql(STATUS)
    assert (run["status"], run["trigger_type"], run["retry_count"]) == ("FAILED", "RETRY", 2)
    assert run["alert_outcome"] == "excluded"


def test_an_exception_that_is_excluded_raises_no_alert(store_url: str, sql: Sql) -> None:
    close_by_key(uuid4(), "sync", WorkerLost("again"), no_alert_on=WorkerLost)

    assert [run["alert_outcome"] for run in sql(STATUS)] == ["excluded"]


def test_the_end_waits_in_the_spool_where_the_store_is_away(
    store_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = uuid4()
    begin_elsewhere(key)

    def is_away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as outage:
        outage.setattr(type(runtime.store()), "finish_run", is_away)
        close_by_key(key, "sync", WorkerLost("signal 9"))
    assert [run["status"] for run in sql(WHY)] == ["RUNNING"]
    with run_scope("another"):
        pass

    [run, _] = sql(WHY + " order by id")
    assert (run["status"], run["alert_outcome"]) == ("FAILED", "raised")


def test_a_name_that_cannot_be_stored_hurts_nobody(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    close_by_key(uuid4(), "two\nlines", WorkerLost("signal 9"))

    assert "runguard.internal_error" in caplog.text


@pytest.mark.parametrize(
    ("choice", "job_name"),
    [
        (Choice(), "reports.daily"),
        (Choice(only="reports.*"), "reports.daily"),
        (Choice(only=["mails.*", "reports.daily"]), "reports.daily"),
        (Choice(only=("mails.*",)), None),
        (Choice(skip="*.daily"), None),
        (Choice(only="reports.*", skip=["reports.daily"]), None),
        (Choice(name=str.upper), "REPORTS.DAILY"),
        (Choice(name={"reports.daily": "daily report"}), "daily report"),
        (Choice(name={"mails.send": "mails"}), "reports.daily"),
    ],
)
def test_tasks_are_chosen_and_named(choice: Choice, job_name: str | None) -> None:
    assert choice.job_name_of("reports.daily") == job_name


@pytest.mark.parametrize("wrong", [{"only": [1]}, {"skip": [None]}, {"name": "sync"}])
def test_a_choice_that_cannot_be_read_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        Choice(**wrong)


def test_a_tracked_function_is_known_below_other_decorators() -> None:
    @tracked_run("sync")
    def sync() -> None: ...

    @tracked_run("later")
    async def later() -> None: ...

    @functools.wraps(sync)
    def above() -> None: ...

    class Task:
        run = sync

    assert all(map(is_tracked, (sync, later, above, functools.partial(sync), Task().run)))
    assert not any(map(is_tracked, (len, Task, object(), functools.partial(len))))


def test_what_runs_need_is_imported_ahead_and_nothing_is_fixed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    import_ahead()

    runguard.configure(cooldown=timedelta(minutes=5))  # an error once the settings are fixed
    assert "runguard.internal_error" not in caplog.text
