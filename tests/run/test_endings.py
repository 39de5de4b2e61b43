"""How a body may end, and what becomes of its run (SPEC 3.5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import greenlet
import pytest
import typer

from runguard import run_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]


def of_library(module: str, name: str, **attributes: object) -> type[Exception]:
    """A class with the name of one whose library is not installed here."""
    return type(name, (Exception,), {"__module__": module, **attributes})


class HidesItsName(type):
    """A metaclass whose classes tell nothing about themselves."""

    def __getattribute__(cls, name: str) -> object:
        raise AttributeError(f"hidden: {name}")


class Hidden(Exception, metaclass=HidesItsName):
    pass


class Expected(Exception):
    pass


class StillExpected(Expected):
    pass


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        (SystemExit(), "SUCCESS", "none"),
        (SystemExit(None), "SUCCESS", "none"),
        (SystemExit(0), "SUCCESS", "none"),
        (SystemExit(1), "FAILED", "raised"),
        (SystemExit(503), "FAILED", "raised"),
        (SystemExit("no upstream given"), "FAILED", "raised"),
        (GeneratorExit(), "SUCCESS", "none"),
        (KeyboardInterrupt(), "FAILED", "excluded"),
        (asyncio.CancelledError(), "FAILED", "raised"),
        (MemoryError(), "FAILED", "raised"),
        (RecursionError("maximum recursion depth exceeded"), "FAILED", "raised"),
        (ExceptionGroup("two", [ValueError("a"), TimeoutError("b")]), "FAILED", "raised"),
        (of_library("celery.exceptions", "Retry")("in 30s"), "FAILED", "excluded"),
        (of_library("celery.exceptions", "Ignore")(), "SUCCESS", "none"),
        (of_library("celery.exceptions", "Reject")(), "SUCCESS", "none"),
        (of_library("airflow.exceptions", "AirflowSkipException")(), "SUCCESS", "none"),
        (of_library("airflow.exceptions", "TaskDeferred")(), "FAILED", "excluded"),
        (of_library("arq.worker", "Retry")(), "FAILED", "excluded"),
        (of_library("dramatiq.errors", "Retry")(), "FAILED", "excluded"),
        (of_library("huey.exceptions", "RetryTask")(), "FAILED", "excluded"),
        (of_library("procrastinate.exceptions", "JobRetry")(), "FAILED", "excluded"),
        (of_library("procrastinate.exceptions", "JobAborted")(), "FAILED", "excluded"),
        (of_library("huey.exceptions", "TaskLockedException")(), "FAILED", "excluded"),
        (of_library("huey.exceptions", "CancelExecution")(), "SUCCESS", "none"),
        (of_library("taskiq.exceptions", "NoResultError")(), "SUCCESS", "none"),
        (of_library("click.exceptions", "Exit", exit_code=0)(), "SUCCESS", "none"),
        (of_library("click.exceptions", "Abort")(), "FAILED", "excluded"),
        (greenlet.GreenletExit(), "SUCCESS", "none"),
        (typer.Exit(), "SUCCESS", "none"),
        (typer.Exit(3), "FAILED", "raised"),
        (Hidden(), "FAILED", "raised"),
        (Expected("known"), "FAILED", "excluded"),
        (StillExpected("known"), "FAILED", "excluded"),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else None,
)
def test_each_ending_has_its_row(
    sqlite_url: str, sql: Sql, ending: BaseException, status: str, outcome: str
) -> None:
    with (
        pytest.raises(type(ending)) as caught,
        run_scope("enrolment_sync", no_alert_on=Expected),
    ):
        raise ending

    assert caught.value is ending
    assert sql("select status, alert_outcome from run_log") == [
        {"status": status, "alert_outcome": outcome}
    ]
    assert sql("select count(*) as n from alert") == [{"n": int(outcome == "raised")}]


def test_an_interrupted_scheduled_run_alerts(sqlite_url: str, sql: Sql) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        run_scope("enrolment_sync", trigger_type="SCHEDULER"),
    ):
        raise KeyboardInterrupt

    assert sql("select alert_outcome from run_log") == [{"alert_outcome": "raised"}]


def test_an_exit_code_is_no_http_status(sqlite_url: str, sql: Sql) -> None:
    with pytest.raises(SystemExit), run_scope("enrolment_sync"):
        raise SystemExit(503)

    assert sql("select error_group, http_status_code from run_log") == [
        {"error_group": "UNKNOWN", "http_status_code": None}
    ]


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (SystemExit(3), "exit code 3"),
        (SystemExit(143), "SIGTERM (exit code 143)"),
        (SystemExit("no upstream given"), "no upstream given"),
        (typer.Exit(3), "exit code 3"),
    ],
)
def test_an_exit_is_stored_with_its_code_or_signal(
    sqlite_url: str, sql: Sql, ending: BaseException, message: str
) -> None:
    with pytest.raises(type(ending)), run_scope("enrolment_sync"):
        raise ending

    assert sql("select error_message from run_log") == [{"error_message": message}]


def test_a_declared_failure_stands_though_the_block_exits_cleanly(
    sqlite_url: str, sql: Sql
) -> None:
    with pytest.raises(SystemExit), run_scope("enrolment_sync") as run:
        run.fail("half of it failed")
        raise SystemExit(0)

    assert sql("select status from run_log") == [{"status": "FAILED"}]


def test_an_exception_whose_text_cannot_be_read_has_its_type_instead(
    sqlite_url: str, sql: Sql
) -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    with pytest.raises(Unreadable), run_scope("enrolment_sync"):
        raise Unreadable

    [row] = sql("select status, error_message from run_log")
    assert row["status"] == "FAILED"
    assert row["error_message"].endswith("Unreadable")


def test_a_long_message_is_cut_with_a_mark(sqlite_url: str, sql: Sql) -> None:
    with pytest.raises(ValueError, match="x"), run_scope("enrolment_sync"):
        raise ValueError("x" * 1_000_000)

    [row] = sql("select error_message from run_log")
    assert len(row["error_message"].encode()) <= 16 * 1024
    assert "cut" in row["error_message"]
