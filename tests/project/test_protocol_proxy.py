from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresAddress


@pytest.fixture
def proxy(pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(pg_url) as proxy:
        yield proxy


def connect(proxy: ProtocolProxy, **options: object) -> psycopg.Connection:
    url = proxy.url.replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True, connect_timeout=5, **options)


def count_in(pg_url: str, table: str) -> int:
    with psycopg.connect(pg_url.replace("+psycopg", "")) as connection:
        return connection.execute(f"select count(*) from {table}").fetchone()[0]


def test_a_statement_in_autocommit_is_one_trip(proxy: ProtocolProxy) -> None:
    with connect(proxy) as connection, proxy.counting() as traffic:
        connection.execute("select %s::int", [7])

        assert traffic.trips == 1
        assert traffic.statements == ["select $1::int"]
        assert traffic.messages == ["P", "B", "D", "E", "S"]


def test_a_simple_query_is_one_trip(proxy: ProtocolProxy) -> None:
    with connect(proxy) as connection, proxy.counting() as traffic:
        psycopg.ClientCursor(connection).execute("select 1; select 2")

        assert (traffic.trips, traffic.messages) == (1, ["Q"])
        assert traffic.statements == ["select 1; select 2"]


def test_a_transaction_is_three_trips(proxy: ProtocolProxy) -> None:
    with connect(proxy) as connection, proxy.counting() as traffic:
        with connection.transaction():
            connection.execute("select 1")

        assert traffic.trips == 3
        assert traffic.statements == ["BEGIN", "select 1", "COMMIT"]


def test_preparing_costs_a_trip_once_and_the_text_is_known_afterwards(
    proxy: ProtocolProxy,
) -> None:
    with connect(proxy) as connection, proxy.counting() as traffic:
        for _ in range(3):
            connection.execute("select 'prepared'", prepare=True)

        assert traffic.trips == 4
        assert traffic.statements == ["select 'prepared'"] * 3


def test_the_ping_and_the_begin_of_an_engine_are_seen(proxy: ProtocolProxy) -> None:
    engine = create_engine(proxy.url, pool_pre_ping=True)
    with engine.connect():
        pass
    with proxy.counting() as traffic, engine.connect() as connection:
        connection.execute(text("select 'mine'"))
    engine.dispose()

    *ping, begin, mine, rollback = traffic.statements
    assert ping
    assert (begin, mine, rollback) == ("BEGIN", "select 'mine'", "ROLLBACK")


def test_a_pipeline_is_one_trip(proxy: ProtocolProxy) -> None:
    with connect(proxy) as connection, proxy.counting() as traffic:
        with connection.pipeline():
            connection.execute("select 1")
            connection.execute("select 2")

        assert (traffic.trips, traffic.statements) == (1, ["select 1", "select 2"])


def test_large_statements_and_answers_pass_whole(proxy: ProtocolProxy) -> None:
    large = "x" * 3_000_000
    with connect(proxy) as connection, proxy.counting() as traffic:
        row = connection.execute("select %s || 'y'", [large]).fetchone()

        assert row == (large + "y",)
        assert traffic.trips == 1


def test_connections_are_counted(proxy: ProtocolProxy) -> None:
    with proxy.counting() as traffic:
        for _ in range(3):
            connect(proxy).close()

    assert traffic.connections == 3


def test_counting_starts_afresh_each_time(proxy: ProtocolProxy) -> None:
    with connect(proxy) as connection:
        with proxy.counting() as first:
            connection.execute("select 1")
        with proxy.counting() as second:
            connection.execute("select 2")

    assert (first.statements, second.statements) == (["select 1"], ["select 2"])


def test_cut_ends_open_connections_and_lets_new_ones_in(proxy: ProtocolProxy) -> None:
    with connect(proxy) as before:
        proxy.cut()

        with pytest.raises(psycopg.OperationalError):
            before.execute("select 1")
    with connect(proxy) as after:
        assert after.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("prepare", [False, True])
