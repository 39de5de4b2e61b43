"""From 0003 to 0004 and back, with rows: the tables of delivery, and what alerts gain."""

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


@pytest.fixture
def earlier(database: Database) -> Database:
    """Tables as 0003 made them, with rows."""
    migrations.upgrade(database.url, "0003")
    insert(database.connection, count=20)
    return database


@pytest.fixture
def adopted(install: Callable[..., Database]) -> Database:
    """Tables as 0003 adopted them, with rows."""
    database = install()
    migrations.upgrade(database.url, "0003")
    return database


@pytest.mark.parametrize("tables", ["earlier", "adopted"])
def test_alerts_that_are_there_are_never_sent_and_new_ones_wait(
    request: pytest.FixtureRequest, tables: str
) -> None:
    database: Database = request.getfixturevalue(tables)

    migrations.upgrade(database.url)
    insert(database.connection, count=1, tables=("alert",))

    dispatch = database.values("select dispatch from alert order by id")
    assert dispatch == [None] * 20 + ["pending"]
    assert migrations.check(database.url) == []


@pytest.mark.parametrize("tables", ["earlier", "adopted"])
def test_no_row_is_touched(request: pytest.FixtureRequest, tables: str) -> None:
    database: Database = request.getfixturevalue(tables)
    before = [database.rows(PLACES.format(table)) for table in ("run_log", "alert")]

    migrations.upgrade(database.url)

    assert [database.rows(PLACES.format(table)) for table in ("run_log", "alert")] == before


@pytest.mark.parametrize("tables", ["earlier", "adopted"])
def test_whatever_reads_the_rows_lets_the_writers_go_on(
    request: pytest.FixtureRequest, tables: str
) -> None:
    """Whether a statement that reads or waits comes while the tables are locked."""
    database: Database = request.getfixturevalue(tables)
    said: list[str] = []

    migrations.upgrade(database.url, progress=said.append)

    statements = [line for line in said if line.startswith(("ALTER", "CREATE", "DROP", "UPDATE"))]
    locking = [line for line in statements if "CONCURRENTLY" not in line]
    beside = said.index("SET lock_timeout = 0")
    assert all("ADD COLUMN" in line or "CONSTRAINT" in line for line in locking)
    # Adding a constraint would read all rows under the lock; validating it reads them without.
    assert all("NOT VALID" in line for line in locking if "ADD CONSTRAINT" in line)
    [validates] = [said.index(line) for line in said if "VALIDATE CONSTRAINT" in line]
    assert validates > beside
    assert [line for line in said if "INDEX" in line and "CONCURRENTLY" not in line] == []
    # A default that comes with the column would be the old rows' too.
    [alert] = [line for line in locking if "ADD COLUMN dispatch" in line]
    assert "ADD COLUMN dispatch TEXT," in alert
    assert "ALTER COLUMN dispatch SET DEFAULT 'pending'" in alert


def test_it_ends_as_a_new_schema_does(earlier: Database) -> None:
    migrations.upgrade(earlier.url)
    upgraded = earlier.schema()

    migrations.downgrade(earlier.url, "base")
    migrations.upgrade(earlier.url)

    assert earlier.schema() == upgraded


@pytest.mark.parametrize("tables", ["earlier", "adopted"])
def test_it_goes_back_and_forth_with_rows(request: pytest.FixtureRequest, tables: str) -> None:
    database: Database = request.getfixturevalue(tables)
    before = database.schema()
    migrations.upgrade(database.url)
    after = database.schema()
    database.rows("update run_log set alert_outcome = 'waiting' where id = 1")

    migrations.downgrade(database.url, "0003")
    assert database.schema() == before
    assert database.values("select alert_outcome from run_log where id = 1") == ["none"]

    migrations.upgrade(database.url)
    assert database.schema() == after


