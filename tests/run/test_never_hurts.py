"""The library never hurts the job (SPEC 8)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

import runguard
import runguard.testing
from runguard import SchemaOutOfDate, StoreUnavailable, current_run, run_scope, tracked_run
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresServer

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

NOBODY_LISTENS = "postgresql://app:hunter2@127.0.0.1:1/prod"
STORE_TIMEOUT = timedelta(seconds=1)


@pytest.fixture
def proxy(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=STORE_TIMEOUT)
        yield proxy
        runguard.testing.reset()


@tracked_run("enrolment_sync")
def job(error: Exception | None = None) -> str:
    run = current_run()
    assert run is not None
    run.total_records += 1
    run.fail("the handle works")
    run.log.info("so does its logger")
    if error is not None:
        raise error
    return "result"


def internal_errors(events: Events) -> list[str]:
    return [fields["stage"] for event, fields in events() if event == "runguard.internal_error"]


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(libpq, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def test_the_body_runs_though_nobody_listens(events: Events) -> None:
    runguard.configure(database_url=NOBODY_LISTENS, store_timeout=STORE_TIMEOUT)

    assert job() == "result"
    assert internal_errors(events) == ["start"]


def test_its_exception_goes_on_unchanged_though_nobody_listens(events: Events) -> None:
    runguard.configure(database_url=NOBODY_LISTENS, store_timeout=STORE_TIMEOUT)
    original = ValueError("bad input")

    with pytest.raises(ValueError, match="bad input") as caught:
        job(original)
    assert caught.value is original
    assert original.__context__ is None


def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    runguard.configure(database_url=NOBODY_LISTENS, store_timeout=STORE_TIMEOUT)
    job()

    assert "internal_error" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_server_that_accepts_and_never_answers_is_given_up(
    proxy: ProtocolProxy, events: Events
) -> None:
    proxy.stall()
    began = time.monotonic()

    assert job() == "result"
    assert internal_errors(events) == ["start"]
    # No measurement: a bound that only a wait without end would break.
    assert time.monotonic() - began < 20


def test_a_server_that_falls_silent_in_mid_run_is_given_up(
    proxy: ProtocolProxy, events: Events
) -> None:
    with run_scope("warm-up"):
        pass
    with run_scope("enrolment_sync") as run:
        proxy.stall()

    assert run.status == "SUCCESS"
    assert internal_errors(events) == ["finish"]


def test_a_connection_lost_between_start_and_finish_is_made_anew(
    proxy: ProtocolProxy, migrated_pg_url: str, events: Events
) -> None:
    with run_scope("enrolment_sync"):
        proxy.cut()

    assert internal_errors(events) == []
    assert rows(migrated_pg_url, "select status from run_log") == [("SUCCESS",)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statement", ["insert into run_log", "update run_log"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_statement_cut_off_is_repeated_without_doubling(
    proxy: ProtocolProxy,
    migrated_pg_url: str,
    events: Events,
    statement: str,
    when: Any,
    *,
    fails: bool,
) -> None:
    with run_scope("warm-up"):
        pass
    sprung = proxy.cut_at(statement, when=when)
    if fails:
        with pytest.raises(ValueError, match="bad input"), run_scope("enrolment_sync"):
            raise ValueError("bad input")
    else:
        with run_scope("enrolment_sync"):
            pass

    assert sprung.is_set()
    assert internal_errors(events) == []
    found = rows(
        migrated_pg_url,
        "select status, alert_outcome from run_log where job_name = 'enrolment_sync'",
    )
    assert found == [("FAILED", "raised") if fails else ("SUCCESS", "none")]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(int(fails),)]
    told = [event for event, _ in events()]
    assert told.count("runguard.alert_created") == int(fails)


def test_a_jobs_own_alert_whose_answer_was_lost_is_one_alert_and_raised(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    with run_scope("enrolment_sync", cooldown=timedelta(0)) as run:
        sprung = proxy.cut_at("insert into alert", when="after")
        raised = run.emit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )

    assert sprung.is_set()
    assert raised
    assert rows(migrated_pg_url, "select count(*) from alert") == [(1,)]


def test_a_server_that_restarts_in_mid_run_gets_the_ending(
    private_postgres: Callable[..., PostgresServer], events: Events
) -> None:
    from runguard._store.migrate import upgrade

    server = private_postgres()
    url = server.url("postgres")
    upgrade(url)
    runguard.configure(database_url=url)
    with run_scope("enrolment_sync"):
        server.restart()

    assert internal_errors(events) == []
    assert rows(url, "select status from run_log") == [("SUCCESS",)]
    runguard.testing.reset()


def test_a_missing_schema_is_told_with_its_remedy(pg_url: str, events: Events) -> None:
    runguard.configure(database_url=pg_url)

    assert job() == "result"
    [error] = [fields["error"] for event, fields in events() if "internal" in event]
    assert "SchemaOutOfDate" in error
    assert "found no runguard schema" in error
    assert "runguard db upgrade" in error


def test_an_outdated_schema_is_told_with_both_versions(
    migrated_pg_url: str, events: Events
) -> None:
    rows(migrated_pg_url, "alter table run_log drop column matched_by cascade")
    rows(migrated_pg_url, "update runguard_version set version_num = '0000'")
    runguard.configure(database_url=migrated_pg_url)

    with pytest.raises(ValueError, match="bad input"):
        job(ValueError("bad input"))
    [error] = [fields["error"] for event, fields in events() if "internal" in event]
    assert "found runguard schema version 0000" in error


def test_a_bug_of_our_own_is_one_event(
    sqlite_url: str, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    def bug(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(SqliteRecorder, "finish_run", bug)

    assert job() == "result"
    assert internal_errors(events) == ["finish"]


def test_a_bug_in_the_classification_still_ends_the_run(
    sqlite_url: str, sql: Any, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._run import outcome

    def bug(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(outcome, "classify", bug)
    with pytest.raises(ValueError, match="bad input"), run_scope("enrolment_sync"):
        raise ValueError("bad input")

    assert internal_errors(events) == ["classify"]
    assert sql("select status, error_group from run_log") == [
        {"status": "FAILED", "error_group": "UNKNOWN"}
    ]


def test_a_bug_in_the_classification_hides_no_declared_failure(
    sqlite_url: str, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._run import outcome

    with run_scope("enrolment_sync") as run:
        run.fail("3 of 10 pages failed: HTTP 503")
        monkeypatch.delattr(outcome, "failure_alert")

    assert sql("select status, error_group from run_log") == [
        {"status": "FAILED", "error_group": "HTTP_5XX"}
    ]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit], ids=lambda error: error.__name__)
def test_a_counter_that_cannot_be_read_hides_no_failure(
    sqlite_url: str, sql: Any, events: Events, error: type[BaseException]
) -> None:
    class Tensor:
        def __int__(self) -> int:
            raise error("a tensor with 2 elements cannot be converted")

    with pytest.raises(TimeoutError), run_scope("enrolment_sync") as run:
        run.total_records = Tensor()  # type: ignore[assignment]
        run.changed_records = 7
        raise TimeoutError

    assert internal_errors(events) == ["counters"]
    assert sql("select error_group, changed_records, alert_outcome from run_log") == [
        {"error_group": "TIMEOUT", "changed_records": 7, "alert_outcome": "raised"}
    ]


class Unreadable(dict[str, str]):
    def items(self) -> Any:
        raise SystemExit(3)


def test_an_alert_whose_detail_cannot_be_read_is_written_all_the_same(
    sqlite_url: str, sql: Any
) -> None:
    with run_scope("enrolment_sync") as run:
        assert run.emit_alert(
            "NEW",
            source_type="student",
            source_id="7",
            severity="low",
            title="new",
            message="a new student",
            detail=Unreadable(name="x"),
        )

    [row] = sql("select detail from alert")
    assert "could not show a value of type Unreadable" in str(row)


def test_a_broken_log_handler_hurts_nobody(sqlite_url: str, sql: Any) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no space left")

    logger = logging.getLogger("runguard")
    handler = Broken(level=logging.DEBUG)
    logger.addHandler(handler)
    try:
        with pytest.raises(ValueError, match="x"), run_scope("enrolment_sync"):
            raise ValueError("x")
    finally:
        logger.removeHandler(handler)

    assert sql("select status from run_log") == [{"status": "FAILED"}]


@pytest.mark.parametrize(
    ("url", "error"), [(NOBODY_LISTENS, StoreUnavailable), ("pg_url", SchemaOutOfDate)]
)
def test_with_a_lock_the_body_does_not_run(
    request: pytest.FixtureRequest, url: str, error: type[Exception]
) -> None:
    runguard.configure(
        database_url=request.getfixturevalue(url) if url == "pg_url" else url,
        store_timeout=STORE_TIMEOUT,
    )
    with pytest.raises(error), run_scope("enrolment_sync", lock=True):
        raise AssertionError("the body ran")


def test_a_store_that_dies_after_the_lock_does_not_stop_the_body(
    proxy: ProtocolProxy, events: Events
) -> None:
    with run_scope("warm-up"):
        pass
    with run_scope("enrolment_sync", lock=True) as run:
        proxy.refuse()

    assert run.status == "SUCCESS"
    assert "finish" in internal_errors(events)


def test_the_policy_refuse_keeps_the_body_from_running_unrecorded() -> None:
    runguard.configure(
        database_url=NOBODY_LISTENS, store_timeout=STORE_TIMEOUT, outage_policy="refuse"
    )
    with pytest.raises(StoreUnavailable), run_scope("enrolment_sync"):
        raise AssertionError("the body ran")


def test_an_alert_that_cannot_be_written_is_told_and_false(events: Events) -> None:
    runguard.configure(database_url=NOBODY_LISTENS, store_timeout=STORE_TIMEOUT)
    with run_scope("enrolment_sync") as run:
        raised = run.emit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )

    assert raised is False
    assert internal_errors(events) == ["start", "emit_alert"]


async def test_a_dead_store_does_not_stall_the_event_loop(proxy: ProtocolProxy) -> None:
    proxy.stall()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    async with run_scope("enrolment_sync"):
        during_the_wait = ticks
    ticking.cancel()

    assert during_the_wait > 10


def test_the_jobs_transaction_is_its_own(migrated_pg_url: str) -> None:
    runguard.configure(database_url=migrated_pg_url)
    libpq = make_url(migrated_pg_url).set(drivername="postgresql")
    rows(migrated_pg_url, "create table enrolment (n int)")
    with (
        pytest.raises(ValueError, match="bad input"),
        run_scope("enrolment_sync"),
        psycopg.connect(libpq.render_as_string(hide_password=False)) as connection,
    ):
        connection.execute("insert into enrolment values (1)")
        raise ValueError("bad input")

    assert rows(migrated_pg_url, "select count(*) from enrolment") == [(0,)]
    assert rows(migrated_pg_url, "select status from run_log") == [("FAILED",)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_that_leaves_the_block_does_not_end_its_parents_run(
    url: str, sql: Any
) -> None:
    child = -1
    try:
        with run_scope("enrolment_sync"):
            child = os.fork()
            if child == 0:
                raise ValueError("the child's, not the parent's")
    except ValueError:
        os._exit(7)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    assert sql("select status from run_log") == [{"status": "SUCCESS"}]
    assert sql("select count(*) as n from alert") == [{"n": 0}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_tracks_its_own_runs_on_its_own_connection(url: str, sql: Any) -> None:
    with run_scope("parent"):
        child = os.fork()
        if child == 0:
            with run_scope("child"):
                pass
            os._exit(0)
        with run_scope("parent, meanwhile"):
            pass
        os.waitpid(child, 0)

    found = sql("select job_name, status from run_log order by job_name")
    assert [tuple(row.values()) for row in found] == [
        ("child", "SUCCESS"),
        ("parent", "SUCCESS"),
        ("parent, meanwhile", "SUCCESS"),
    ]


@pytest.mark.parametrize(
    ("found", "remedy"), [("0000", "db upgrade"), ("9999", "upgrade runguard")]
)
def test_an_outdated_and_a_newer_schema_have_different_remedies(found: str, remedy: str) -> None:
    assert remedy in str(SchemaOutOfDate(found=found, needed="0001"))
