"""What `runs` and `alerts` list: several jobs, how much is left out, and what is rare."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runguard._cli.lists import Found
from runguard._cli.watch import watch
from runguard._monitor.records import Remaining
from runguard._store.queries import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (["runs", "-n", "2"], "2 shown, 3 more: -n 5"),
        (["runs", "-n", "1", "--job", "payments"], "1 shown, 2 more: -n 3"),
        (["runs", "-n", "1", "--job", "pay*", "--status", "failed"], "1 shown, 1 more: -n 2"),
        (["alerts", "-n", "1"], "1 shown, 2 more: -n 3"),
        (["alerts", "-n", "1", "--severity", "high"], "1 shown, 1 more: -n 2"),
        (["runs", "-n", "5"], ""),
        (["alerts", "-n", "3"], ""),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_list_that_is_cut_says_how_much_it_leaves_out(
    cli: Cli, filled_url: str, arguments: list[str], note: str, form: list[str]
) -> None:
    answer = cli(*arguments, *form, "--database-url", filled_url)

    shown = len(json.loads(answer.stdout)) if form == ["--json"] else len(answer.lines) - 1
    assert (answer.exit_code, shown) == (0, int(arguments[2]))
    assert answer.stderr == (f"{note}\n" if note else "")


def test_the_number_that_the_note_names_shows_all(cli: Cli, filled_url: str) -> None:
    answer = cli("runs", "-n", "5", "--json", "--database-url", filled_url)

    assert (len(answer.json), answer.stderr) == (5, "")


def test_where_counting_stops_it_says_at_least(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LOOKS_THROUGH", 2)

    answer = cli("runs", "-n", "1", "--database-url", filled_file)

    assert answer.stderr == "1 shown, at least 2 more: -n 3\n"


def test_no_note_names_more_rows_than_the_option_takes() -> None:
    found = Found(range(90_000), Remaining(20_000, is_all=False))

    assert found.note == "90,000 shown, at least 20,000 more: -n 100000"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["runs", "--status", "success"], ["payments"]),
        (["runs", "--job", "pay*", "--status", "success"], ["payments"]),
        (["alerts", "--severity", "high"], ["invoices:TIMEOUT", "payments:HTTP_5XX"]),
        (["alerts", "--severity", "low"], []),
    ],
)
def test_what_is_rare_is_found_however_far_back_it_is(
    cli: Cli,
    filled_url: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    names: list[str],
) -> None:
    """One look goes through one row here; there are more of them than one."""
    monkeypatch.setattr(pages, "LOOKS_THROUGH", 1)

    answer = cli(*arguments, "--json", "--database-url", filled_url)

    name = "job_name" if arguments[0] == "runs" else "source_id"
    assert [row[name] for row in answer.json] == names


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        (["payments", "invoices"], {"payments", "invoices"}),
        (["pay*"], {"payments"}),
        (["*"], {"payments", "invoices", "[red]주문[/red]"}),
        (["p?yments", "[red]*"], {"payments", "[red]주문[/red]"}),
    ],
)
@pytest.mark.parametrize("command", ["runs", "alerts", "jobs"])
def test_several_jobs_and_patterns_are_taken(
    cli: Cli, filled_url: str, command: str, jobs: list[str], found: set[str]
) -> None:
    options = [word for job in jobs for word in ("--job", job)]

    answer = cli(command, *options, "--json", "--database-url", filled_url)

    names = {
        row["job_name"] if "job_name" in row else row["source_id"].rpartition(":")[0]
        for row in answer.json
    }
    assert (answer.exit_code, names) == (0, found)


def test_report_counts_several_jobs(cli: Cli, filled_url: str) -> None:
    options = ("--job", "pay*", "--job", "invoices")

    answer = cli("report", *options, "--json", "--database-url", filled_url)

    assert {row["error_group"] for row in answer.json} == {"HTTP_5XX", "TIMEOUT"}


@pytest.mark.parametrize("command", ["runs", "alerts", "jobs", "report"])
def test_a_mistyped_job_among_others_is_named(cli: Cli, filled_file: str, command: str) -> None:
    options = ("--job", "payments", "--job", "invoice", "--job", "nothing*")

    answer = cli(command, *options, "--json", "--database-url", filled_file)

    assert answer.exit_code == 0
    assert answer.json
    assert "job 'invoice' was ever recorded here (did you mean 'invoices'?)" in answer.stderr
    assert "job that fits 'nothing*' was ever recorded here" in answer.stderr


def test_a_pattern_that_fits_no_job_exits_like_an_unknown_job(cli: Cli, filled_file: str) -> None:
    answer = cli("runs", "--job", "nothing*", "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "no job that fits 'nothing*'" in answer.stderr


def test_alerts_say_who_resolved_and_who_reviewed_them(cli: Cli, filled_url: str) -> None:
    who = ("--review", "false_alarm", "--by", "night-shift", "--database-url", filled_url)
    assert cli("resolve", "1", *who).exit_code == 0

    lines = cli("alerts", "--database-url", filled_url).lines

    assert lines[0].split()[-4:] == ["state", "review", "told", "message"]
    [resolved] = [line for line in lines if line.split()[0] == "1"]
    assert "resolved by night-shift  false alarm by night-shift" in resolved
    assert sum("open" in line and "not reviewed" in line for line in lines) == 2


def test_a_watched_list_says_how_much_it_leaves_out(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_ctrl_c(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(watch.__kwdefaults__, "wait", press_ctrl_c)

    answer = cli("runs", "-n", "2", "--watch", "9", "--database-url", filled_file)

    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "2 shown, 3 more: -n 5" in answer.stdout


def test_reap_takes_several_jobs(cli: Cli, filled_file: str) -> None:
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "update run_log set status = 'RUNNING', finished_at = null, heartbeat_at = ?,"
            " started_at = ?",
            ["2026-01-01 00:00:00.000000"] * 2,
        )
        connection.commit()

    answer = cli(
        "reap", "--job", "inv*", "--job", "payments", "--json", "--database-url", filled_file
    )

    assert sorted(row["job_name"] for row in answer.json) == ["invoices", *["payments"] * 3]
    left = cli("runs", "--status", "running", "--json", "--database-url", filled_file).json
    assert [run["job_name"] for run in left] == ["[red]주문[/red]"]