def test_an_aborted_upgrade_is_finished_by_the_next(adopted: Database) -> None:
    def abort(line: str) -> None:
        if "VALIDATE" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(adopted.url, progress=abort)
    assert migrations.current(adopted.url) == "0003"

    migrations.upgrade(adopted.url)

    assert migrations.check(adopted.url) == []


def test_the_script_does_the_same(adopted: Database) -> None:
    before = adopted.schema()
    psql(adopted.url, migrations.sql(adopted.url))
    assert migrations.check(adopted.url) == []

    psql(adopted.url, migrations.sql(adopted.url, "0003", direction="downgrade"))

    assert adopted.schema() == before


def test_a_table_of_another_program_is_refused_before_the_first_change(adopted: Database) -> None:
    adopted.rows("create table silence (id bigint primary key, minutes integer not null)")
    before = adopted.schema()

    with pytest.raises(migrations.SchemaConflict, match=r"silence\.job: found no such column"):
        migrations.upgrade(adopted.url)

    assert adopted.schema() == before


def insert_alert(connection: sqlite3.Connection, **more: str) -> None:
    values = {"source_type": "feed", "source_id": "1", "alert_type": "NEW", "title": "x", **more}
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"insert into alert ({names}) values ({marks})", tuple(values.values()))


@pytest.fixture
def earlier_file(tmp_path: Path) -> Path:
    """A SQLite file as 0003 left it, with an alert and a run."""
    file = tmp_path / "own.db"
    migrations.upgrade(f"sqlite:///{file}", "0003")
    with closing(sqlite3.connect(file)) as connection:
        insert_alert(connection)
        connection.execute("insert into run_log (job_name, alert_outcome) values ('a', 'raised')")
        connection.commit()
    return file


def test_on_sqlite_old_alerts_are_never_sent_and_new_ones_wait(earlier_file: Path) -> None:
    migrations.upgrade(f"sqlite:///{earlier_file}")

    with closing(sqlite3.connect(earlier_file)) as connection:
        insert_alert(connection)
        insert_alert(connection, dispatch="routed")
        found = connection.execute("select dispatch from alert order by id").fetchall()
    assert found == [(None,), ("pending",), ("routed",)]
    assert migrations.check(f"sqlite:///{earlier_file}") == []


def test_on_sqlite_the_wider_check_is_in_force_at_once_for_open_connections(
    earlier_file: Path,
) -> None:
    waiting = "update run_log set alert_outcome = 'waiting'"
    with closing(sqlite3.connect(earlier_file)) as connection:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(waiting)
        connection.rollback()

        migrations.upgrade(f"sqlite:///{earlier_file}")

        connection.execute(waiting)
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("update run_log set alert_outcome = 'whatever'")
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_sqlite_file_goes_back_and_forth_with_rows(earlier_file: Path) -> None:
    url = f"sqlite:///{earlier_file}"
    migrations.upgrade(url)
    with closing(sqlite3.connect(earlier_file)) as connection:
        connection.execute("update run_log set alert_outcome = 'waiting'")
        connection.commit()

    migrations.downgrade(url, "0003")

    with closing(sqlite3.connect(earlier_file)) as connection:
        assert connection.execute("select alert_outcome from run_log").fetchall() == [("none",)]
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        insert_alert(connection)
        connection.commit()
    migrations.upgrade(url)
    assert migrations.check(url) == []
    with closing(sqlite3.connect(earlier_file)) as connection:
        assert connection.execute("select count(*), count(dispatch) from alert").fetchone() == (
            2,
            0,
        )


def test_a_missing_trigger_is_named_by_the_statement_that_adds_it(earlier_file: Path) -> None:
    url = f"sqlite:///{earlier_file}"
    migrations.upgrade(url)
    with closing(sqlite3.connect(earlier_file)) as connection:
        connection.execute("drop trigger runguard_alert_dispatch")
        [missing] = migrations.check(url)
        connection.execute(missing)

    assert migrations.check(url) == []
