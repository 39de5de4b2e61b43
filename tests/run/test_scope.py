"""`run_scope`: the with-block and its handle."""

from __future__ import annotations

import json
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from runguard import ConfigurationError, RunStatus, TriggerType, current_run, run_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]


def test_a_clean_block_is_a_success(url: str, sql: Sql) -> None:
    with run_scope("enrolment_sync") as run:
        assert run.status is RunStatus.RUNNING
        assert sql("select status from run_log") == [{"status": "RUNNING"}]
        run.total_records = 512
        run.changed_records += 12
        run.retry_count = 1

    assert run.status is RunStatus.SUCCESS
    [row] = sql("select * from run_log")
    assert row["id"] == run.id
    assert (row["status"], row["trigger_type"]) == ("SUCCESS", "MANUAL")
    assert (row["total_records"], row["changed_records"], row["retry_count"]) == (512, 12, 1)
    assert row["finished_at"] is not None
    assert isinstance(run.key, UUID)
    assert UUID(str(row["run_key"])) == run.key


def test_the_bodys_exception_goes_on_as_the_same_object_with_its_traceback(
    url: str, sql: Sql
) -> None:
    original = ValueError("term 2026-2 is closed")

    def job() -> None:
        raise original

    with pytest.raises(ValueError, match="term 2026-2") as caught, run_scope("enrolment_sync"):
        job()

    assert caught.value is original
    assert original.__context__ is None
    assert [f.name for f in traceback.extract_tb(original.__traceback__)][-1] == "job"
    [row] = sql("select * from run_log")
    assert (row["status"], row["error_group"]) == ("FAILED", "UNKNOWN")
    assert row["error_message"] == "term 2026-2 is closed"
    assert row["error_type"] == "ValueError"
    assert row["error_location"].endswith("in job")


def test_a_failure_raises_one_alert_that_names_its_run(url: str, sql: Sql) -> None:
    with pytest.raises(TimeoutError), run_scope("enrolment_sync") as run:
        raise TimeoutError("upstream did not answer")
    with pytest.raises(TimeoutError), run_scope("enrolment_sync"):
        raise TimeoutError("upstream did not answer")

    assert sql("select count(*) as n from run_log") == [{"n": 2}]
    [alert] = sql("select * from alert")
    assert alert["source_type"] == "run_log"
    assert alert["source_id"] == "enrolment_sync:TIMEOUT"
    assert (alert["alert_type"], alert["severity"]) == ("FAILED", "high")
    [join] = sql(
        "select run_log.id from alert join run_log"
        " on cast(alert.detail ->> 'run_id' as text) = cast(run_log.id as text)"
    )
    assert join["id"] == run.id


def test_fail_marks_a_clean_block_as_failed(url: str, sql: Sql) -> None:
    with run_scope("enrolment_sync") as run:
        run.fail("3 of 10 pages failed", http_status_code=503)

    assert run.status is RunStatus.FAILED
    [row] = sql("select * from run_log")
    assert (row["status"], row["error_group"], row["http_status_code"]) == (
        "FAILED",
        "HTTP_5XX",
        503,
    )
    assert row["error_message"] == "3 of 10 pages failed"
    assert row["error_location"].endswith("in test_fail_marks_a_clean_block_as_failed")
    assert sql("select count(*) as n from alert") == [{"n": 1}]


def test_the_reason_of_fail_is_classified_as_text(sqlite_url: str, sql: Sql) -> None:
    with run_scope("enrolment_sync") as run:
        run.fail("page 3: HTTP 409")

    assert sql("select error_group from run_log") == [{"error_group": "HTTP_409"}]


def test_the_last_fail_counts_and_an_exception_counts_more(sqlite_url: str, sql: Sql) -> None:
    with run_scope("one") as run:
        run.fail("first")
        run.fail("second")
    with pytest.raises(KeyError), run_scope("two") as run:
        run.fail("partial")
        raise KeyError("user_id")

    rows = sql("select job_name, error_message from run_log order by id")
    assert [row["error_message"] for row in rows] == ["second", "KeyError: 'user_id'"]


