"""What a run costs, counted at the protocol."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

import runguard
import runguard.testing
from runguard import run_scope
from tests.store.drafts import TIMEOUT, new_run
from tests.support.protocol import ProtocolProxy
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.support.protocol import Traffic


@pytest.fixture
def proxy(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url)
        yield proxy
        runguard.testing.reset()


def succeed(**options: bool) -> None:
    with run_scope("enrolment_sync", **options):
        pass


def fail(job_name: str = "enrolment_sync", *, failures_to_alert: int | None = None) -> None:
    scope = run_scope(job_name, failures_to_alert=failures_to_alert)
    with contextlib.suppress(ValueError), scope:
        raise ValueError("bad input")


def warm_up() -> None:
    for _ in range(2):
        succeed()
        fail("warm-up")
        succeed(lock=True)


def libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def words(traffic: Traffic) -> list[str]:
    return [statement.split()[0].upper() for statement in traffic.statements]


@pytest.mark.parametrize("times", [1, 20])
def test_a_successful_run_is_two_round_trips(proxy: ProtocolProxy, times: int) -> None:
    warm_up()
    with proxy.counting() as traffic:
        for _ in range(times):
            succeed()

    assert traffic.trips == 2 * times
    assert words(traffic) == ["INSERT", "UPDATE"] * times
    assert traffic.connections == 0


def test_a_failed_run_is_two_round_trips_whether_it_alerts_or_not(proxy: ProtocolProxy) -> None:
    warm_up()
    for expected_alert in (True, False):
        with proxy.counting() as traffic:
            fail()

        assert traffic.trips == 2, expected_alert
        assert words(traffic) == ["INSERT", "WITH"]


def test_an_environment_adds_none(migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGUARD_ENVIRONMENT", "staging")
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url)
        warm_up()
        with proxy.counting() as traffic:
            succeed()
            fail()

        runguard.testing.reset()
    assert words(traffic) == ["INSERT", "UPDATE", "INSERT", "WITH"]
    assert traffic.trips == 4


def test_what_a_run_notes_adds_none(proxy: ProtocolProxy) -> None:
    warm_up()
    for _ in range(2):  # the first prepares
        with proxy.counting() as traffic:
            with run_scope("enrolment_sync") as run:
                run.note(term="2026-2")
            with contextlib.suppress(ValueError), run_scope("enrolment_sync") as run:
                run.note(term="2026-2")
                raise ValueError("bad input")

    assert words(traffic) == ["INSERT", "WITH"] * 2
    assert traffic.trips == 4


def test_a_failed_run_without_a_note_is_two_too(migrated_pg_url: str) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, capture_traceback=False, capture_logs=False)
        warm_up()
        with proxy.counting() as traffic:
            fail()

        runguard.testing.reset()
    assert words(traffic) == ["INSERT", "WITH"]
    assert traffic.trips == 2
    assert not any("run_note" in statement for statement in traffic.statements)


def test_progress_is_written_by_the_statement_of_the_heartbeat(proxy: ProtocolProxy) -> None:
    store = open_store(proxy.url)
    one, other = new_run(), new_run()
    for run in (one, other):
        store.start_run(run, timeout=TIMEOUT)
    progress: dict[UUID, tuple[int, int | None]] = {one.key: (1, 2), other.key: (1, None)}
    for _ in range(2):
        with proxy.counting() as traffic:
            store.beat([one.key, other.key], timeout=TIMEOUT, progress=progress)

    store.close()
    assert words(traffic) == ["WITH"]
    assert traffic.trips == 1


def test_so_is_one_that_waits_for_more_failures(proxy: ProtocolProxy) -> None:
    warm_up()
    fail("waiting", failures_to_alert=2)
    for outcome in ("waiting", "raised"):
        with proxy.counting() as traffic:
            fail(failures_to_alert=2)

        assert traffic.trips == 2, outcome
        assert words(traffic) == ["INSERT", "WITH"]


def test_a_lock_adds_two_round_trips(proxy: ProtocolProxy) -> None:
    warm_up()
    with proxy.counting() as traffic:
        succeed(lock=True)

    assert traffic.trips == 4


def test_a_lock_conflict_is_two_round_trips(proxy: ProtocolProxy) -> None:
    warm_up()
    with run_scope("enrolment_sync", lock=True):
        for _ in range(2):
            with (
                proxy.counting() as traffic,
                contextlib.suppress(runguard.JobLockActive),
                run_scope("enrolment_sync", lock=True),
            ):
                pass

        assert traffic.trips == 2


def test_the_first_run_prepares_and_later_ones_only_bind(proxy: ProtocolProxy) -> None:
    succeed()
    with proxy.counting() as traffic:
        succeed()

    assert "P" not in traffic.messages
    assert traffic.trips == 2


def test_nothing_is_prepared_where_another_session_answers(
    proxy: ProtocolProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.postgresql.connection import BoundedConnection

    # What a transaction pooler shows its clients; the pooler itself is in the pooler suite.
    monkeypatch.setattr(BoundedConnection, "is_direct", lambda _: False)
    with proxy.counting() as traffic:
        for _ in range(10):
            succeed()

    assert traffic.messages.count("P") == traffic.messages.count("E")


def test_a_poolers_error_about_a_prepared_statement_ends_preparing(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    warm_up()
    # The server forgets what was prepared, as it seems to a client that a pooler moved.
    from runguard._api import runtime

    with runtime.store().engine.connect() as connection:  # type: ignore[attr-defined]
        connection.connection.driver_connection.pgconn.exec_(b"deallocate all")
    with proxy.counting() as traffic:
        succeed()
        fail()
        succeed()

    with psycopg.connect(libpq(migrated_pg_url)) as connection:
        rows = connection.execute("select status from run_log order by id offset 6").fetchall()
    assert [status for (status,) in rows] == ["SUCCESS", "FAILED", "SUCCESS"]
    assert traffic.messages.count("P") >= 6


def test_suppressed_failures_do_not_wait_for_each_other(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    fail()
    with psycopg.connect(libpq(migrated_pg_url)) as blocker:
        blocker.execute("select * from alert_cooldown for update")
        blocker.execute("select * from alert for update")
        done = threading.Thread(target=fail, daemon=True)
        done.start()
        done.join(timeout=20)

        assert not done.is_alive()
    with psycopg.connect(libpq(migrated_pg_url)) as connection:
        rows = connection.execute("select alert_outcome from run_log order by id").fetchall()
    assert rows == [("raised",), ("suppressed",)]


def test_an_idle_connection_is_not_trusted(
    proxy: ProtocolProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.postgresql import engine as engines

    succeed()
    with proxy.counting() as traffic:
        succeed()
    assert traffic.connections == 0

    monkeypatch.setattr(engines, "IDLE_LIMIT_SECONDS", 0.0)
    with proxy.counting() as traffic:
        succeed()
    assert traffic.connections == 2  # one for each statement: both came from the idle pool
