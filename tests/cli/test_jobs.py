"""`jobs`: how every job stands, the worst first."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from runguard._cli import sparkline
from runguard._monitor.records import RunCell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
STYLE = re.compile(r"\x1b\[[\d;]*m")


def cell(status: str, group: str | None = None, seconds: float | None = 1) -> RunCell:
    end = None if seconds is None else NOON + timedelta(seconds=seconds)
    return RunCell(1, status, group, NOON, end)


def test_the_worst_job_comes_first_with_its_group_and_its_runs(cli: Cli, filled_url: str) -> None:
    answer = cli("jobs", "--database-url", filled_url)

    assert answer.exit_code == 0
    assert answer.lines[0].split()[:5] == ["job", "state", "group", "since", "runs"]
    assert [line.split()[0] for line in answer.lines[1:]] == [
        *("invoices", "payments", "[red]주문[/red]")
    ]
    payments = answer.lines[2].split()
    assert payments[1:3] == ["failing", "HTTP_5XX"]
    assert payments[4:6] == [".55", "33%"]
    assert answer.stderr == "3 jobs: 3 failing.\n"


def test_json_has_the_state_and_every_run_of_the_strip(cli: Cli, filled_url: str) -> None:
    jobs = cli("jobs", "--json", "--database-url", filled_url).json

    assert [(job["job_name"], job["state"]) for job in jobs[:2]] == [
        *(("invoices", "failing"), ("payments", "failing"))
    ]
    assert [run["status"] for run in jobs[1]["strip"]] == ["FAILED", "FAILED", "SUCCESS"]


def test_csv_has_a_line_for_each_job(cli: Cli, filled_url: str) -> None:
    answer = cli("jobs", "--csv", "--database-url", filled_url)

    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [(row["job_name"], row["runs"]) for row in rows[:2]] == [
        *(("invoices", "T"), ("payments", ".55"))
    ]


def test_jobs_are_filtered(cli: Cli, filled_url: str) -> None:
    import runguard
    from runguard import testing

    runguard.configure(database_url=filled_url)
    with runguard.run_scope("good"):
        pass
    testing.reset()

    def names(*options: str) -> list[str]:
        answer = cli("jobs", *options, "--json", "--database-url", filled_url)
        return [job["job_name"] for job in answer.json]

    assert names("--job", "good") == ["good"]
    assert names()[-1] == "good"
    assert "good" not in names("--failing")
    well = cli("jobs", "--failing", "--job", "good", "--database-url", filled_url)
    assert (well.exit_code, well.stdout, well.stderr) == (
        0,
        "",
        "No job of good is failing, missed, late or otherwise unwell.\n",
    )


def test_an_empty_store_says_what_to_do(cli: Cli, store_url: str) -> None:
    answer = cli("jobs", "--database-url", store_url)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "tracked_run" in answer.stderr
    assert cli("jobs", "--json", "--database-url", store_url).json == []


def test_an_unknown_job_is_answered_with_the_nearest(cli: Cli, filled_url: str) -> None:
    answer = cli("jobs", "--job", "paymens", "--database-url", filled_url)

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "did you mean 'payments'?" in answer.stderr


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_fits_the_window_and_keeps_the_strip(cli: Cli, filled_file: str, width: int) -> None:
    answer = cli("jobs", "--database-url", filled_file, **TERMINAL, COLUMNS=str(width))
    lines = [STYLE.sub("", line).rstrip() for line in answer.lines]

    assert max(cell_len(line) for line in lines) <= width
    assert {"job", "state", "since", "runs"} <= set(lines[0].split())
    assert any(set(line) & set(sparkline.BARS) for line in lines)


def test_without_colours_a_strip_is_letters(cli: Cli, filled_file: str) -> None:
    answer = cli("jobs", "--database-url", filled_file, **TERMINAL, COLUMNS="100", NO_COLOR="1")

    assert ".55" in answer.stdout
    assert not set(answer.stdout) & set(sparkline.BARS)


def test_a_terminal_without_the_bars_gets_letters_in_colours(filled_file: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("runguard"), "jobs", "--database-url", filled_file],
        env={**os.environ, **TERMINAL, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "\x1b[31m5" in done.stdout
    assert r"\u258" not in done.stdout


def test_the_newest_run_stands_at_the_right() -> None:
    newest_first = [cell("RUNNING", seconds=None), cell("FAILED", "TIMEOUT"), cell("SUCCESS")]

    assert sparkline.letters(newest_first) == ".T>"
    assert sparkline.coloured(newest_first, bars=False).plain == ".T>"


def test_every_ending_has_a_letter_of_its_own() -> None:
    groups = ["HTTP_5XX", "HTTP_4XX", "HTTP_409", "TIMEOUT", "LOCK_CONFLICT", "UNKNOWN", None]
    cells = [cell("FAILED", group) for group in groups]
    cells += [cell("SUCCESS"), cell("RUNNING"), cell("CANCELLED")]

    letters = sparkline.letters(cells)
    assert len(set(letters)) == len(cells)
    assert set(letters) <= set("".join(sparkline.LEGEND))


def test_a_failure_keeps_its_letter_among_the_bars() -> None:
    newest_first = [cell("FAILED", "TIMEOUT"), cell("FAILED", "HTTP_5XX"), cell("SUCCESS")]

    assert sparkline.coloured(newest_first, bars=True).plain == "█5T"


def test_a_bar_is_as_high_as_its_run_was_long() -> None:
    newest_first = [cell("SUCCESS", seconds=seconds) for seconds in (80, 40, 0)]

    assert sparkline.coloured(newest_first, bars=True).plain == "▁▅█"
    assert sparkline.coloured([cell("SUCCESS", seconds=0)], bars=True).plain == "▁"
    assert sparkline.coloured([cell("RUNNING", seconds=None)], bars=True).plain == ">"