def test_cut_at_a_statement_leaves_the_server_before_or_after_it(
    proxy: ProtocolProxy, pg_url: str, when: str, rows: int, prepare: bool
) -> None:
    with connect(proxy) as connection:
        connection.execute("create table mine (id int)")
        sprung = proxy.cut_at("INSERT into mine", when=when)

        with pytest.raises(psycopg.OperationalError):
            connection.execute("insert into mine values (%s)", [7], prepare=prepare)

    assert sprung.wait(timeout=5)
    assert count_in(pg_url, "mine") == rows


def test_cut_at_springs_once(proxy: ProtocolProxy, pg_url: str) -> None:
    with connect(proxy) as connection:
        connection.execute("create table mine (id int)")
        proxy.cut_at("insert into mine")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("insert into mine values (1)")

    with connect(proxy) as again:
        again.execute("insert into mine values (2)")
    assert count_in(pg_url, "mine") == 1


def test_a_refusing_proxy_refuses_until_it_resumes(proxy: ProtocolProxy) -> None:
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        connect(proxy)

    proxy.resume()
    with connect(proxy) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_stalled_proxy_accepts_and_never_answers(proxy: ProtocolProxy) -> None:
    proxy.stall()

    with pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(proxy.url.replace("+psycopg", ""), connect_timeout=2)


@pytest.mark.parametrize(
    ("directions", "reaches_the_server"),
    [((), False), (("to_server",), False), (("to_client",), True)],
)
def test_a_stalled_statement_gets_its_answer_after_resume(
    proxy: ProtocolProxy,
    postgres: PostgresAddress,
    directions: tuple[str, ...],
    reaches_the_server: bool,
) -> None:
    answers: list[object] = []
    with connect(proxy) as connection, postgres.connect() as witness:
        name = f"stall_{proxy.port}"
        connection.execute("select set_config('application_name', %s, false)", [name])
        proxy.stall(*directions)
        query = threading.Thread(
            target=lambda: answers.append(connection.execute("select 'late'").fetchone())
        )
        query.start()
        query.join(timeout=0.5)
        last_query = witness.execute(
            "select query from pg_stat_activity where application_name = %s", [name]
        ).fetchone()
        answered_early = list(answers)

        proxy.resume()
        query.join(timeout=5)

    assert answered_early == []
    assert (last_query == ("select 'late'",)) is reaches_the_server
    assert answers == [("late",)]


def test_a_frozen_connection_stays_silent_while_new_ones_work(proxy: ProtocolProxy) -> None:
    answers: list[object] = []
    frozen = connect(proxy)
    proxy.freeze()
    query = threading.Thread(target=lambda: answers.append(_result_or_error(frozen)))
    query.start()
    query.join(timeout=0.3)
    with connect(proxy) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    answered_early = list(answers)
    proxy.cut()
    query.join(timeout=5)

    assert answered_early == []
    assert isinstance(answers[0], psycopg.OperationalError)
    frozen.close()


def _result_or_error(connection: psycopg.Connection) -> object:
    try:
        return connection.execute("select 'late'").fetchone()
    except psycopg.Error as error:
        return error


def test_a_retargeted_proxy_leads_new_connections_to_another_server(proxy: ProtocolProxy) -> None:
    with connect(proxy) as stays, socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(10)
        proxy.retarget(f"postgresql://127.0.0.1:{other.getsockname()[1]}/any")
        with socket.create_connection(("127.0.0.1", proxy.port)) as moved:
            moved.sendall(b"hello, other")
            accepted, _ = other.accept()
            with accepted:
                greeting = accepted.recv(64)

        assert greeting == b"hello, other"
        assert stays.execute("select 1").fetchone() == (1,)


def test_no_thread_outlives_the_proxy(pg_url: str) -> None:
    before = set(threading.enumerate())
    with ProtocolProxy(pg_url) as proxy:
        stays_open = connect(proxy)
        proxy.stall()

    assert set(threading.enumerate()) == before
    stays_open.close()
