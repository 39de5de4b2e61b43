"""runguard behind a PgBouncer of the test's own, whose server side can be broken."""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

import runguard
from tests.support import pgbouncer as pooling
from tests.support.postgres import PostgresAddress
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = timedelta(minutes=2)  # on a busy machine a healthy store may be slow


@pytest.fixture
def private_pgbouncer() -> Iterator[Callable[..., pooling.PgBouncer]]:
    """Starts poolers of the test's own; takes the server and settings."""
    if pooling.PROGRAM is None:
        pytest.skip(pooling.MISSING)
    with contextlib.ExitStack() as poolers:
        yield lambda server, **settings: poolers.enter_context(
            pooling.PgBouncer(server, {name: str(value) for name, value in settings.items()})
        )


@pytest.fixture
def behind(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    """Stands between the pooler and its server, where a test breaks the network."""
    with ProtocolProxy(migrated_pg_url) as proxy:
        yield proxy


@pytest.fixture
def pooler(
    behind: ProtocolProxy,
    private_pgbouncer: Callable[..., pooling.PgBouncer],
    migrated_pg_url: str,
) -> Iterator[pooling.PgBouncer]:
    """The pooler that runguard is configured with: client, pooler, `behind`, server."""
    # It tries again at once, not after 15 seconds: the tests would have to wait that long.
    pooler = private_pgbouncer(PostgresAddress(behind.url), server_login_retry=0.1)
    runguard.configure(database_url=pooler.through(migrated_pg_url), store_timeout=PATIENT)
    yield pooler
    runguard.testing.reset()


@pytest.fixture
def rows(migrated_pg_url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the server itself, past the pooler."""
    libpq = make_url(migrated_pg_url).set(drivername="postgresql")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            libpq.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The names of the events that runguard logged."""
    caplog.set_level(logging.DEBUG, logger="runguard")

    def logged() -> list[str]:
        return [
            record.getMessage().split()[0]
            for record in caplog.records
            if hasattr(record, "runguard")
        ]

    return logged
