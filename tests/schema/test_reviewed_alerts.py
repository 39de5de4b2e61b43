"""From 0001 to 0002 and back, with rows: who reviewed an alert, and the new indexes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runguard import configure, run_scope
from runguard._errors import SchemaConflict
from runguard._store import migrate as migrations
from tests.support.stores import open_store

from .databases import Installation, insert
from .test_script import psql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .databases import Database

FAILED = "select indexname::text from pg_indexes where indexname like 'runguard_run_log_failed%'"
REVIEW = (
    "select column_name::text, data_type::text from information_schema.columns"
    " where table_name = 'alert' and column_name like 'reviewed%' order by 1"
)


@pytest.fixture
def earlier(database: Database) -> Database:
    """Tables as 0001 made them, with rows."""
    migrations.upgrade(database.url, "0001")
    insert(database.connection, count=20)
    return database


@pytest.fixture
def adopted(install: Callable[..., Database]) -> Database:
    """Tables as 0001 adopted them, with rows."""
    database = install()
    migrations.upgrade(database.url, "0001")
    return database


def test_no_alert_is_lost_or_reviewed(earlier: Database) -> None:
    migrations.upgrade(earlier.url)

    assert earlier.rows("select count(*), count(reviewed_at), count(reviewed_by) from alert") == [
        (20, 0, 0)
    ]
    assert earlier.rows(REVIEW) == [
        ("reviewed_at", "timestamp with time zone"),
        ("reviewed_by", "text"),
    ]
    assert migrations.check(earlier.url) == []


def test_it_ends_as_a_new_schema_does(earlier: Database, postgres: object) -> None:
    migrations.upgrade(earlier.url)
    upgraded = earlier.schema()

    migrations.downgrade(earlier.url, "base")
    migrations.upgrade(earlier.url)

    assert earlier.schema() == upgraded


def test_indexes_are_built_and_dropped_beside_the_writers(earlier: Database) -> None:
    said: list[str] = []

    migrations.upgrade(earlier.url, "0002", progress=said.append)

    indexes = [line for line in said if "INDEX" in line]
    assert len(indexes) == 6
    assert all("INDEX CONCURRENTLY" in line for line in indexes)
    # In that order, so that failed runs are found by an index at any moment.
    assert "runguard_run_log_failed ON" in "".join(indexes[:-1])
    assert indexes[-1].endswith("runguard_run_log_failed_started_at")


def test_it_goes_back_and_forth_with_rows(earlier: Database) -> None:
    before = earlier.schema()
    migrations.upgrade(earlier.url)
    after = earlier.schema()

    migrations.downgrade(earlier.url, "0001")
    assert earlier.schema() == before

    migrations.upgrade(earlier.url)
    assert earlier.schema() == after
    assert earlier.values("select count(*) from alert") == [20]


def test_an_adopted_table_goes_back_and_forth(adopted: Database) -> None:
    before = adopted.schema()
    migrations.upgrade(adopted.url)
    assert migrations.check(adopted.url) == []

    migrations.downgrade(adopted.url, "0001")

    assert adopted.schema() == before


def test_a_column_of_the_installation_s_own_stays(install: Callable[..., Database]) -> None:
    database = install()
    database.rows("alter table alert add reviewed_by varchar(40) default 'nobody'")
    migrations.upgrade(database.url)
    assert migrations.check(database.url) == []

    migrations.downgrade(database.url, "base")

    assert database.values("select distinct reviewed_by::text from alert") == ["nobody"]


def test_a_column_of_another_type_is_refused_before_the_first_change(
    install: Callable[..., Database],
) -> None:
    database = install()
    database.rows("alter table alert add reviewed_at date")
    before = database.schema()

    with pytest.raises(SchemaConflict, match=r"alert\.reviewed_at: found date, needed timestamp"):
        migrations.upgrade(database.url)
    with pytest.raises(SchemaConflict, match=r"alert\.reviewed_at: found date"):
        migrations.sql(database.url)

    assert database.schema() == before


def test_an_aborted_upgrade_is_finished_by_the_next(adopted: Database) -> None:
    def abort(line: str) -> None:
        if line.startswith("DROP INDEX"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(adopted.url, "0002", progress=abort)
    assert migrations.current(adopted.url) == "0001"

    migrations.upgrade(adopted.url, "0002")

    assert adopted.values(FAILED) == ["runguard_run_log_failed"]


def test_the_script_does_the_same(adopted: Database) -> None:
    before = adopted.schema()
    psql(adopted.url, migrations.sql(adopted.url))
    assert migrations.check(adopted.url) == []

    psql(adopted.url, migrations.sql(adopted.url, "0001", direction="downgrade"))

    assert adopted.schema() == before


def test_jobs_go_on_before_the_upgrade(earlier: Database) -> None:
    configure(database_url=earlier.url)

    with pytest.raises(ValueError, match="bad"), run_scope("sync"):
        raise ValueError("bad")

    assert earlier.values("select alert_outcome from run_log where run_key is not null") == [
        "raised"
    ]


def test_a_sqlite_file_of_an_earlier_version_is_upgraded_when_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url, "0001")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "insert into alert (source_type, source_id, alert_type, title)"
            " values ('s', '1', 'NEW', 't')"
        )
        connection.commit()

    store = open_store(url)
    [alert] = store.review_alerts([1], by="ana", review_status="DONE")
    store.close()

    assert (alert.title, alert.reviewed_by) == ("t", "ana")
    assert migrations.check(url) == []


def test_a_sqlite_file_goes_back_and_forth_with_rows(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("insert into run_log (job_name) values ('sync')")
        connection.commit()

    migrations.downgrade(url, "0001")
    assert migrations.current(url) == "0001"
    migrations.upgrade(url)

    assert migrations.check(url) == []
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select job_name from run_log").fetchall() == [("sync",)]


def test_an_installation_that_is_adopted_now_is_marked(database: Database) -> None:
    database.rows(Installation().statements(("alert",)))

    migrations.upgrade(database.url)

    assert (
        database.values(
            "select col_description('alert'::regclass, attnum) from pg_attribute"
            " where attrelid = 'alert'::regclass and attname like 'reviewed%'"
        )
        == ["added by runguard"] * 2
    )
