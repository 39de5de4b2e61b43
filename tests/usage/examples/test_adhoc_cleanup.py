"""The ad-hoc script: a partial failure, and an alert of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from examples import adhoc_cleanup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    Ask = Callable[[str], list[tuple[Any, ...]]]
    Clean = Callable[[str], tuple[int, str]]


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clean:
    """Clean a file with these lines in this process; give the exit code and the clean lines."""

    def run(lines: str) -> tuple[int, str]:
        file, into = tmp_path / "enrolments.csv", tmp_path / "clean.csv"
        file.write_text("student,course,status\n" + lines)
        monkeypatch.setattr(sys, "argv", ["adhoc_cleanup.py", str(file), "--into", str(into)])
        return adhoc_cleanup.main(), into.read_text().removeprefix("student,course,status\n")

    return run


def test_the_file_of_the_docstring_fails_in_part(
    tmp_path: Path, run_example: Callable[..., CompletedProcess[str]], sqlite_url: str, sql: Ask
) -> None:
    into = tmp_path / "clean.csv"

    done = run_example("adhoc_cleanup", "examples/enrolments.csv", "--into", str(into))

    assert (done.returncode, done.stdout) == (1, "run 1: 10 rows read, 2 doubles removed\n")
    assert into.read_text().split() == [
        "student,course,status",
        "S-0001,algebra,active",
        "S-0002,biology,active",
        "S-0003,chemistry,active",
        "S-0004,algebra,active",
        "S-0006,chemistry,withdrawn",
        "S-0007,algebra,active",
    ]
    assert sql(
        "select trigger_type, status, error_group, error_message, total_records, changed_records,"
        " created_alerts from run_log"
    ) == [("MANUAL", "FAILED", "UNKNOWN", "2 of 10 rows unreadable", 10, 2, 2)]
    assert sql("select source_type, source_id, alert_type, severity from alert order by id") == [
        ("csv_file", "enrolments.csv", "CONTRADICTION", "medium"),
        ("run_log", "adhoc_cleanup:UNKNOWN", "FAILED", "medium"),
    ]
    assert sql("select title, detail->>'enrolments' from alert where source_type = 'csv_file'") == [
        ("enrolments.csv contradicts itself", '["S-0004 algebra"]')
    ]


def test_plain_doubles_are_a_success(clean: Clean, sqlite_url: str, sql: Ask) -> None:
    assert clean("S-1,algebra,active\n" * 3) == (0, "S-1,algebra,active\n")

    assert sql("select status, total_records, changed_records, created_alerts from run_log") == [
        ("SUCCESS", 3, 2, 0)
    ]


def test_the_same_contradiction_found_again_is_not_told_again(
    clean: Clean, sqlite_url: str, sql: Ask
) -> None:
    for _ in range(2):
        assert clean("S-1,algebra,active\nS-1,algebra,withdrawn\n")[0] == 0

    assert sql("select created_alerts from run_log order by id") == [(1,), (0,)]
    assert sql("select count(*) from alert") == [(1,)]


def test_a_missing_file_is_a_failed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, sql: Ask
) -> None:
    monkeypatch.setattr(sys, "argv", ["adhoc_cleanup.py", "no-such.csv", "--into", "clean.csv"])
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FileNotFoundError):
        adhoc_cleanup.main()

    assert sql("select status, error_type from run_log") == [("FAILED", "FileNotFoundError")]
    assert not (tmp_path / "clean.csv").exists()
