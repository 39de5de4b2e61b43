"""`runguard db …`: thin over the migrations, talk on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from runguard._store.schema.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def run_sql(url: str, script: str) -> None:
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script)


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_url")
    return url


def test_upgrade_makes_the_schema_and_says_so_on_stderr(cli: Cli, empty_url: str) -> None:
    answer = cli("db", "upgrade", "--database-url", empty_url)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert f"version {SCHEMA_VERSION}" in answer.stderr
    assert cli("db", "current", "--database-url", empty_url).stdout == f"{SCHEMA_VERSION}\n"
    assert cli("db", "check", "--database-url", empty_url).exit_code == 0


def test_without_a_schema_current_is_none_and_check_says_how_to_make_it(
    cli: Cli, empty_url: str
) -> None:
    assert cli("db", "current", "--database-url", empty_url).stdout == "none\n"
    answer = cli("db", "check", "--database-url", empty_url)

    assert (answer.exit_code, answer.stdout) == (4, "")
    assert "runguard db upgrade" in answer.stderr


def test_check_prints_what_is_missing(cli: Cli, migrated_pg_url: str) -> None:
    run_sql(migrated_pg_url, "alter table run_log drop column host")
    answer = cli("db", "check", "--database-url", migrated_pg_url)

    assert answer.exit_code == 1
    assert "host" in answer.stdout


def test_the_printed_statements_make_the_schema(cli: Cli, pg_url: str) -> None:
    answer = cli("db", "upgrade", "--sql", "--database-url", pg_url)
    assert cli("db", "current", "--database-url", pg_url).stdout == "none\n"
    run_sql(pg_url, answer.stdout)

    assert cli("db", "check", "--database-url", pg_url).exit_code == 0


def test_the_printed_statements_of_a_downgrade_remove_it(cli: Cli, migrated_pg_url: str) -> None:
    answer = cli("db", "downgrade", "base", "--sql", "--database-url", migrated_pg_url)
    run_sql(migrated_pg_url, answer.stdout)

    assert cli("db", "current", "--database-url", migrated_pg_url).stdout == "none\n"


def test_statements_for_a_database_out_of_reach(cli: Cli) -> None:
    answer = cli("db", "upgrade", "--sql", "--dialect", "postgresql")

    assert answer.exit_code == 0
    assert "CREATE TABLE run_log" in answer.stdout


@pytest.mark.parametrize("arguments", [[], ["--sql", "--database-url", "sqlite:///x.db"]])
def test_a_dialect_goes_with_sql_alone(cli: Cli, arguments: list[str]) -> None:
    answer = cli("db", "upgrade", "--dialect", "postgresql", *arguments)

    assert answer.exit_code == 2
    assert "--dialect: expected with --sql" in answer.stderr


def test_downgrade_asks_nobody_where_nobody_is(cli: Cli, filled_file: str) -> None:
    answer = cli("db", "downgrade", "base", "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "--yes" in answer.stderr
    assert cli("db", "current", "--database-url", filled_file).stdout == f"{SCHEMA_VERSION}\n"


def test_downgrade_with_yes_removes_the_schema(cli: Cli, migrated_pg_url: str) -> None:
    answer = cli("db", "downgrade", "base", "--yes", "--database-url", migrated_pg_url)

    assert answer.exit_code == 0, answer.stderr
    assert "none" in answer.stderr
    assert cli("db", "current", "--database-url", migrated_pg_url).stdout == "none\n"


@pytest.mark.parametrize("command", [["upgrade"], ["downgrade", "--yes"]])
def test_an_unknown_version_is_wrong_usage(cli: Cli, filled_file: str, command: list[str]) -> None:
    answer = cli("db", *command, "9999", "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "9999" in answer.stderr


def test_tables_that_cannot_be_adopted_are_told_and_left_alone(cli: Cli, pg_url: str) -> None:
    run_sql(pg_url, "create table run_log (id uuid primary key, job_name integer)")
    answer = cli("db", "upgrade", "--database-url", pg_url)

    assert answer.exit_code == 1
    assert "cannot be adopted" in answer.stderr
    assert "job_name" in answer.stderr


def test_downgrade_says_first_how_much_it_deletes(cli: Cli, filled_url: str) -> None:
    asked = cli("db", "downgrade", "base", "--database-url", filled_url)
    counted = len(cli("runs", "--json", "-n", "1000", "--database-url", filled_url).json)
    alerts = len(cli("alerts", "--json", "-n", "1000", "--database-url", filled_url).json)

    assert counted > alerts > 0
    assert f"would delete {counted} runs (table run_log)\n" in asked.stderr
    assert f"would delete {alerts} alerts (table alert)\n" in asked.stderr

    done = cli("db", "downgrade", "base", "--yes", "--database-url", filled_url)
    assert f"deletes {counted} runs (table run_log)\n" in done.stderr


def test_downgrade_by_a_version_counts_the_values_of_its_columns(
    cli: Cli, filled_file: str
) -> None:
    answer = cli("db", "downgrade", "0002", "--yes", "--database-url", filled_file)

    assert "deletes 5 values of run_log.lost_after_seconds\n" in answer.stderr
    assert "(table" not in answer.stderr


def test_a_downgrade_that_deletes_nothing_says_so(cli: Cli, migrated_pg_url: str) -> None:
    answer = cli("db", "downgrade", "base", "--yes", "--database-url", migrated_pg_url)

    assert "No row and no value is deleted." in answer.stderr
