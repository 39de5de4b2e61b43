"""A process of this release on the schema of the one before: it goes on recording."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, text

import runguard.testing
from runguard import JobLockActive, SchemaOutOfDate, configure, run_scope
from runguard._api import runtime
from runguard._errors import StoreUnavailable
from runguard._run.reaper import reap
from runguard._run.spool_replay import replay
from runguard._settings import Settings
from runguard._store import migrate as migrations
from runguard._store import repeating
from runguard._store.schema import versions
from runguard._store.schema.versions import (
    ADDED_BY_0003,
    ADDED_BY_0004,
    ADDED_BY_0005,
    ADDED_BY_0006,
)
from tests.store.drafts import TIMEOUT, new_run
from tests.support.protocol import ProtocolProxy
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runguard._store.operator import OperatorStore


@pytest.fixture(params=["postgresql", "sqlite"])
def older_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with the schema of the release before.

    A SQLite file is upgraded by whoever opens it; this one has been taken back since.
    """
    if request.param == "postgresql":
        url = str(request.getfixturevalue("pg_url"))
        migrations.upgrade(url, "0002")
        return url
    return f"sqlite:///{tmp_path / 'own.db'}"


@pytest.fixture
def older(older_url: str) -> Iterator[str]:
    configure(database_url=older_url)
    if older_url.startswith("sqlite"):
        succeed("warm-up")
        migrations.downgrade(older_url, "0002")
    yield older_url
    runguard.testing.reset()


def succeed(job_name: str = "sync", **options: Any) -> None:
    with run_scope(job_name, **options):
        pass


def fail(job_name: str = "sync", **options: Any) -> None:
    with contextlib.suppress(ConnectionRefusedError), run_scope(job_name, **options):
        raise ConnectionRefusedError(111, "Connection refused")


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        found = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return found


def store() -> OperatorStore:
    found: Any = runtime.store()
    return found


RUNS = (
    "select status, error_group, alert_outcome from run_log where job_name <> 'warm-up' order by id"
)


def test_success_failure_and_alert_are_recorded(
    older: str, caplog: pytest.LogCaptureFixture
) -> None:
    succeed()
    fail()
    fail()

    assert rows(older, RUNS) == [
        ("SUCCESS", None, "none"),
        ("FAILED", "UNKNOWN", "raised"),
        ("FAILED", "UNKNOWN", "suppressed"),
    ]
    [(detail,)] = rows(older, "select detail from alert")
    assert "refused" in str(detail)
    assert "internal_error" not in caplog.text


