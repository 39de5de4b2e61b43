"""`--csv`: for spreadsheets, which compute what looks like a formula."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard._cli.output import columns_of, csv_text
from runguard._monitor.records import AlertRecord, GroupCount, RunRecord
from tests.cli.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def cell_of(value: Any) -> str:
    [row] = csv.DictReader(io.StringIO(csv_text([{"x": value, "y": 1}], ["x", "y"]), newline=""))
    return row["x"]


@pytest.mark.parametrize(
    ("command", "record"), [("runs", RunRecord), ("alerts", AlertRecord), ("report", GroupCount)]
)
def test_csv_holds_what_json_holds(
    cli: Cli, filled_url: str, command: str, record: type[Any]
) -> None:
    rows = cli(command, "--json", "--database-url", filled_url).json
    answer = cli(command, "--csv", "--database-url", filled_url)

    assert (answer.exit_code, answer.stderr) == (0, "")
    reader = csv.DictReader(io.StringIO(answer.stdout))
    assert reader.fieldnames == columns_of(record)
    assert [row[columns_of(record)[0]] for row in reader] == [
        str(row[columns_of(record)[0]]) for row in rows
    ]


def test_of_nothing_there_is_a_header(cli: Cli, sqlite_url: str) -> None:
    answer = cli("runs", "--csv", "--database-url", sqlite_url)

    assert answer.stdout.splitlines() == [",".join(columns_of(RunRecord))]


def test_lines_end_as_rfc_4180_says() -> None:
    assert csv_text([{"x": "a,b", "y": 'c"d'}], ["x", "y"]) == 'x,y\r\n"a,b","c""d"\r\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (-3, "-3"),
        (1.5, "1.5"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        ({"run_id": 1, "말": "x"}, '{"run_id": 1, "말": "x"}'),
        ("a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_a_value_is_spelled_for_a_spreadsheet(value: Any, text: str) -> None:
    assert cell_of(value) == text


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_text_that_looks_like_a_formula_gets_an_apostrophe(beginning: str) -> None:
    assert cell_of(f"{beginning}cmd|' /C calc'!A0").startswith("'")


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_starts_a_formula_or_moves_a_cursor(text: str) -> None:
    cell = cell_of(text)

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert not {"\x1b", "\x00", "\x9b", "\u202e"} & set(cell)


def test_a_job_s_own_formula_reaches_no_spreadsheet(cli: Cli, filled_file: str) -> None:
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute("update run_log set error_message = '=1+1', job_name = '@x'")
        connection.commit()

    answer = cli("runs", "--limit", "1", "--csv", "--database-url", filled_file)

    [row] = csv.DictReader(io.StringIO(answer.stdout))
    assert (row["error_message"], row["job_name"]) == ("'=1+1", "'@x")


def test_hostile_text_is_spelled(cli: Cli, hostile_file: str) -> None:
    answer = cli("runs", "--csv", "--database-url", hostile_file)

    assert HOSTILE.split("\n")[1] in answer.stdout
    assert not {"\x1b", "\u202e"} & set(answer.stdout)


@pytest.mark.parametrize("command", ["runs", "alerts", "report", "jobs"])
def test_csv_and_json_exclude_each_other(cli: Cli, sqlite_url: str, command: str) -> None:
    answer = cli(command, "--csv", "--json", "--database-url", sqlite_url)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "expected one of --json and --csv, found both" in " ".join(answer.stderr.split())
