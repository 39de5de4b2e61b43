"""Empty databases, and filled ones of an installation that was there before runguard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from .databases import Database, Installation, dsn, insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresAddress

ROWS = 10_000


@pytest.fixture
def database(pg_url: str) -> Iterator[Database]:
    """An empty database."""
    with psycopg.connect(dsn(pg_url), autocommit=True) as connection:
        yield Database(pg_url, connection)


@pytest.fixture
def install(database: Database) -> Callable[..., Database]:
    """Makes an old installation with a few rows in the database; takes `Installation`'s options."""

    def make(**spelling: str) -> Database:
        database.rows(Installation(**spelling).statements())
        insert(database.connection, count=20)
        return database

    return make


@pytest.fixture(scope="session")
def _filled_template(postgres: PostgresAddress) -> Iterator[str]:
    with postgres.database() as name:
        with postgres.connect(name) as connection:
            connection.execute(Installation().statements().encode())
            insert(connection, count=ROWS)
        yield name


@pytest.fixture
def filled(postgres: PostgresAddress, _filled_template: str) -> Iterator[Database]:
    """An old installation with thousands of rows in each table."""
    with (
        postgres.database(template=_filled_template) as name,
        postgres.connect(name) as connection,
    ):
        yield Database(postgres.url(name), connection)