def test_a_finished_run_takes_no_more_orders(sqlite_url: str) -> None:
    with run_scope("enrolment_sync") as run:
        pass

    with pytest.raises(RuntimeError, match="has ended"):
        run.fail("too late")
    with pytest.raises(RuntimeError, match="has ended"):
        run.emit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )


def test_entering_a_scope_twice_is_an_error(sqlite_url: str, sql: Sql) -> None:
    scope = run_scope("enrolment_sync")
    with scope:
        pass

    with pytest.raises(RuntimeError, match="enrolment_sync"), scope:
        pass
    assert sql("select count(*) as n from run_log") == [{"n": 1}]


def test_nested_scopes_have_their_own_runs(url: str, sql: Sql) -> None:
    with run_scope("outer") as outer:
        assert current_run() is outer
        with pytest.raises(ValueError, match="inner"), run_scope("inner") as inner:
            assert current_run() is inner
            raise ValueError("inner")
        assert current_run() is outer
    assert current_run() is None

    rows = sql("select job_name, status from run_log order by id")
    assert [tuple(row.values()) for row in rows] == [("outer", "SUCCESS"), ("inner", "FAILED")]


def test_a_jobs_own_alert_is_counted_and_outlives_the_failure(url: str, sql: Sql) -> None:
    def emit() -> bool:
        return run.emit_alert(
            "NEW",
            source_type="student",
            source_id="s-1",
            severity="low",
            title="A new student",
            message="s-1 came",
            detail={"term": "2026-2"},
        )

    with pytest.raises(ValueError, match="later"), run_scope("enrolment_sync") as run:
        assert emit() is True
        assert emit() is False
        assert run.created_alerts == 1
        raise ValueError("later")

    [row] = sql("select created_alerts from run_log")
    assert row["created_alerts"] == 2  # its own, and the failure's
    alerts = sql("select alert_type, source_id from alert order by id")
    assert [tuple(alert.values()) for alert in alerts] == [
        ("NEW", "s-1"),
        ("FAILED", "enrolment_sync:UNKNOWN"),
    ]


@pytest.mark.parametrize(
    ("severity", "hint"), [("critical", "expected one of"), ("medum", "did you mean 'medium'")]
)
def test_an_unknown_severity_is_told_and_the_alert_written_as_high(
    sqlite_url: str, sql: Sql, events: Events, severity: Any, hint: str
) -> None:
    with run_scope("enrolment_sync") as run:
        raised = run.emit_alert(
            "NEW", source_type="a", source_id="b", severity=severity, title="t", message="m"
        )

    assert raised
    assert sql("select severity from alert") == [{"severity": "high"}]
    assert sql("select status from run_log") == [{"status": "SUCCESS"}]
    [error] = [fields["error"] for event, fields in events() if event == "runguard.internal_error"]
    assert hint in error


def test_an_alert_whose_detail_is_no_mapping_is_written(sqlite_url: str, sql: Sql) -> None:
    with run_scope("enrolment_sync") as run:
        run.emit_alert(
            "NEW",
            source_type="a",
            source_id="b",
            severity="low",
            title="t",
            message="m",
            detail=["s-1", "s-2"],  # type: ignore[arg-type]
        )

    [alert] = sql("select detail from alert")
    assert json.loads(alert["detail"])["detail"] == ["s-1", "s-2"]


@pytest.mark.parametrize(
    ("mistyped", "hint"),
    [("totl_records", "did you mean 'total_records'"), ("students", "its counters are")],
)
def test_a_mistyped_counter_is_refused_with_a_hint(
    sqlite_url: str, mistyped: str, hint: str
) -> None:
    with run_scope("enrolment_sync") as run:
        with pytest.raises(AttributeError, match=hint):
            setattr(run, mistyped, 5)
        with pytest.raises(AttributeError, match=hint):
            getattr(run, mistyped)


