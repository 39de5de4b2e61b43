"""From 0005 to 0006 and back, with rows: what is kept of a run, and notes beside it."""

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

PLACES = "select xmin::text, ctid::text from run_log order by id"
A_NOTE = "insert into run_note (run_key) values ('0195533f-6c00-7000-8000-000000000001')"


@pytest.fixture(params=["made", "adopted"])
def earlier(request: pytest.FixtureRequest, database: Database) -> Database:
    """Tables as 0005 made or adopted them, with rows."""
    if request.param == "adopted":
        install: Callable[..., Database] = request.getfixturevalue("install")
        install()
    migrations.upgrade(database.url, "0005")
    if request.param == "made":
        insert(database.connection, count=20)
    return database


def test_no_row_is_touched_and_it_goes_back_and_forth(earlier: Database) -> None:
    before, places = earlier.schema(), earlier.rows(PLACES)
    migrations.upgrade(earlier.url)
    after = earlier.schema()
    assert earlier.rows(PLACES) == places
    assert migrations.check(earlier.url) == []
    earlier.rows(A_NOTE)

    assert "1 note (table run_note)" in migrations.losses(earlier.url, "0005")
    migrations.downgrade(earlier.url, "0005")
    assert earlier.schema() == before

    migrations.upgrade(earlier.url)
    assert earlier.schema() == after


def test_the_script_does_the_same(earlier: Database) -> None:
    before = earlier.schema()
    psql(earlier.url, migrations.sql(earlier.url))
    assert migrations.check(earlier.url) == []

    psql(earlier.url, migrations.sql(earlier.url, "0005", direction="downgrade"))

    assert earlier.schema() == before


def test_columns_of_these_names_that_were_there_before_stay(database: Database) -> None:
    migrations.upgrade(database.url, "0005")
    database.rows("alter table run_log add column version text")
    database.rows("comment on table run_log is null")

    migrations.upgrade(database.url)
    migrations.downgrade(database.url, "0005")

    named = "select attname::text from pg_attribute where attrelid = 'run_log'::regclass"
    kept = {name for (name,) in database.rows(named)}
    assert "version" in kept
    assert not {"trace_id", "upstream"} & kept


def test_a_table_of_another_program_is_refused_before_the_first_change(database: Database) -> None:
    migrations.upgrade(database.url, "0005")
    database.rows("create table run_note (id bigint primary key, body text not null)")
    before = database.schema()

    with pytest.raises(migrations.SchemaConflict, match=r"run_note\.\w+: found no such column"):
        migrations.upgrade(database.url)

    assert database.schema() == before


def test_a_sqlite_file_goes_back_and_forth_with_rows(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url, "0005")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("insert into run_log (job_name) values ('a')")
        connection.commit()

    migrations.upgrade(url)

    with closing(sqlite3.connect(file)) as connection:
        connection.execute("update run_log set version = '1', upstream = 'h:1', trace_id = 'f'")
        connection.execute(A_NOTE)
        connection.commit()
    migrations.downgrade(url, "0005")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select job_name from run_log").fetchall() == [("a",)]
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    migrations.upgrade(url)
    assert migrations.check(url) == []