@pytest.mark.parametrize("release", ["0003", "0004"])
def test_a_run_with_an_environment_is_recorded_without_it(
    pg_url: str, release: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNGUARD_ENVIRONMENT", "staging")
    migrations.upgrade(pg_url, release)
    configure(database_url=pg_url)
    with run_scope("own") as run:
        run.emit_alert(
            "NEW", source_type="student", source_id="1", severity="low", title="t", message="m"
        )
    fail(failures_to_alert=2)
    fail(failures_to_alert=2, lock=True)
    runguard.testing.reset()

    outcomes = [outcome for *_, outcome in rows(pg_url, RUNS)]
    assert outcomes == ["none", "none" if release == "0003" else "waiting", "raised"]
    alerts = rows(pg_url, "select source_id from alert order by id")
    assert alerts == [("1@staging",), ("sync:UNKNOWN@staging",)]
    assert "internal_error" not in caplog.text


def test_a_run_with_a_version_and_a_note_is_recorded_without_them(
    pg_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    migrations.upgrade(pg_url, "0005")
    configure(database_url=pg_url, version="a1b2c3d")
    with run_scope("own", lock=True) as run:
        run.note(term="2026-2")
        run.progress(1, 2)
        store().beat([run.key], timeout=10, progress={run.key: (1, 2)})
    fail()

    assert store().lacking == ADDED_BY_0006
    assert rows(pg_url, RUNS) == [("SUCCESS", None, "none"), ("FAILED", "UNKNOWN", "raised")]
    assert rows(pg_url, "select 1 from run_log where heartbeat_at is not null") == [(1,)]
    assert "internal_error" not in caplog.text
    runguard.testing.reset()


def test_a_locked_run_begins_and_a_second_one_is_refused(older: str) -> None:
    with (
        run_scope("sync", lock=True),
        pytest.raises(JobLockActive),
        run_scope("sync", lock=True),
    ):
        raise AssertionError("the body must not run")

    assert rows(older, RUNS) == [
        ("SUCCESS", None, "none"),
        ("FAILED", "LOCK_CONFLICT", "raised"),
    ]


def test_failures_without_alert_are_recorded(older: str) -> None:
    fail(no_alert_on=ConnectionRefusedError)

    assert rows(older, RUNS) == [("FAILED", "UNKNOWN", "excluded")]


def test_failures_that_wait_for_more_are_recorded_in_words_that_it_holds(
    older: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        fail(failures_to_alert=2)

    assert [outcome for *_, outcome in rows(older, RUNS)] == ["none", "raised"]
    assert "internal_error" not in caplog.text


def test_a_lost_run_is_closed_by_the_limit_of_the_reaper(older: str) -> None:
    with run_scope("hourly") as run:
        aged = "started_at - interval '1 hour'"
        if older.startswith("sqlite"):
            aged = "strftime('%Y-%m-%d %H\\:%M\\:%f', started_at, '-3600 seconds')"
        rows(older, f"update run_log set started_at = {aged} where id = {run.id}")

        assert [lost.run_id for lost in reap(store(), Settings())] == [run.id]


def test_records_of_an_outage_are_replayed(older: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as away:

        def refuse(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        away.setattr(store(), "start_run", refuse)
        away.setattr(store(), "replay_run", refuse)
        fail("while-away")
    for replayed in replay(runtime.spool(), store(), seconds=10):
        assert replayed.trouble is None

    assert rows(older, RUNS) == [("FAILED", "UNKNOWN", "raised")]


def test_the_new_columns_are_written_after_the_upgrade_by_a_new_process(older: str) -> None:
    fail()
    runguard.testing.reset()  # as a new process begins
    migrations.upgrade(older)
    configure(database_url=older)

    fail("later")

    assert rows(older, "select error_reason from run_log where job_name = 'later'") == [
        ("refused",)
    ]


def test_a_running_process_notices_the_upgrade_when_it_looks_for_lost_runs(
    older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed()
    assert store().lacking == ADDED_BY_0003 | ADDED_BY_0004 | ADDED_BY_0005 | ADDED_BY_0006
    migrations.upgrade(older)
    monkeypatch.setattr(versions, "ticks", lambda ticks=versions.ticks: ticks() + 600)

    fail("another")  # a job's first start looks for its lost runs

    assert store().lacking == frozenset()
    assert rows(older, "select error_reason from run_log where job_name = 'another'") == [
        ("refused",)
    ]


def test_runs_are_recorded_whole_without_the_tables_of_delivery(
    older_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    migrations.upgrade(older_url)
    configure(database_url=older_url)
    succeed("warm-up")
    migrations.downgrade(older_url, "0003")

    fail()
    fail()

    columns = "select status, alert_outcome, error_reason from run_log where job_name = 'sync'"
    assert rows(older_url, f"{columns} order by id") == [
        ("FAILED", "raised", "refused"),
        ("FAILED", "suppressed", "refused"),
    ]
    assert "internal_error" not in caplog.text
    runguard.testing.reset()


def test_a_schema_without_the_tables_is_told_as_before(pg_url: str) -> None:
    configure(database_url=pg_url)
    with pytest.raises(SchemaOutOfDate, match="no runguard schema"):
        succeed(lock=True)
    runguard.testing.reset()


def test_checking_the_store_is_content_with_a_schema_that_can_be_recorded_on(pg_url: str) -> None:
    migrations.upgrade(pg_url, "0002")

    configure(database_url=pg_url, check=True)

    assert migrations.current(pg_url) == "0002"  # a look changes nothing
    runguard.testing.reset()


def test_a_sqlite_file_that_cannot_be_upgraded_now_is_recorded_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    migrations.upgrade(url, "0002")

    def refuse(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the schema could not be changed")

    with monkeypatch.context() as busy:
        busy.setattr(migrations, "upgrade", refuse)
        configure(database_url=url)
        fail()
        runguard.testing.reset()

    assert migrations.current(url) == "0002"
    assert rows(url, "select status from run_log") == [("FAILED",)]


@pytest.fixture
def proxy(pg_url: str) -> Iterator[ProtocolProxy]:
    migrations.upgrade(pg_url, "0002")
    with ProtocolProxy(pg_url) as proxy:
        configure(database_url=proxy.url)
        yield proxy
        runguard.testing.reset()


def test_a_warm_process_pays_no_round_trip_for_it(proxy: ProtocolProxy) -> None:
    for _ in range(2):
        succeed()
        fail()
        succeed(lock=True)

    with proxy.counting() as traffic:
        succeed()
    assert traffic.trips == 2
    with proxy.counting() as traffic:
        fail()
    assert traffic.trips == 2
    with proxy.counting() as traffic:
        succeed(lock=True)
    assert traffic.trips == 4


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_runs_are_recorded_without_their_notes_where_those_have_no_table(
    kind: str, pg_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = pg_url if kind == "postgresql" else f"sqlite:///{tmp_path / 'own.db'}"
    migrations.upgrade(url)
    rows(url, "drop table run_note")
    configure(database_url=url)
    try:
        fail()
        fail()
        with run_scope("sync") as run:
            run.note(term="2026-2")
    finally:
        runguard.testing.reset()

    assert [one[0] for one in rows(url, RUNS)] == ["FAILED", "FAILED", "SUCCESS"]
    [told] = [one.message for one in caplog.records if "internal_error" in one.message]
    assert "runs are recorded without their notes" in told
    assert "`runguard db check` names what is missing" in told


def test_two_threads_that_find_it_older_at_once_both_record(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.upgrade(pg_url, "0002")
    both = threading.Barrier(2)
    with contextlib.closing(open_store(pg_url)) as store, ThreadPoolExecutor(2) as threads:
        schema_error = repeating.schema_error

        def schema_error_of_both(engine: Engine) -> Exception:
            error = schema_error(engine)
            both.wait(timeout=10)
            return error

        monkeypatch.setattr(repeating, "schema_error", schema_error_of_both)
        starting = [threads.submit(store.start_run, new_run(), timeout=TIMEOUT) for _ in range(2)]

        assert sorted(run.result() for run in starting) == [1, 2]
