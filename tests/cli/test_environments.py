"""`--environment`: what runs in one environment, on a store that several share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import runguard
from runguard import testing
from tests.store.drafts import TIMEOUT, new_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


@pytest.fixture
def shared(cli: Cli, sqlite_url: str) -> Cli:
    """Type a command on a store where staging failed, production did not, and one has no name."""
    for environment, fails in (("staging", True), ("production", False), (None, True)):
        runguard.configure(database_url=sqlite_url, environment=environment)
        try:
            with runguard.run_scope("sync"):
                if fails:
                    raise ValueError("bad input")
        except ValueError:
            pass
        testing.reset()

    def type_it(*words: str) -> Answer:
        return cli(*words, "--database-url", sqlite_url)

    return type_it


@pytest.mark.parametrize(
    ("command", "staging", "production"),
    [("runs", 1, 1), ("alerts", 1, 0), ("problems", 1, 0), ("jobs", 1, 1), ("unknowns", 1, 0)],
)
def test_lists_show_one_environment_or_all(
    shared: Cli, command: str, staging: int, production: int
) -> None:
    def rows(*asked: str) -> int:
        return len(shared(command, "--json", *asked).json)

    assert rows("--environment", "staging") == staging
    assert rows("--environment", "production") == production
    assert rows("--environment", "none") == 1
    assert rows("--environment", "test") == 0
    if command != "unknowns":  # where two failures of one kind are one
        assert rows() == staging + production + 1


@pytest.mark.parametrize("command", ["runs", "alerts", "problems", "jobs"])
def test_tables_and_json_name_the_environment(shared: Cli, command: str) -> None:
    table = shared(command)

    assert "environment" in table.lines[0]
    assert any("staging" in line.split() for line in table.lines)
    named = {row["environment"] for row in shared(command, "--json").json}
    assert named >= {"staging", None}
    assert "environment" not in shared(command, "--environment", "none").lines[0]


def test_a_word_names_the_newest_run_of_an_environment(shared: Cli) -> None:
    [shown] = shared("show", "last", "--environment", "staging", "--json").json
    assert shown["run"]["environment"] == "staging"
    assert "environment  staging" in shared("show", "failed", "--environment", "staging").stdout
    told = shared("explain", "failed", "--environment", "staging").stdout
    assert told.startswith("sync in staging failed at ")
    assert shared("explain", "last", "--environment", "test").exit_code == 1


def test_the_report_counts_one_environment(shared: Cli) -> None:
    [counted] = shared("report", "--json", "--environment", "staging").json
    assert counted["failures"] == 1
    assert shared("report", "--json").json[0]["failures"] == 2
    assert shared("report", "--environment", "production").stderr.startswith("No failures in 24")
    page = shared("report", "--format", "html", "--environment", "staging").stdout
    assert "environment staging" in page


def test_old_rows_of_one_environment_are_pruned(shared: Cli, sqlite_url: str) -> None:
    from runguard._api import new_runtime, operator_store

    runtime = new_runtime()
    runtime.configure({"database_url": sqlite_url})
    store = operator_store(runtime)
    for environment in ("staging", "production"):  # the newest run of each stays
        store.start_run(new_run("sync")._replace(environment=environment), timeout=TIMEOUT)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("update run_log set status = 'SUCCESS' where id > 3")
        for table, name in (
            *(("run_log", "started_at"), ("run_log", "finished_at")),
            *(("alert", "created_at"), ("alert_cooldown", "last_alert_at")),
        ):
            connection.exec_driver_sql(f"update {table} set {name} = '2026-01-01 00:00:00'")
    runtime.close()

    pruned = shared("prune", "--older-than", "1d", "--environment", "staging", "--json").json

    assert {row["table"]: row["rows"] for row in pruned} == {
        "run_log": 1,
        "alert": 1,
        "alert_cooldown": 1,
        "alert_delivery": 0,
        "run_note": 0,
    }
    left = shared("runs", "--json").json
    assert sorted(row["id"] for row in left) == [2, 3, 4, 5]


def test_alerts_of_one_environment_are_resolved(shared: Cli) -> None:
    done = shared("resolve", "--job", "sync", "--environment", "staging", "--all")

    assert done.stderr.startswith("1 alert resolved.")
    [still_open] = shared("alerts", "--open", "--json").json
    assert still_open["environment"] is None


def test_what_can_be_no_environment_is_wrong_usage(shared: Cli) -> None:
    answer = shared("runs", "--environment", "Pre Prod")

    assert answer.exit_code == 2
    assert "expected an environment such as staging, or none, found 'Pre Prod'" in " ".join(
        answer.stderr.split()
    ).replace("│ ", "")
