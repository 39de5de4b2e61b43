"""The schema is upgraded through a transaction pooler as well, though no promise is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import make_url

from runguard._store import migrate as migrations

if TYPE_CHECKING:
    from tests.support.pgbouncer import PgBouncer
    from tests.support.postgres import PostgresAddress


def test_the_schema_is_made_through_a_pooler_and_nothing_stays_locked(
    pgbouncer: PgBouncer, postgres: PostgresAddress, pg_url: str
) -> None:
    migrations.upgrade(pgbouncer.through(pg_url))

    assert migrations.check(pg_url) == []
    with postgres.connect(make_url(pg_url).database) as connection:
        left = connection.execute(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database"
            " where l.locktype = 'advisory' and d.datname = current_database()"
        ).fetchone()
    assert left == (0,)
