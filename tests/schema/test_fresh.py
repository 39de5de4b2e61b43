"""Where nothing was before: the migrations make what `tables.py` says, and unmake it."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from runguard import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from runguard._errors import SchemaConflict
from runguard._store import migrate as migrations
from runguard._store.schema.indexes import metadata
from runguard._store.schema.tables import SCHEMA_VERSION, VERSION_TABLE
from runguard._store.sqlite.engine import make_sqlite_engine
from runguard._store.sqlite.operator import SqliteOperatorStore

if TYPE_CHECKING:
    from pathlib import Path

    from .databases import Database


def created(url: str) -> None:
    """What the tables are, made without any migration."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(
            text(
                f"create table {VERSION_TABLE} (version_num varchar(32) not null,"
                f" constraint {VERSION_TABLE}_pkc primary key (version_num))"
            )
        )


def sqlite_schema(file: Path) -> dict[str, Any]:
    """Each table and index, by PRAGMA and the words of its definition."""
    with closing(sqlite3.connect(file)) as connection:
        written = dict(
            connection.execute("select name, lower(sql) from sqlite_master where sql > ''")
        )
        return {
            name: (
                sorted(row[1:] for row in connection.execute(f"pragma index_list('{name}')")),
                sorted(row[1] for row in connection.execute(f"pragma table_info('{name}')")),
                words_of(definition),
            )
            for name, definition in written.items()
            if not name.startswith("sqlite_")
        }


def words_of(definition: str) -> list[list[str]]:
    """The words of each clause; a table's columns in any order, as an upgrade adds them last."""
    clauses = [definition]
    if definition.startswith("create table"):
        inside = definition.partition("(")[2].removesuffix(")")
        clauses = re.split(r",\s*(?![^()]*\))", inside)
    return sorted(re.findall(r"[^\s(),]+", clause) for clause in clauses)


def made_by_the_store(url: str) -> None:
    """A SQLite file as a first run makes it."""
    store = SqliteOperatorStore(make_sqlite_engine(make_url(url)), upgrade=migrations.upgrade)
    store.make_schema()
    store.close()


