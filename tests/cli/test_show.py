"""`show` and `explain`: one run, everything about it, and why."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

import runguard
import runguard.testing
from runguard._store.queries import pages
from tests.cli.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def test_a_run_is_shown_label_by_label(cli: Cli, filled_url: str) -> None:
    answer = cli("show", "3", "--database-url", filled_url)

    assert answer.exit_code == 0
    assert answer.lines[0].startswith("payments failed at 20")
    told = {label: rest for label, _, rest in (line.partition("  ") for line in answer.lines)}
    assert told["group"].strip() == "HTTP_5XX (503)"
    assert told["alert"].strip() == "suppressed: alert 1, high, open, not reviewed"
    assert told["previous success"].strip().startswith("run 1, SUCCESS, 20")
    assert "  HTTP 503 Service Unavailable" in answer.lines
    assert "runguard explain 3" in answer.stderr
    assert cli("show", "1", "--database-url", filled_url).stderr == "", "a success needs no why"


def test_a_run_that_alerted_names_its_versions(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    runguard.configure(database_url=url)
    with pytest.raises(ValueError, match="bad"), runguard.run_scope("payments"):
        raise ValueError("bad")
    runguard.testing.reset()

    answer = cli("show", "last", "--database-url", url)

    [line] = [line for line in answer.lines if line.startswith("versions ")]
    python = ".".join(str(part) for part in sys.version_info[:3])
    assert line.split(maxsplit=1)[1] == f"runguard {version('runguard-runlog')}, Python {python}"


def fail_in_a_job(url: str) -> None:
    """A job works with version 1.4, and fails inside a library with 1.5."""
    log = logging.getLogger("payments")
    for code, text in (("1.4", "{}"), ("1.5", "{")):
        runguard.configure(database_url=url, version=code)
        with contextlib.suppress(ValueError), runguard.run_scope("payments") as run:
            run.note(term="2026-1")
            run.link("report", "https://reports.example/7")
            run.progress(3, 12)
            log.warning("reading page 3")
            json.loads(text)
        runguard.testing.reset()


def test_what_a_run_left_is_shown_and_explained(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    fail_in_a_job(url)

    shown = cli("show", "failed", "--database-url", url)
    explained = cli("explain", "failed", "--database-url", url)
    [details] = cli("show", "failed", "--json", "--database-url", url).json
    [why] = cli("explain", "failed", "--json", "--database-url", url).json

    told = [" ".join(line.split()) for line in shown.lines]
    assert "what changed the code changed in between" in told
    assert "progress 3 of 12 (25 %)" in told[told.index("context term: 2026-1") - 1]
    assert "links report: https://reports.example/7" in told
    assert told[-1].endswith("WARNING payments: reading page 3")
    assert "now 1.5 (host " in explained.stdout
    assert "shows its traceback and its last log lines" in explained.stderr
    assert details["note"]["context"] == {"term": "2026-1"}
    assert details["note"]["links"] == [["report", "https://reports.example/7"]]
    assert (details["changed"]["code_changed"], details["changed"]["successes"]) == (True, 1)
    assert (why["note"], why["changed"]) == (details["note"], details["changed"])


def test_the_traceback_alone_is_what_python_printed(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    fail_in_a_job(url)

    alone = cli("show", "failed", "--traceback", "--database-url", url)
    none = cli("show", "last:nobody", "--traceback", "--database-url", url)

    assert alone.lines[0] == "Traceback (most recent call last):"
    assert any(line.endswith(", in fail_in_a_job") for line in alone.lines)
    assert any("decoder.py" in line for line in alone.lines)
    assert alone.lines[-1].startswith("json.decoder.JSONDecodeError: ")
    assert none.exit_code == 1
    success = cli("show", "1", "--traceback", "--database-url", url)
    assert (success.exit_code, success.stderr) == (1, "No traceback of run 1 is kept.\n")


def test_show_as_json_has_the_run_and_all_that_belongs_to_it(cli: Cli, filled_url: str) -> None:
    [details] = cli("show", "3", "--json", "--database-url", filled_url).json

    assert details["run"]["job_name"] == "payments"
    assert (details["alert"]["id"], details["cooldown"]["covered"]) == (1, 1)
    assert details["previous_success"]["id"] == 1


def test_explain_answers_what_broke_why_and_whether_it_still_is(cli: Cli, filled_url: str) -> None:
    answer = cli("explain", "3", "--database-url", filled_url)

    assert answer.exit_code == 0
    assert answer.lines[0].endswith("HTTP_5XX (overloaded); it has not run again since.")
    assert "HTTP_5XX, from text: 'HTTP 503'. The reason: overloaded." in answer.stdout
    assert "It raised no alert: alert 1 of " in answer.stdout
    assert "HTTP_5XX of payments is quiet until " in answer.stdout
    assert (
        "So far alert 1, raised by run 2, covers 1 failure besides the one that raised it."
        in answer.stdout
    )


def test_explain_as_json_holds_the_same_sentences(cli: Cli, filled_url: str) -> None:
    [told] = cli("explain", "failed:invoices", "--json", "--database-url", filled_url).json

    assert (told["run_id"], told["standing"]) == (4, "still failing")
    assert {"topic": "group", "text": "TIMEOUT, from text: 'timed out'."} in told["reasons"]
    assert told["run"]["job_name"] == "invoices"


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("2", 2),
        ("last", 5),
        ("failed", 5),
        ("last:payments", 3),
        ("failed:invoices", 4),
        ("last:[red]주문[/red]", 5),
    ],
)
def test_a_run_has_many_names(cli: Cli, filled_url: str, name: str, run_id: int) -> None:
    [details] = cli("show", name, "--json", "--database-url", filled_url).json

    assert details["run"]["id"] == run_id


def test_a_run_is_found_by_its_key(cli: Cli, filled_url: str) -> None:
    [run] = cli("runs", "--job", "invoices", "--json", "--database-url", filled_url).json

    [details] = cli("show", run["run_key"], "--json", "--database-url", filled_url).json
    assert details["run"]["id"] == run["id"]


@pytest.mark.parametrize("command", ["show", "explain"])
@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("999", (1, "No run 999 is recorded here")),
        ("99999999999999999999", (2, "expected a run's id")),
        ("0195533f-6c00-7000-8000-000000000001", (1, "No run 0195533f")),
        ("last:paymnts", (1, "did you mean 'payments'?")),
        ("payments", (2, "`last:payments` is the newest run of that job")),
        ("last:", (2, "expected a run's id")),
        ("nonsense", (2, "expected a run's id")),
    ],
)
def test_a_run_that_is_not_there_is_an_error(
    cli: Cli, filled_file: str, command: str, name: str, end: tuple[int, str]
) -> None:
    answer = cli(command, name, "--database-url", filled_file, COLUMNS="200")

    assert (answer.exit_code, answer.stdout) == (end[0], "")
    assert end[1] in " ".join(answer.stderr.split())


def test_the_last_run_of_an_empty_store_is_not_there(cli: Cli, sqlite_url: str) -> None:
    answer = cli("show", "last", "--database-url", sqlite_url)

    assert (answer.exit_code, answer.stdout) == (1, "")


@pytest.mark.parametrize("command", ["show", "explain"])
def test_a_row_of_another_program_is_explained_too(
    cli: Cli, filled_file: str, command: str
) -> None:
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "insert into run_log (id, job_name, status) values (77, 'theirs', 'FAILED')"
        )
        connection.commit()

    answer = cli(command, "77", "--database-url", filled_file)

    assert answer.exit_code == 0
    assert "theirs failed" in answer.lines[0]


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1", "COLUMNS": "60"}])
@pytest.mark.parametrize("command", ["show", "explain"])
def test_hostile_text_is_shown_and_never_obeyed(
    cli: Cli, hostile_file: str, command: str, environ: dict[str, str]
) -> None:
    with closing(sqlite3.connect(hostile_file.removeprefix("sqlite:///"))) as connection:
        connection.execute("update run_log set matched_by = ?", [HOSTILE])
        connection.commit()

    answer = cli(command, "5", "--database-url", hostile_file, **environ)

    assert "[red]주문[/red]" in answer.stdout
    assert r"\x1b[31mred\x1b[0m" in " ".join(answer.stdout.split())
    assert "\x1b[31mred" not in answer.stdout
    assert "\u202e" not in answer.stdout


@pytest.mark.parametrize(("name", "run_id"), [("failed:payments", 3), ("failed", 5)])
def test_the_newest_failure_is_found_however_many_successes_are_newer(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch, name: str, run_id: int
) -> None:
    runguard.configure(database_url=filled_file)
    for _ in range(3):
        with runguard.run_scope("payments"):
            pass
    runguard.testing.reset()
    monkeypatch.setattr(pages, "LOOKS_THROUGH", 1)

    answer = cli("show", name, "--json", "--database-url", filled_file)

    assert answer.json[0]["run"]["id"] == run_id
