"""The row that a run began with is gone, or ended, when the run ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

import runguard
from runguard import run_scope
from runguard._api import runtime
from runguard._models import SpooledRun
from runguard._run.spool_listing import count_of
from runguard._run.spool_quarantine import retry, set_aside
from runguard._run.spool_replay import replay
from tests.run.conftest import engine, events, sql, sqlite_url, url
from tests.store.drafts import failure, new_run
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

__all__ = ["engine", "events", "sql", "sqlite_url", "url"]


def errors(events: Events) -> list[str]:
    return [fields["error"] for event, fields in events() if event == "runguard.internal_error"]


@pytest.mark.parametrize("lock", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_an_end_that_finds_no_row_brings_the_whole_run_and_its_alert(
    url: str, sql: Sql, events: Events, *, fails: bool, lock: bool
) -> None:
    """As after a failover to a standby that had not got the start."""
    try:
        with run_scope("enrolment_sync", lock=lock) as run:
            run.total_records = 512
            sql("delete from run_log")
            sql("delete from job_lock")
            if fails:
                raise ValueError("bad input")
    except ValueError:
        pass

    [row] = sql(
        "select id, status, total_records, clock, finished_at >= started_at as fits from run_log"
    )
    status = "FAILED" if fails else "SUCCESS"
    assert (row["status"], row["total_records"], row["clock"]) == (status, 512, "host")
    assert row["fits"]
    assert run.id == row["id"]
    assert sql("select count(*) as alerts from alert") == [{"alerts": int(fails)}]
    assert any("the run's row is gone" in error for error in errors(events))
    finished = [fields for event, fields in events() if event == "runguard.run_finished"]
    assert [(one["status"], one["run_id"]) for one in finished] == [(status, row["id"])]


@pytest.mark.parametrize(
    ("sql_of_another", "by"),
    [
        ("update run_log set status = 'SUCCESS'", "another program"),
        ("update run_log set status = 'SUCCESS', alert_outcome = 'none'", "runguard"),
    ],
)
def test_an_end_that_finds_the_run_ended_says_by_whom_and_changes_nothing(
    url: str, sql: Sql, events: Events, sql_of_another: str, by: str
) -> None:
    with pytest.raises(ValueError, match="bad"), run_scope("enrolment_sync"):
        sql(sql_of_another)
        raise ValueError("bad input")

    assert sql("select status from run_log") == [{"status": "SUCCESS"}]
    assert any(f"ended before as SUCCESS by {by}" in error for error in errors(events))


def test_the_usual_end_costs_no_further_round_trip(migrated_pg_url: str) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=30))
        one_good_one_bad()  # looks for lost runs, and prepares its statements
        with proxy.counting() as traffic:
            one_good_one_bad()
        runguard.testing.reset()

    assert traffic.trips == 4


def one_good_one_bad() -> None:
    with run_scope("enrolment_sync"):
        pass
    with pytest.raises(ValueError, match="bad"), run_scope("enrolment_sync"):
        raise ValueError("bad input")


SWALLOWED = {
    "insert": (
        "create function swallow() returns trigger language plpgsql as"
        " $$ begin return null; end $$;"
        " create trigger swallow before insert on run_log for each row execute function swallow()"
    ),
    "update": (
        "create function swallow() returns trigger language plpgsql as"
        " $$ begin return null; end $$;"
        " create trigger swallow before update on run_log for each row execute function swallow()"
    ),
}


@pytest.fixture
def pg_url(migrated_pg_url: str) -> str:
    runguard.configure(database_url=migrated_pg_url, store_timeout=timedelta(seconds=30))
    return migrated_pg_url


@pytest.mark.parametrize("ends", [False, True])
def test_a_record_that_a_trigger_swallows_is_kept(pg_url: str, *, ends: bool) -> None:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(SWALLOWED["insert"])
    run, now = new_run(), datetime.now(UTC)
    record = SpooledRun(run, now, now, failure(run)) if ends else SpooledRun(run, now)
    runtime.spool().put(record)
    [replayed] = replay(runtime.spool(), runtime.store(), seconds=30)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop trigger swallow on run_log")
    retry(runtime.spool())
    [again] = replay(runtime.spool(), runtime.store(), seconds=30)
    with engine.begin() as connection:
        jobs = connection.exec_driver_sql("select job_name from run_log").scalars().all()
    engine.dispose()

    assert replayed.is_set_aside
    assert "kept no row" in str(replayed.trouble)
    assert again.trouble is None
    assert jobs == [run.job_name]


def test_an_end_that_a_trigger_swallows_is_kept_and_told(pg_url: str, events: Events) -> None:
    engine = create_engine(pg_url)
    with pytest.raises(ValueError, match="bad"), run_scope("enrolment_sync"):
        with engine.begin() as connection:
            connection.exec_driver_sql(SWALLOWED["update"])
        raise ValueError("bad input")
    engine.dispose()

    assert any("left it RUNNING" in error for error in errors(events))
    assert count_of(runtime.spool()) + len(set_aside(runtime.spool())) == 1