def execute(url: str, statement: str) -> None:
    """Run a statement on a SQLite file, and leave no connection behind."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)


def test_an_upgrade_makes_exactly_the_tables(database: Database, postgres: Any) -> None:
    migrations.upgrade(database.url)

    with postgres.database() as name:
        created(postgres.url(name))
        with postgres.connect(name) as connection:
            assert database.schema() == type(database)(postgres.url(name), connection).schema()


def test_alembic_sees_no_difference_to_the_tables(database: Database) -> None:
    migrations.upgrade(database.url)

    engine = create_engine(database.url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_server_default": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []


def test_a_second_upgrade_has_nothing_to_do(database: Database) -> None:
    said: list[str] = []
    migrations.upgrade(database.url)

    migrations.upgrade(database.url, progress=said.append)

    assert said == []


def test_a_downgrade_to_the_base_leaves_an_empty_database(database: Database) -> None:
    empty = database.schema()
    migrations.upgrade(database.url)

    migrations.downgrade(database.url, "base")

    assert database.schema() == empty
    assert migrations.current(database.url) is None


def test_up_down_and_up_again_is_as_good_as_up(database: Database) -> None:
    migrations.upgrade(database.url)
    once = database.schema()

    migrations.downgrade(database.url, "base")
    migrations.upgrade(database.url)

    assert database.schema() == once


def test_a_given_engine_is_used(database: Database) -> None:
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")

    migrations.upgrade(engine)

    assert migrations.current(engine) == SCHEMA_VERSION
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_role_may_default_to_another_isolation(database: Database, isolation: str) -> None:
    name = make_url(database.url).database
    database.rows(f"alter database {name} set default_transaction_isolation = '{isolation}'")

    migrations.upgrade(database.url)

    assert migrations.check(database.url) == []


def test_the_tables_live_where_the_search_path_says(database: Database) -> None:
    name = make_url(database.url).database
    database.rows(f"create schema ops; alter database {name} set search_path = ops, public")

    migrations.upgrade(database.url)

    where = database.values(
        "select distinct schemaname from pg_tables where tablename like '%a%'"
        " and schemaname not in ('pg_catalog', 'information_schema')"
    )
    assert where == ["ops"]
    assert migrations.check(database.url) == []


def test_a_search_path_to_nowhere_is_told_with_the_remedy(database: Database) -> None:
    name = make_url(database.url).database
    database.rows(f"alter database {name} set search_path = nowhere")

    with pytest.raises(StoreUnavailable, match="search_path that begins with a schema that exists"):
        migrations.upgrade(database.url)


def test_a_role_that_may_not_is_told_of_the_script(database: Database, postgres: Any) -> None:
    name = make_url(database.url).database
    role = f"reader_{name}"
    database.rows(f"create role {role} login; revoke create on schema public from public")
    try:
        with pytest.raises(StoreUnavailable, match=r"permission denied.*runguard db upgrade --sql"):
            migrations.upgrade(postgres.url(name, role))
    finally:
        database.rows(f"drop role {role}")


def test_the_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable) as raised:
        migrations.upgrade("postgresql://ana:s3cret@127.0.0.1:1/nothing")

    assert "s3cret" not in str(raised.value)


def test_check_asks_for_an_upgrade_where_there_is_no_schema(database: Database) -> None:
    needed = f"found no runguard schema, needed version {SCHEMA_VERSION}"
    with pytest.raises(SchemaOutOfDate, match=needed):
        migrations.check(database.url)


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (
            "drop index runguard_alert_created_at",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS runguard_alert_created_at",
        ),
        ("alter table run_log drop column heartbeat_at", "ADD COLUMN heartbeat_at"),
        ("alter table run_log alter column host type char(9)", "run_log.host: found character(9)"),
        ("drop table alert_cooldown", "alert_cooldown: found no such table"),
        ("alter table job_lock drop constraint job_lock_pkey", "no primary key on job_name"),
    ],
)
def test_check_says_what_is_wrong(database: Database, damage: str, wrong: str) -> None:
    migrations.upgrade(database.url)
    database.rows(damage)

    assert wrong in "\n".join(migrations.check(database.url))


def test_a_schema_from_the_future_is_left_alone(database: Database) -> None:
    migrations.upgrade(database.url)
    database.rows("update runguard_version set version_num = '9999'")

    with pytest.raises(SchemaOutOfDate, match="found runguard schema version 9999"):
        migrations.upgrade(database.url)


def test_an_unknown_revision_is_named(database: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"expected base, head or one of .*'0001'.*'0815'"):
        migrations.upgrade(database.url, "0815")


def test_the_host_s_alembic_and_logging_are_left_alone(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic\nscript_location = nowhere")
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)

    migrations.upgrade(database.url)

    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("alembic").level == logging.NOTSET


def test_sqlite_gets_what_the_store_makes_by_itself(tmp_path: Path) -> None:
    made_by_the_store(f"sqlite:///{tmp_path / 'own.db'}")

    upgraded = tmp_path / "a folder" / "upgraded.db"
    migrations.upgrade(f"sqlite:///{upgraded}")

    assert sqlite_schema(upgraded) == sqlite_schema(tmp_path / "own.db")
    assert migrations.check(f"sqlite:///{upgraded}") == []


def test_what_the_sqlite_store_made_is_already_upgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    made_by_the_store(url)
    said: list[str] = []

    migrations.upgrade(url, progress=said.append)

    assert (migrations.current(url), said) == (SCHEMA_VERSION, [])


def test_sqlite_is_downgraded_to_an_empty_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    migrations.upgrade(url)

    migrations.downgrade(url, "base")

    assert sqlite_schema(tmp_path / "own.db") == {}


def test_somebody_else_s_sqlite_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    execute(url, "create table alert (id integer primary key)")

    with pytest.raises(SchemaConflict, match="alert: found a table of that name"):
        migrations.upgrade(url)

    assert set(sqlite_schema(tmp_path / "app.db")) == {"alert"}


def test_check_says_what_a_sqlite_file_lacks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    migrations.upgrade(url)
    execute(url, "drop index runguard_alert_created_at")

    assert migrations.check(url) == ["alert: index runguard_alert_created_at is missing"]
