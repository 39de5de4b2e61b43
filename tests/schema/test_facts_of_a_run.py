"""From 0002 to 0003 and back, with rows: facts of a run as columns, and the indexes on them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runguard._errors import SchemaConflict
from runguard._store import migrate as migrations
from runguard._store.schema.versions import ADDED_BY_0003

from .databases import insert
from .test_script import psql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .databases import Database

ADDED = (
    "select column_name::text from information_schema.columns"
    " where table_name = 'run_log' and column_name in"
    f" ({', '.join(repr(name) for name in sorted(ADDED_BY_0003))})"
)


@pytest.fixture
def earlier(database: Database) -> Database:
    """Tables as 0002 made them, with rows."""
    migrations.upgrade(database.url, "0002")
    insert(database.connection, count=20)
    return database


@pytest.fixture
def adopted(install: Callable[..., Database]) -> Database:
    """Tables as 0002 adopted them, with rows."""
    database = install()
    migrations.upgrade(database.url, "0002")
    return database


def test_the_columns_come_and_no_row_is_touched(earlier: Database) -> None:
    before = earlier.rows("select xmin::text, ctid::text from run_log order by id")

    migrations.upgrade(earlier.url)

    assert set(earlier.values(ADDED)) == ADDED_BY_0003
    assert earlier.rows("select xmin::text, ctid::text from run_log order by id") == before
    assert migrations.check(earlier.url) == []


def test_it_ends_as_a_new_schema_does(earlier: Database) -> None:
    migrations.upgrade(earlier.url)
    upgraded = earlier.schema()

    migrations.downgrade(earlier.url, "base")
    migrations.upgrade(earlier.url)

    assert earlier.schema() == upgraded


def test_indexes_are_built_and_dropped_beside_the_writers(earlier: Database) -> None:
    said: list[str] = []

    migrations.upgrade(earlier.url, "0003", progress=said.append)

    indexes = [line for line in said if "INDEX" in line]
    assert len(indexes) == 3
    assert all("INDEX CONCURRENTLY" in line for line in indexes)
    # The former one goes last, so that failed runs are found by an index at any moment.
    assert indexes[-1].endswith("runguard_run_log_failed")


@pytest.mark.parametrize("tables", ["earlier", "adopted"])
def test_it_goes_back_and_forth_with_rows(request: pytest.FixtureRequest, tables: str) -> None:
    database: Database = request.getfixturevalue(tables)
    before = database.schema()
    migrations.upgrade(database.url)
    after = database.schema()

    migrations.downgrade(database.url, "0002")
    assert database.schema() == before

    migrations.upgrade(database.url)
    assert database.schema() == after
    assert database.values("select count(*) from run_log") == [20]


def test_a_column_of_the_installation_s_own_stays(install: Callable[..., Database]) -> None:
    database = install()
    database.rows("alter table run_log add refused boolean default false")
    migrations.upgrade(database.url)
    assert migrations.check(database.url) == []

    migrations.downgrade(database.url, "base")

    assert database.values("select distinct refused from run_log") == [False]


def test_a_column_of_another_type_is_refused_before_the_first_change(adopted: Database) -> None:
    adopted.rows("alter table run_log add refused text")
    before = adopted.schema()

    with pytest.raises(SchemaConflict, match=r"run_log\.refused: found text, needed boolean"):
        migrations.upgrade(adopted.url)

    assert adopted.schema() == before


def test_an_aborted_upgrade_is_finished_by_the_next(adopted: Database) -> None:
    def abort(line: str) -> None:
        if line.startswith("DROP INDEX"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(adopted.url, progress=abort)
    assert migrations.current(adopted.url) == "0002"

    migrations.upgrade(adopted.url)

    assert migrations.check(adopted.url) == []


def test_the_script_does_the_same(adopted: Database) -> None:
    before = adopted.schema()
    psql(adopted.url, migrations.sql(adopted.url))
    assert migrations.check(adopted.url) == []

    psql(adopted.url, migrations.sql(adopted.url, "0002", direction="downgrade"))

    assert adopted.schema() == before


def test_a_sqlite_file_goes_back_and_forth_with_rows(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("insert into run_log (job_name, refused) values ('sync', true)")
        connection.commit()

    migrations.downgrade(url, "0002")
    assert migrations.current(url) == "0002"
    migrations.upgrade(url)

    assert migrations.check(url) == []
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("select job_name, refused from run_log").fetchall()
    assert rows == [("sync", None)]
