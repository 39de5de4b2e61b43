"""Many clients on few server sessions: nobody may prepare what another's session will miss."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url

import runguard
import runguard.testing
from runguard import run_scope
from tests.faults.pooler.conftest import PATIENT
from tests.support.postgres import PostgresAddress
from tests.support.processes import race
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.pgbouncer import PgBouncer

    Rows = Callable[[str], list[tuple[Any, ...]]]

PROCESSES, THREADS, TIMES = 8, 2, 24
SESSIONS = 3


@pytest.fixture
def narrow(
    postgres: PostgresAddress, private_pgbouncer: Callable[..., PgBouncer]
) -> Iterator[PgBouncer]:
    """A pooler with fewer sessions on the server than it has clients."""
    return private_pgbouncer(postgres, default_pool_size=SESSIONS)


def prepared_statements(pooler: PgBouncer, database: str) -> dict[int, list[str]]:
    """What each of the pooler's sessions holds: all of them at once, so that none is seen twice."""
    found = {}
    with contextlib.ExitStack() as stack:
        for _ in range(SESSIONS):
            connection = stack.enter_context(
                psycopg.connect(pooler.dsn(database), prepare_threshold=None)
            )
            # The open transaction keeps its session from the next connection.
            rows = connection.execute(
                "select pg_backend_pid(), name from (select) as one"
                " left join pg_prepared_statements on true"
            ).fetchall()
            found[rows[0][0]] = [name for _, name in rows if name is not None]
    return found


def sessions_of(postgres: PostgresAddress, pooler: PgBouncer, database: str) -> set[int]:
    with postgres.connect() as connection:
        return {
            pid
            for (pid,) in connection.execute(
                "select pid from pg_stat_activity where datname = %s", [database]
            )
        }


def test_many_clients_on_few_sessions_lose_nothing_and_prepare_nothing(
    narrow: PgBouncer, postgres: PostgresAddress, migrated_pg_url: str, rows: Rows
) -> None:
    url = narrow.through(migrated_pg_url)
    outcomes = race(
        "from tests.faults.pooler.clients import runguard_runs\n"
        "wait()\n"
        f"runguard_runs({url!r}, index, {TIMES}, {THREADS})",
        count=PROCESSES,
    )

    assert [outcome.exit_code for outcome in outcomes] == [0] * PROCESSES
    assert "internal_error" not in "".join(outcome.stderr for outcome in outcomes)
    workers = PROCESSES * THREADS
    assert rows("select status, count(*) from run_log group by 1 order by 1") == [
        ("FAILED", workers * TIMES // 2),
        ("SUCCESS", workers * TIMES // 2),
    ]
    assert rows("select count(*), count(distinct alert_key) from alert") == [
        (workers * TIMES // 2, workers * TIMES // 2)
    ]
    # Every run of every client, each once.
    assert rows(
        "select distinct runs, kinds from (select count(*) as runs,"
        " count(distinct total_records) as kinds from run_log group by job_name) as jobs"
    ) == [(TIMES, TIMES)]
    database = str(make_url(migrated_pg_url).database)
    sessions = sessions_of(postgres, narrow, database)
    assert len(sessions) == SESSIONS
    assert prepared_statements(narrow, database) == {pid: [] for pid in sessions}


def test_a_client_that_prepares_is_caught_by_this_pooler(
    narrow: PgBouncer, postgres: PostgresAddress, migrated_pg_url: str
) -> None:
    database = str(make_url(migrated_pg_url).database)
    outcomes = race(
        "from tests.faults.pooler.clients import psycopg_prepares\n"
        "wait()\n"
        f"report(psycopg_prepares({narrow.dsn(database)!r}, 50))",
        count=PROCESSES,
    )

    assert {outcome.reports[0] for outcome in outcomes} & {"26000", "42P05", "08P01"}
    assert any(prepared_statements(narrow, database).values())


def test_every_statement_is_parsed_without_a_name(narrow: PgBouncer, migrated_pg_url: str) -> None:
    with ProtocolProxy(narrow.through(migrated_pg_url)) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=PATIENT)
        with proxy.counting() as traffic:
            for number in range(10):
                with contextlib.suppress(ValueError), run_scope("enrolment_sync", lock=True):
                    if number % 2:
                        raise ValueError("bad input")
        runguard.testing.reset()

    assert traffic.messages.count("E") >= 40  # lock, start, finish, release
    assert traffic.messages.count("P") == traffic.messages.count("E")


def test_a_pooler_that_is_put_in_between_later_is_noticed(
    narrow: PgBouncer, postgres: PostgresAddress, migrated_pg_url: str, rows: Rows
) -> None:
    database = str(make_url(migrated_pg_url).database)
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=PATIENT)
        with proxy.counting() as traffic:
            for _ in range(3):
                with run_scope("direct"):
                    pass
        assert traffic.messages.count("P") < traffic.messages.count("E")

        proxy.retarget(narrow.url())
        proxy.cut()
        for _ in range(3):
            with run_scope("pooled"):
                pass
        runguard.testing.reset()

    assert rows("select job_name, status, count(*) from run_log group by 1, 2 order by 1") == [
        ("direct", "SUCCESS", 3),
        ("pooled", "SUCCESS", 3),
    ]
    assert not any(prepared_statements(narrow, database).values())


def test_an_engine_of_the_users_own_stops_preparing_behind_a_pooler(
    narrow: PgBouncer, migrated_pg_url: str, rows: Rows
) -> None:
    engine = create_engine(narrow.through(migrated_pg_url))  # psycopg prepares by itself
    runguard.configure(engine=engine, store_timeout=PATIENT)
    for _ in range(20):
        with run_scope("enrolment_sync"):
            pass
    runguard.testing.reset()
    engine.dispose()

    assert rows("select status, count(*) from run_log group by 1") == [("SUCCESS", 20)]
    database = str(make_url(migrated_pg_url).database)
    assert not any(prepared_statements(narrow, database).values())
