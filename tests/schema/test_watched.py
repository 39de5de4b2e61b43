"""From 0004 to 0005 and back, with rows: the tables of watching, and environments."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runguard._store import migrate as migrations

from .databases import insert
from .test_script import psql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .databases import Database

PLACES = "select xmin::text, ctid::text from {} order by id"


@pytest.fixture(params=["made", "adopted"])
def earlier(request: pytest.FixtureRequest, database: Database) -> Database:
    """Tables as 0004 made or adopted them, with rows."""
    if request.param == "adopted":
        install: Callable[..., Database] = request.getfixturevalue("install")
        install()
    migrations.upgrade(database.url, "0004")
    if request.param == "made":
        insert(database.connection, count=20)
    return database


def test_no_row_is_touched_and_the_index_is_built_beside_the_writers(earlier: Database) -> None:
    before = [earlier.rows(PLACES.format(table)) for table in ("run_log", "alert")]
    said: list[str] = []

    migrations.upgrade(earlier.url, progress=said.append)

    assert [earlier.rows(PLACES.format(table)) for table in ("run_log", "alert")] == before
    assert migrations.check(earlier.url) == []
    [built] = [line for line in said if "runguard_run_log_environment" in line]
    assert "CONCURRENTLY" in built
    assert said.index(built) > said.index("SET lock_timeout = 0")


def test_it_goes_back_and_forth_with_rows(earlier: Database) -> None:
    before = earlier.schema()
    migrations.upgrade(earlier.url)
    after = earlier.schema()
    earlier.rows("insert into job (job_name) values ('nightly')")

    migrations.downgrade(earlier.url, "0004")
    assert earlier.schema() == before

    migrations.upgrade(earlier.url)
    assert earlier.schema() == after


@pytest.mark.parametrize("earlier", ["made"], indirect=True)
def test_it_ends_as_a_new_schema_does(earlier: Database) -> None:
    migrations.upgrade(earlier.url)
    upgraded = earlier.schema()

    migrations.downgrade(earlier.url, "base")
    migrations.upgrade(earlier.url)

    assert earlier.schema() == upgraded


def test_the_script_does_the_same(earlier: Database) -> None:
    before = earlier.schema()
    psql(earlier.url, migrations.sql(earlier.url))
    assert migrations.check(earlier.url) == []

    psql(earlier.url, migrations.sql(earlier.url, "0004", direction="downgrade"))

    assert earlier.schema() == before


@pytest.mark.parametrize("name", ["job", "monitor"])
def test_a_table_of_another_program_is_refused_before_the_first_change(
    database: Database, name: str
) -> None:
    migrations.upgrade(database.url, "0004")
    database.rows(f"create table {name} (id bigint primary key, title text not null)")
    before = database.schema()

    with pytest.raises(migrations.SchemaConflict, match=rf"{name}\.\w+: found no such column"):
        migrations.upgrade(database.url)

    assert database.schema() == before


def test_a_sqlite_file_goes_back_and_forth_with_rows(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url, "0004")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("insert into run_log (job_name) values ('a')")
        connection.commit()

    migrations.upgrade(url)

    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select environment from run_log").fetchall() == [(None,)]
        connection.execute("update run_log set environment = 'staging'")
        connection.execute("insert into job (job_name) values ('a')")
        connection.commit()
    migrations.downgrade(url, "0004")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select job_name from run_log").fetchall() == [("a",)]
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    migrations.upgrade(url)
    assert migrations.check(url) == []
