"""`failures_to_alert`: how many failures in a row it takes to raise an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import ConfigurationError, run_scope, tracked_run

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
