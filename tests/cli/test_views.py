"""`runs`, `alerts` and `report`: the operator's views, on either store."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard._monitor.records import GroupCount, RunRecord, ToldAlert

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


KOREAN = "[red]주문[/red]"


def columns(record: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]


@pytest.mark.parametrize(
    ("command", "record", "rows"),
    [("runs", RunRecord, 5), ("alerts", ToldAlert, 3), ("report", GroupCount, 3)],
)
def test_json_holds_every_row_with_every_column(
    cli: Cli, filled_url: str, command: str, record: type[Any], rows: int
) -> None:
    answer = cli(command, "--json", "--database-url", filled_url)

    assert (answer.exit_code, answer.stderr) == (0, "")
    assert len(answer.json) == rows
    assert [list(row) for row in answer.json] == [columns(record)] * rows


def test_json_times_are_iso_8601_in_utc(cli: Cli, filled_url: str) -> None:
    [run] = cli("runs", "--limit", "1", "--json", "--database-url", filled_url).json

    started = datetime.fromisoformat(run["started_at"])
    assert started.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - started) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("options", "jobs"),
    [
        (["--job", "invoices"], ["invoices"]),
        (["--status", "success"], ["payments"]),
        (["--status", "FAILED", "--job", "payments"], ["payments", "payments"]),
        (["--group", "timeout"], ["invoices"]),
        (["--group", "HTTP_5XX", "--limit", "1"], ["payments"]),
        (["--since", "90m", "--job", "invoices"], ["invoices"]),
        (["--status", "RUNNING"], []),
        (["--trigger", "manual", "--job", "invoices"], ["invoices"]),
        (["--trigger", "RETRY"], []),
        (["--until", "1h"], []),
        (["--since", "2026-01-01", "--until", "2999-01-01T00:00Z", "--limit", "1"], [KOREAN]),
        (["--since", "2999-01-01"], []),
    ],
)
def test_runs_are_filtered(cli: Cli, filled_url: str, options: list[str], jobs: list[str]) -> None:
    answer = cli("runs", *options, "--json", "--database-url", filled_url)

    assert [run["job_name"] for run in answer.json] == jobs


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        (["--job", "payments"], ["payments:HTTP_5XX"]),
        (["--type", "FAILED", "--limit", "1"], ["[red]주문[/red]:UNKNOWN"]),
        (["--type", "NEW"], []),
        (["--open", "--since", "24h", "--job", "invoices"], ["invoices:TIMEOUT"]),
        (["--group", "timeout"], ["invoices:TIMEOUT"]),
        (["--severity", "high"], ["invoices:TIMEOUT", "payments:HTTP_5XX"]),
        (["--until", "1h"], []),
    ],
)
def test_alerts_are_filtered(
    cli: Cli, filled_url: str, options: list[str], sources: list[str]
) -> None:
    answer = cli("alerts", *options, "--json", "--database-url", filled_url)

    assert [alert["source_id"] for alert in answer.json] == sources


def test_report_counts_one_job_where_asked(cli: Cli, filled_url: str) -> None:
    answer = cli("report", "--job", "payments", "--json", "--database-url", filled_url)

    [count] = answer.json
    assert (count["error_group"], count["failures"], count["alerts"]) == ("HTTP_5XX", 2, 1)


@pytest.mark.parametrize("command", ["runs", "alerts", "report"])
def test_the_table_in_a_pipe_has_a_line_for_each_row(
    cli: Cli, filled_url: str, command: str
) -> None:
    rows = cli(command, "--json", "--database-url", filled_url).json
    answer = cli(command, "--database-url", filled_url)

    assert len(answer.lines) == 1 + len(rows)
    assert all(line == line.rstrip() for line in answer.lines)


@pytest.mark.parametrize("command", ["runs", "alerts", "report"])
def test_an_empty_store_answers_with_nothing_and_says_what_to_do(
    cli: Cli, store_url: str, command: str
) -> None:
    answer = cli(command, "--database-url", store_url)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "tracked_run" in answer.stderr
    assert cli(command, "--json", "--database-url", store_url).json == []


@pytest.mark.parametrize("command", ["runs", "alerts", "report"])
def test_an_unknown_job_is_answered_with_the_nearest(
    cli: Cli, filled_url: str, command: str
) -> None:
    answer = cli(command, "--job", "payment", "--database-url", filled_url)

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "did you mean 'payments'?" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["runs", "--status", "running"], "Leave out a filter"),
        (["alerts", "--job", "payments", "--type", "NEW"], "Leave out a filter"),
        (["alerts", "--job", "quiet"], "No alerts of quiet"),
        (["report", "--job", "quiet"], "No failures in 24 hours of quiet"),
    ],
)
def test_nothing_found_among_what_is_there_says_what_to_do(
    cli: Cli, filled_file: str, arguments: list[str], hint: str
) -> None:
    import runguard
    from runguard import testing

    runguard.configure(database_url=filled_file)
    with runguard.run_scope("quiet"):
        pass
    testing.reset()

    answer = cli(*arguments, "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert hint in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--status", "fialed"], "did you mean 'FAILED'?"),
        (["--group", "timout"], "did you mean 'TIMEOUT'?"),
        (["--group", "http_3xx"], "LOCK_CONFLICT"),
        (["--since", "yesterday"], "such as 2026-03-01T02:30, found 'yesterday'"),
        (["--since", "0h"], "such as 90s"),
        (["--since", "9999999999d"], "such as 90s"),
        (["--limit", "0"], "--limit"),
        (["--jobs", "x"], "--job"),
    ],
)
def test_a_value_that_means_nothing_is_wrong_usage(
    cli: Cli, sqlite_url: str, arguments: list[str], told: str
) -> None:
    answer = cli("runs", *arguments, "--database-url", sqlite_url)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert told in answer.stderr


def test_a_long_since_means_everything(cli: Cli, filled_file: str) -> None:
    answer = cli("runs", "--since", "9999999w", "--json", "--database-url", filled_file)

    assert len(answer.json) == 5


def test_the_environment_names_the_store_where_no_option_does(cli: Cli, filled_file: str) -> None:
    answer = cli("runs", "--json", RUNGUARD_DATABASE_URL=filled_file)

    assert len(answer.json) == 5
