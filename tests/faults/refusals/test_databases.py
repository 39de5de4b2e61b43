"""What a server refuses for ever is stored as far as it can be, and no run stays RUNNING."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine

import runguard.testing
from runguard import run_scope
from runguard._api import runtime
from runguard._run.spool_listing import count_of
from runguard._run.spool_quarantine import retry
from runguard._run.spool_replay import replay
from runguard._store.migrate import upgrade
from tests.run.conftest import events
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresAddress

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

__all__ = ["events"]

PATIENT = timedelta(seconds=60)
TEXT = "동기화 실패 … 😀 café"


@contextmanager
def database(postgres: PostgresAddress, encoding: str) -> Iterator[str]:
    """A database of another encoding, with runguard's tables."""
    admin = create_engine(postgres.url(), isolation_level="AUTOCOMMIT")
    name = f"rg_{uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.exec_driver_sql(
            f"create database {name} encoding '{encoding}' template template0 locale 'C'"
        )
    try:
        url = postgres.url(name)
        upgrade(url)
        yield url
    finally:
        runguard.testing.reset()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"drop database {name} with (force)")
        admin.dispose()


@contextmanager
def connected(url: str) -> Iterator[Any]:
    engine = create_engine(url, connect_args={"client_encoding": "UTF8"})
    with engine.begin() as connection:
        yield connection.exec_driver_sql
    engine.dispose()


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with connected(url) as sql:
        result = sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def configure(url: str) -> None:
    runguard.configure(database_url=url, store_timeout=PATIENT)


def fail(job: str = "job", text: str = TEXT) -> None:
    with pytest.raises(ValueError, match=re.escape(text)), run_scope(job) as run:
        run.total_records = 7
        raise ValueError(text)


def told(events: Events) -> list[str]:
    return [
        fields["error"]
        for event, fields in events()
        if event == "runguard.internal_error" and fields["stage"] == "record"
    ]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("EUC_KR", r"동기화 실패 … \U0001f600 caf\xe9"),
        ("LATIN1", r"\ub3d9\uae30\ud654 \uc2e4\ud328 ... \U0001f600 café"),
        ("SQL_ASCII", TEXT),
        ("UTF8", TEXT),
        ("WIN1252", r"\ub3d9\uae30\ud654 \uc2e4\ud328 … \U0001f600 café"),
        ("EUC_TW", None),  # Python does not know it
    ],
)
def test_what_the_encoding_lacks_is_escaped_and_the_run_and_its_alert_are_there(
    postgres: PostgresAddress, events: Events, encoding: str, message: str | None
) -> None:
    with database(postgres, encoding) as url:
        configure(url)
        fail()
        [run] = rows(url, "select status, total_records, error_message, alert_outcome from run_log")
        [alert] = rows(url, "select message, detail->>'error_message' from alert")

    assert (run[0], run[1], run[3]) == ("FAILED", 7, "raised")
    if message is not None:
        assert message in run[2]
        assert message in alert[0]
    assert run[2].isascii() or message is not None
    assert bool(told(events)) is (encoding != "UTF8")
    assert count_of(runtime.spool()) == 0


def test_a_job_whose_name_the_encoding_lacks_is_recorded_under_one_name(
    postgres: PostgresAddress,
) -> None:
    with database(postgres, "LATIN1") as url:
        configure(url)
        fail("동기화", "x")
        with run_scope("동기화", lock=True):
            pass
        found = rows(url, "select distinct job_name from run_log")
        alerts = rows(url, "select source_id from alert")
        statuses = rows(url, "select status from run_log order by id")
        lock = rows(url, "select job_name, lock_expires_at < now() from job_lock")

    assert found == [(r"\ub3d9\uae30\ud654",)]
    assert alerts == [(r"\ub3d9\uae30\ud654:UNKNOWN",)]
    assert statuses == [("FAILED",), ("SUCCESS",)]
    assert lock == [(r"\ub3d9\uae30\ud654", True)]


def test_a_jobs_own_alert_is_stored_as_far_as_it_can_be(
    postgres: PostgresAddress, events: Events
) -> None:
    with database(postgres, "EUC_KR") as url:
        configure(url)
        with run_scope("job") as run:
            raised = run.emit_alert(
                "NEW",
                source_type="student",
                source_id="1",
                severity="low",
                title="😀 동",
                message="m",
                detail={"😀": ["😀", {"동": 1}]},
            )
        found = rows(url, "select title, detail->>0 from alert")

    assert raised
    assert found[0][0] == r"\U0001f600 동"
    assert len(told(events)) == 1


def test_a_record_that_waited_is_stored_as_far_as_it_can_be(postgres: PostgresAddress) -> None:
    with database(postgres, "LATIN1") as url, ProtocolProxy(url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=1))
        proxy.refuse()
        fail()
        proxy.resume()
        replayed = list(replay(runtime.spool(), runtime.store(), seconds=60))
        found = rows(url, "select status from run_log")
        runguard.testing.reset()

    assert [one.trouble for one in replayed] == [None, None]
    assert any(one.changed is not None for one in replayed)
    assert found == [("FAILED",)]


