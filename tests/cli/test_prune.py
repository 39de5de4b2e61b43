"""`runguard prune`: what it deletes, what it says, and what it refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from runguard._monitor.records import Prunable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

# Of the five runs there, two of `payments` are not the newest of their job.
OLD_ROWS = {"run_log": 2, "run_note": 0, "alert": 3, "alert_cooldown": 3, "alert_delivery": 0}


@pytest.fixture
def old_url(filled_url: str) -> str:
    """The filled store, 91 days later."""
    times = {
        "run_log": ("started_at", "finished_at", "updated_at"),
        "alert": ("created_at",),
        "alert_cooldown": ("last_alert_at",),
    }
    moved = "{0} - interval '91 days'"
    if filled_url.startswith("sqlite"):
        moved = "strftime('%Y-%m-%d %H:%M:%f', {0}, '-91 days')"
    statements = [
        f"update {table} set {column} = {moved.format(column)}"
        for table, columns in times.items()
        for column in columns
    ]
    if filled_url.startswith("sqlite"):
        with closing(sqlite3.connect(filled_url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(";".join(statements))
    else:
        libpq = make_url(filled_url).set(drivername="postgresql")
        with psycopg.connect(libpq.render_as_string(hide_password=False)) as server:
            for statement in statements:
                server.execute(statement.encode())
    return filled_url


def counts(answer: Answer) -> dict[str, int]:
    return {row["table"]: row["rows"] for row in answer.json}


def test_it_deletes_what_is_old_and_says_how_much(cli: Cli, old_url: str) -> None:
    answer = cli("prune", "--older-than", "90d", "--json", "--database-url", old_url)

    assert (answer.exit_code, counts(answer)) == (0, OLD_ROWS)
    left = cli("runs", "--json", "--database-url", old_url).json
    assert sorted(run["job_name"] for run in left) == ["[red]주문[/red]", "invoices", "payments"]
    assert cli("alerts", "--json", "--database-url", old_url).json == []


def test_a_dry_run_says_the_same_and_deletes_nothing(cli: Cli, old_url: str) -> None:
    arguments = ("prune", "--older-than", "90d", "--json", "--database-url", old_url)
    dry = cli(*arguments, "--dry-run")

    assert counts(dry) == OLD_ROWS
    assert {row["dry_run"] for row in dry.json} == {True}
    assert counts(cli(*arguments)) == OLD_ROWS


def test_without_json_it_is_a_table_on_stdout(cli: Cli, old_url: str) -> None:
    answer = cli("prune", "--older-than", "90d", "--database-url", old_url)

    assert [line.split() for line in answer.lines] == [
        ["table", "deleted"],
        *([table, str(rows)] for table, rows in OLD_ROWS.items()),
    ]
    assert answer.stderr == "", "no bar where there is no terminal"


def test_what_is_young_stays(cli: Cli, filled_file: str) -> None:
    answer = cli("prune", "--older-than", "1h", "--json", "--database-url", filled_file)

    assert set(counts(answer).values()) == {0}


def test_without_an_age_it_does_nothing(cli: Cli, filled_file: str) -> None:
    answer = cli("prune", "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "--older-than" in answer.stderr


def test_less_than_the_cooldown_is_refused(cli: Cli, filled_file: str) -> None:
    answer = cli("prune", "--older-than", "29m", "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "at least the cooldown, 30 min, found 29 min:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_quiet_deletes_the_same_and_prints_nothing(cli: Cli, old_url: str) -> None:
    answer = cli("prune", "--older-than", "90d", "--quiet", "--database-url", old_url)
    left = cli("prune", "--older-than", "90d", "--dry-run", "--json", "--database-url", old_url)

    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "", "")
    assert [row["rows"] for row in left.json] == [0] * len(Prunable)