def test_secrets_pass_no_door(url: str, sql: Sql) -> None:
    secret = "hunter2hunter2"
    with pytest.raises(ValueError, match="refused"), run_scope("enrolment_sync") as run:
        run.emit_alert(
            "NEW",
            source_type="student",
            source_id=f"https://u:{secret}@host/",
            severity="low",
            title=f"password={secret}",
            message=f"Authorization: Bearer {secret}",
            detail={"password": secret, "nested": [f"token={secret}"]},
        )
        raise ValueError(f"refused: postgresql://app:{secret}@db/prod?password={secret}")

    assert secret not in repr(sql("select * from run_log"))
    assert secret not in repr(sql("select * from alert"))


@pytest.mark.parametrize("counter", ["512", None, float("nan"), object(), -5])
def test_a_counter_that_is_no_count_hurts_nobody(
    sqlite_url: str, sql: Sql, counter: object
) -> None:
    with run_scope("enrolment_sync") as run:
        run.total_records = counter  # type: ignore[assignment]

    [row] = sql("select status, total_records from run_log")
    assert row == {"status": "SUCCESS", "total_records": 512 if counter == "512" else 0}


def test_a_huge_counter_is_stored_as_the_largest(sqlite_url: str, sql: Sql) -> None:
    with run_scope("enrolment_sync") as run:
        run.total_records = 10**30

    assert sql("select total_records from run_log") == [{"total_records": 2**63 - 1}]


@pytest.mark.parametrize(
    ("name", "error", "found"),
    [
        ("", ConfigurationError, "empty"),
        ("  ", ConfigurationError, "empty"),
        ("x" * 256, ConfigurationError, "256"),
        ("nul\x00", ConfigurationError, "printable"),
        ("line\nbreak", ConfigurationError, "printable"),
        ("\ud800", ConfigurationError, "printable"),
        (7, TypeError, "int"),
        (None, TypeError, "NoneType"),
    ],
)
def test_a_bad_job_name_is_refused_where_it_is_written(
    name: Any, error: type[Exception], found: str
) -> None:
    with pytest.raises(error, match=found):
        run_scope(name)


@pytest.mark.parametrize("name", ["a:b:c", "with spaces", "수강신청 동기화", "x" * 255])
def test_any_printable_name_will_do(url: str, sql: Sql, name: str) -> None:
    with pytest.raises(ValueError, match="x"), run_scope(name):
        raise ValueError("x")

    assert sql("select job_name from run_log") == [{"job_name": name}]
    [alert] = sql("select source_id from alert")
    assert alert["source_id"].rpartition(":")[0] == name


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"trigger_type": "SHEDULER"}, ConfigurationError, "did you mean 'SCHEDULER'"),
        ({"cooldown": 30}, ConfigurationError, "timedelta"),
        ({"cooldown": timedelta(seconds=-1)}, ConfigurationError, "0 or more"),
        ({"lock_ttl": timedelta(0)}, ConfigurationError, "more than 0"),
        ({"no_alert_on": "ValueError"}, TypeError, "exception types"),
        ({"no_alert_on": (ValueError, 3)}, TypeError, "exception types"),
    ],
)
def test_a_bad_option_is_refused_where_it_is_written(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run_scope("enrolment_sync", **options)


@pytest.mark.parametrize("trigger_type", ["SCHEDULER", TriggerType.SCHEDULER])
def test_a_trigger_type_is_an_enum_or_its_text(
    sqlite_url: str, sql: Sql, trigger_type: Any
) -> None:
    with run_scope("enrolment_sync", trigger_type=trigger_type) as run:
        assert run.trigger_type is TriggerType.SCHEDULER

    assert sql("select trigger_type from run_log") == [{"trigger_type": "SCHEDULER"}]