NOTIFY = (
    "create function tell() returns trigger language plpgsql as $$ begin"
    " perform pg_notify('rows', row_to_json(new)::text); return new; end $$;"
)


@pytest.mark.parametrize("table", ["run_log", "alert"])
def test_a_trigger_with_a_limit_gets_short_texts(
    migrated_pg_url: str, events: Events, table: str
) -> None:
    configure(migrated_pg_url)
    rows(
        migrated_pg_url,
        f"{NOTIFY} create trigger tell after insert or update on {table}"
        " for each row execute function tell()",
    )
    fail(text="x " * 9_000)

    [(status, outcome, size)] = rows(
        migrated_pg_url, "select status, alert_outcome, length(error_message) from run_log"
    )
    assert (status, outcome) == ("FAILED", "raised")
    assert 1_000 <= size < 1_100
    assert rows(migrated_pg_url, "select count(*) from alert") == [(1,)]
    assert any("texts of at most" in error for error in told(events))


def test_a_trigger_with_a_limit_gets_a_short_note(migrated_pg_url: str, events: Events) -> None:
    configure(migrated_pg_url)
    rows(
        migrated_pg_url,
        f"{NOTIFY} create trigger tell after insert or update on run_note"
        " for each row execute function tell()",
    )
    with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
        run.note(**{f"name_{number}": "x" * 30 for number in range(60)})
        raise ValueError("bad" * 3_000)

    found = rows(
        migrated_pg_url,
        "select length(error_message), length(traceback) < 1100, context is not null"
        " from run_log join run_note using (run_key)",
    )
    assert found == [(9_000, True, True)]
    assert any("and a short note" in error for error in told(events))


def test_a_run_whose_note_is_refused_is_recorded_without_it_and_with_its_alert(
    migrated_pg_url: str, events: Events
) -> None:
    configure(migrated_pg_url)
    rows(
        migrated_pg_url,
        "create function no() returns trigger language plpgsql as"
        " $$ begin raise 'no notes today'; end $$;"
        " create trigger no before insert on run_note for each row execute function no()",
    )
    with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
        run.note(term="2026-2")
        raise ValueError("bad")

    found = rows(migrated_pg_url, "select status, alert_outcome, error_message from run_log")
    assert found == [("FAILED", "raised", "bad")]
    assert any("and without its note" in error for error in told(events))


def test_a_run_whose_alert_is_refused_is_ended_without_and_the_alert_is_kept(
    migrated_pg_url: str, events: Events
) -> None:
    configure(migrated_pg_url)
    rows(
        migrated_pg_url,
        "create function no() returns trigger language plpgsql as"
        " $$ begin raise 'no alerts today'; end $$;"
        " create trigger no before insert on alert for each row execute function no()",
    )
    fail(text="bad")
    statuses = rows(migrated_pg_url, "select status, error_message from run_log")
    rows(migrated_pg_url, "drop trigger no on alert")
    retry(runtime.spool())
    list(replay(runtime.spool(), runtime.store(), seconds=60))

    assert statuses == [("FAILED", "bad")]
    assert any("without its alert" in error for error in told(events))
    assert rows(
        migrated_pg_url,
        "select source_id, detail->>'run_id' = run_log.id::text from alert, run_log",
    ) == [("job:UNKNOWN", True)]


def test_a_counter_too_large_for_an_adopted_column_is_bounded_and_told(
    pg_url: str, events: Events
) -> None:
    rows(
        pg_url,
        "create table run_log (id serial primary key, job_name text not null,"
        " trigger_type text not null, status text not null, started_at timestamptz not null,"
        " finished_at timestamptz, total_records integer, changed_records integer,"
        " created_alerts integer, retry_count integer, error_message text,"
        " updated_at timestamptz)",
    )
    upgrade(pg_url)
    configure(pg_url)
    for fails in (False, True):
        try:
            with run_scope("job") as run:
                run.total_records = run.created_alerts = 3_000_000_000
                run.changed_records = 5
                if fails:
                    raise ValueError("x")
        except ValueError:
            pass

    found = rows(pg_url, "select status, total_records, changed_records from run_log order by id")
    assert found == [("SUCCESS", 2**31 - 2, 5), ("FAILED", 2**31 - 2, 5)]
    assert len([error for error in told(events) if "counters of at most" in error]) == 2


def test_an_engine_of_the_users_own_that_encodes_by_itself(postgres: PostgresAddress) -> None:
    """Its driver refuses the text before the server sees it."""
    with database(postgres, "LATIN1") as url:
        engine = create_engine(url)
        runguard.configure(engine=engine, store_timeout=PATIENT)
        fail()
        found = rows(url, "select status, alert_outcome from run_log")
        runguard.testing.reset()
        engine.dispose()

    assert found == [("FAILED", "raised")]
