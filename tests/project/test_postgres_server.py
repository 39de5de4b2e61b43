from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import PostgresAddress, PostgresServer


def test_two_databases_of_a_server_do_not_share_tables(postgres: PostgresAddress) -> None:
    with postgres.database() as one, postgres.database() as other:
        with postgres.connect(one) as connection:
            connection.execute("create table mine (id int)")
        with postgres.connect(other) as connection:
            found = connection.execute("select to_regclass('mine')").fetchone()

    assert found == (None,)


def test_a_database_from_a_template_holds_its_rows(postgres: PostgresAddress) -> None:
    with postgres.database() as template:
        with postgres.connect(template) as connection:
            connection.execute("create table mine as select 7 as id")
        with postgres.database(template=template) as copy, postgres.connect(copy) as connection:
            assert connection.execute("select id from mine").fetchall() == [(7,)]


def test_a_database_is_gone_after_its_block(postgres: PostgresAddress) -> None:
    with postgres.database() as name:
        left_open = postgres.connect(name)

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        postgres.connect(name)
    left_open.close()


def test_pg_url_is_an_empty_database(pg_url: str, postgres: PostgresAddress) -> None:
    with postgres.connect(make_url(pg_url).database) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        assert tables.fetchall() == []


def test_a_killed_server_refuses_and_comes_back_with_what_was_committed(
    private_postgres: Callable[..., PostgresServer],
) -> None:
    server = private_postgres(durable=True)
    with server.connect() as connection:
        connection.execute("create table mine as select 7 as id")

    server.kill()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        server.connect()

    server.start()
    with server.connect() as connection:
        assert connection.execute("select id from mine").fetchall() == [(7,)]


def test_a_restart_ends_the_connections_and_keeps_the_port(
    private_postgres: Callable[..., PostgresServer],
) -> None:
    server = private_postgres(settings={"max_connections": "20"})
    with server.connect() as before:
        server.restart()
        with pytest.raises(psycopg.OperationalError):
            before.execute("select 1")

    with server.connect() as after:
        assert after.execute("show max_connections").fetchone() == ("20",)


def test_the_socket_takes_connections_too(
    private_postgres: Callable[..., PostgresServer],
) -> None:
    server = private_postgres()

    with psycopg.connect(
        host=str(server.socket_dir), port=server.port, user="postgres", dbname="postgres"
    ) as connection:
        assert connection.execute("select inet_server_addr()").fetchone() == (None,)


def test_nothing_is_left_of_a_server_whose_owner_was_killed() -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tests.support.postgres import PostgresServer\n"
            "server = PostgresServer().start()\n"
            "print(server.process.pid, server._keeper.pid, server.folder, flush=True)\n"
            "input()",
        ],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        server_pid, keeper_pid, folder = owner.stdout.readline().split()
        server, keeper = psutil.Process(int(server_pid)), psutil.Process(int(keeper_pid))
        os.kill(owner.pid, signal.SIGKILL)

    _, alive = psutil.wait_procs([server, keeper], timeout=30)
    assert alive == []
    assert not Path(folder).exists()
