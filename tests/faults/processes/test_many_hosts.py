"""Many hosts share one server: processes of their own, each with a host name of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.processes import race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.pgbouncer import PgBouncer

HOSTS, THREADS, RUNS = 8, 8, 80
MOST_CONNECTIONS = 5  # of each process, by default
POOL = 20  # of PgBouncer, by default

# One job fails everywhere at once; another succeeds on each host.
HOST = f"""
import ctypes, os, socket, sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

# A namespace of its own, so that the kernel itself says another name here.
new_names, new_user = 0x04000000, 0x10000000
flags = new_names if os.geteuid() == 0 else new_names | new_user
if ctypes.CDLL(None, use_errno=True).unshare(flags):
    report("refused")
    wait()
    sys.exit()
socket.sethostname(f"host-{{index}}")

import runguard
from runguard import run_scope

runguard.configure(database_url=sys.argv[1], store_timeout=timedelta(minutes=2))

def work(number):
    try:
        with run_scope("nightly" if number % 2 else "hourly"):
            if number % 2:
                raise TimeoutError("the upstream did not answer")
    except TimeoutError:
        pass

wait()
with ThreadPoolExecutor({THREADS}) as threads:
    list(threads.map(work, range({RUNS})))
report(os.uname().nodename)
"""


@pytest.fixture
def connection(migrated_pg_url: str) -> Iterator[psycopg.Connection]:
    """Beside the hosts, on the server itself."""
    url = make_url(migrated_pg_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def work_on_all_hosts(url: str) -> None:
    outcomes = race(HOST, count=HOSTS, arguments=[url])
    if any(outcome.reports == ["refused"] for outcome in outcomes):
        pytest.skip("this kernel gives no host name of its own")
    assert [outcome.reports for outcome in outcomes] == [[f"host-{n}"] for n in range(HOSTS)]


def assert_all_is_recorded_and_told_once(connection: psycopg.Connection) -> None:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode()).fetchall()

    assert ask("select job_name, status, count(*) from run_log group by 1, 2 order by 1") == [
        ("hourly", "SUCCESS", HOSTS * RUNS // 2),
        ("nightly", "FAILED", HOSTS * RUNS // 2),
    ]
    assert ask("select host, count(*) from run_log group by 1 order by 1") == [
        (f"host-{number}", RUNS) for number in range(HOSTS)
    ]
    assert ask("select source_id from alert") == [("nightly:TIMEOUT",)]
    assert ask("select count(*) from run_log where alert_outcome = 'raised'") == [(1,)]


def other_sessions(connection: psycopg.Connection) -> int:
    [(count,)] = connection.execute(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    ).fetchall()
    return int(count)


def sessions_so_far(connection: psycopg.Connection) -> int:
    connection.execute("select pg_stat_clear_snapshot()")
    [(count,)] = connection.execute(
        "select sessions from pg_stat_database where datname = current_database()"
    ).fetchall()
    return int(count)


def test_each_host_opens_no_more_connections_than_it_may(
    migrated_pg_url: str, connection: psycopg.Connection
) -> None:
    before = sessions_so_far(connection)

    work_on_all_hosts(migrated_pg_url)

    assert_all_is_recorded_and_told_once(connection)
    deadline = time.monotonic() + 60
    while other_sessions(connection):  # a session is counted for sure when it has ended
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sessions_so_far(connection) - before <= HOSTS * MOST_CONNECTIONS + 1


def test_behind_a_pooler_the_server_sees_the_pool_only(
    migrated_pg_url: str, pgbouncer: PgBouncer, connection: psycopg.Connection
) -> None:
    work_on_all_hosts(pgbouncer.through(migrated_pg_url))

    assert_all_is_recorded_and_told_once(connection)
    assert 1 <= other_sessions(connection) <= POOL  # the pooler keeps them for a while
