"""`failures_to_alert`: how many failures in a row it takes to raise an alert."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

import runguard
from runguard import ConfigurationError, JobLockActive, StoreUnavailable, run_scope, tracked_run
from tests.store.drafts import TIMEOUT, new_run
from tests.support.incidents import dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]


def fail(error: Exception, *, job: str = "sync", **options: Any) -> None:
    with pytest.raises(type(error)), run_scope(job, **options):
        raise error


def succeed(job: str = "sync", **options: Any) -> None:
    with run_scope(job, **options):
        pass


def outcomes(sql: Sql) -> list[str]:
    return [row["alert_outcome"] for row in sql("select alert_outcome from run_log order by id")]


def test_the_third_failure_in_a_row_raises_the_alert(url: str, sql: Sql) -> None:
    for _ in range(4):
        fail(TimeoutError("no answer"), failures_to_alert=3)

    assert outcomes(sql) == ["waiting", "waiting", "raised", "suppressed"]
    [alert] = sql("select source_id from alert")
    assert alert["source_id"] == "sync:TIMEOUT"
    assert [row["covered_by"] is None for row in sql("select covered_by from run_log")] == [
        *(True, True, True),
        False,
    ]


def test_a_success_ends_the_row(url: str, sql: Sql) -> None:
    fail(TimeoutError("no answer"), failures_to_alert=2)
    succeed(failures_to_alert=2)
    fail(TimeoutError("no answer"), failures_to_alert=2)
    fail(TimeoutError("no answer"), failures_to_alert=2)

    assert outcomes(sql) == ["waiting", "none", "waiting", "raised"]


def test_another_group_another_job_and_what_alerts_on_purpose_never_count(
    url: str, sql: Sql
) -> None:
    fail(TimeoutError("no answer"), failures_to_alert=2)
    fail(ValueError("bad"), failures_to_alert=2)
    fail(TimeoutError("no answer"), job="other", failures_to_alert=2)
    fail(TimeoutError("no answer"), failures_to_alert=2, no_alert_on=TimeoutError)
    fail(TimeoutError("no answer"), failures_to_alert=2)

    assert outcomes(sql) == ["waiting", "waiting", "waiting", "excluded", "raised"]


def test_a_refused_start_waits_as_any_failure_does(url: str, sql: Sql) -> None:
    with run_scope("sync", lock=True):
        for _ in range(2):
            with (
                pytest.raises(JobLockActive),
                run_scope("sync", lock=True, failures_to_alert=2),
            ):
                raise AssertionError("the body must not run")

    assert outcomes(sql)[1:] == ["waiting", "raised"]


def test_a_lost_run_waits_as_its_reaper_is_configured(url: str, sql: Sql) -> None:
    from runguard._api import runtime
    from runguard._run.reaper import reap
    from runguard._settings import Settings

    store: Any = runtime.store()
    for _ in range(2):
        store.start_run(new_run("sync"), timeout=TIMEOUT)
        age(sql, "started_at")

        assert list(reap(store, Settings(failures_to_alert=2)))

    assert outcomes(sql) == ["waiting", "raised"]


def test_a_record_that_comes_late_waits_as_it_would_have_then(
    url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._api import runtime
    from runguard._run.spool_replay import replay

    fail(TimeoutError("no answer"), failures_to_alert=2)
    with monkeypatch.context() as away:

        def refuse(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        for method in ("start_run", "replay_run"):
            away.setattr(runtime.store(), method, refuse)
        fail(TimeoutError("no answer"), failures_to_alert=3)
    assert {one.trouble for one in replay(runtime.spool(), runtime.store(), seconds=10)} == {None}
    fail(TimeoutError("no answer"), failures_to_alert=3)

    assert outcomes(sql) == ["waiting", "waiting", "raised"]


def test_while_the_incident_is_open_nothing_waits(sqlite_url: str, sql: Sql) -> None:
    from runguard._api import operator_store, runtime

    fail(TimeoutError("no answer"))
    dispatch(operator_store(runtime))
    succeed()
    age(sql, "started_at", "finished_at")
    fail(TimeoutError("no answer"), failures_to_alert=3, cooldown=timedelta(0))

    assert outcomes(sql) == ["raised", "none", "raised"]


def age(sql: Sql, *columns: str) -> None:
    """Move runs an hour into the past."""
    for column in columns:
        try:
            sql(f"update run_log set {column} = {column} - interval '1 hour'")
        except OperationalError:
            moved = f"strftime('%Y-%m-%d %H\\:%M\\:%f', {column}, '-3600 seconds')"
            sql(f"update run_log set {column} = {moved}")


def test_the_configuration_and_the_environment_set_it_for_all_runs(
    sqlite_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_FAILURES_TO_ALERT", "2")

    fail(TimeoutError("no answer"))
    fail(TimeoutError("no answer"), failures_to_alert=1)

    assert outcomes(sql) == ["waiting", "raised"]


@pytest.mark.parametrize("value", [0, 101, 2.0, True, "3"])
def test_what_is_no_whole_number_from_1_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="failures_to_alert: expected a whole number from"):
        tracked_run("sync", failures_to_alert=value)
    with pytest.raises(ConfigurationError, match="failures_to_alert: expected a whole number from"):
        runguard.configure(failures_to_alert=value)


@pytest.mark.parametrize("text", ["0", "many", "2.5"])
def test_a_bad_variable_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGUARD_FAILURES_TO_ALERT", text)

    with pytest.raises(ConfigurationError, match="RUNGUARD_FAILURES_TO_ALERT: expected a whole"):
        runguard.configure()


def test_auto_resolve_is_true_or_false(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="auto_resolve: expected a bool, found 'no'"):
        runguard.configure(auto_resolve="no")  # type: ignore[arg-type]
    monkeypatch.setenv("RUNGUARD_AUTO_RESOLVE", "perhaps")
    with pytest.raises(ConfigurationError, match="RUNGUARD_AUTO_RESOLVE: expected true or false"):
        runguard.configure()
